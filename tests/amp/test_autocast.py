"""autocast as a context and decorator, its cache, and training under it against PyTorch."""

import numpy as np
import pytest
import torch

import deepgpu as dg


def test_is_on_inside_only_and_nests():
    assert not dg.is_autocast_enabled("cpu")
    with dg.autocast("cpu", dtype=dg.float16) as context:
        assert context.fast_dtype is dg.float16
        assert dg.is_autocast_enabled("cpu")
        assert not dg.is_autocast_enabled()  # of the GPU
        assert dg.get_autocast_dtype("cpu") is dg.float16
        with dg.autocast("cpu", enabled=False):
            assert not dg.is_autocast_enabled("cpu")
            assert (dg.ones(2, 2) @ dg.ones(2, 2)).dtype is dg.float32
        assert (dg.ones(2, 2) @ dg.ones(2, 2)).dtype is dg.float16
    assert not dg.is_autocast_enabled("cpu")
    assert dg.get_autocast_dtype("cpu") is dg.bfloat16


def test_ends_with_an_error():
    with pytest.raises(ZeroDivisionError), dg.autocast("cpu"):
        _ = 1 / 0
    assert not dg.is_autocast_enabled("cpu")


def test_as_a_decorator():
    @dg.autocast("cpu")
    def product(a, b=None):
        """Multiply."""
        return a @ b

    assert product(dg.ones(2, 2), b=dg.ones(2, 2)).dtype is dg.bfloat16
    assert product.__name__ == "product"
    assert not dg.is_autocast_enabled("cpu")


def test_what_is_left_alone():
    with dg.autocast("cpu"):
        assert (dg.ones(2, 2).double() @ dg.ones(2, 2).double()).dtype is dg.float64
        assert (dg.ones(2, 2).long() @ dg.ones(2, 2).long()).dtype is dg.int64
        x = dg.ones(2, 2)
        assert x.addmm_(x, x) is x  # in place: not cast
        assert x.dtype is dg.float32
    with dg.autocast("cuda"):
        assert (dg.ones(2, 2) @ dg.ones(2, 2)).dtype is dg.float32


@pytest.mark.parametrize("dtype", [dg.float32, dg.int8])
def test_other_dtypes_switch_it_off_with_a_warning(dtype):
    with pytest.warns(UserWarning, match="target dtype is not supported. Disabling autocast"):
        context = dg.autocast("cpu", dtype=dtype)
    with context:
        assert not dg.is_autocast_enabled("cpu")


def test_device_types():
    assert dg.amp.is_autocast_available("cuda")
    assert not dg.amp.is_autocast_available("mps")
    with pytest.raises(ValueError, match="device_type"):
        dg.autocast(dg.device("cpu"))
    with pytest.raises(RuntimeError, match="'cpu', 'cuda'"):
        dg.autocast("mps")
    assert dg.cuda.amp.autocast().fast_dtype is dg.float16


def casts(loss):
    """How many casts there are in the graph."""
    seen, todo, found = set(), [loss.grad_fn], 0
    while todo:
        node = todo.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        found += type(node).__name__ == "Cast"
        todo += [n for n, _ in node.next_functions]
    return found


def test_a_parameter_is_cast_once():
    w, x = dg.randn(4, 4, requires_grad=True), dg.randn(4, 4)
    with dg.autocast("cpu"):
        twice = (x @ w + (x @ w).relu()).sum()
    with dg.autocast("cpu", cache_enabled=False):
        separate = (x @ w + (x @ w).relu()).sum()
    assert casts(separate) - casts(twice) == 1
    twice.backward()
    first, w.grad = w.grad, None
    separate.backward()
    np.testing.assert_allclose(w.grad.numpy(), first.numpy(), rtol=2e-2)


def test_a_parameter_that_changed_is_cast_again():
    w = dg.ones(2, 2, requires_grad=True)
    with dg.autocast("cpu"):
        assert (dg.ones(1, 2) @ w)[0, 0].item() == 2
        with dg.no_grad():
            w.mul_(2)
        assert (dg.ones(1, 2) @ w)[0, 0].item() == 4


def test_custom_functions():
    seen = []

    class Double(dg.autograd.Function):
        @staticmethod
        @dg.amp.custom_fwd(device_type="cpu", cast_inputs=dg.float32)
        def forward(ctx, x):
            seen.append((x.dtype, dg.is_autocast_enabled("cpu")))
            return 2 * x

        @staticmethod
        @dg.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            seen.append(dg.is_autocast_enabled("cpu"))
            return 2 * g

    x = dg.ones(2, 2, requires_grad=True)
    with dg.autocast("cpu"):
        y = Double.apply(x @ x)
    y.sum().backward()
    assert seen == [(dg.float32, False), False]


def mlp(t):
    nn = t.nn
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.LayerNorm(16), nn.Linear(16, 4)), (8, 6)


def convolutions(t):
    nn = t.nn
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3)]
    layers += [nn.GroupNorm(2, 8), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)]
    return nn.Sequential(*layers), (8, 3, 8, 8)


def transformer(t):
    nn = t.nn
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(32, 4)), (8, 4, 8)


def recurrent(t):
    class Last(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = t.nn.RNN(5, 7, batch_first=True), t.nn.Linear(7, 4)

        def forward(self, x):
            return self.out(self.rnn(x)[0][:, -1])

    return Last(), (8, 3, 5)


def train(t, net, x, y, dtype):
    optimizer = t.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x, y, losses = t.tensor(x), t.tensor(y), []
    for _ in range(5):
        optimizer.zero_grad()
        with t.autocast("cpu", dtype=getattr(t, dtype)):
            out = net(x)
            loss = t.nn.functional.cross_entropy(out, y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    dtypes = [out.dtype, loss.dtype, *[p.grad.dtype for p in net.parameters()]]
    return losses, [str(d).split(".")[-1] for d in dtypes]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("make", [mlp, convolutions, transformer, recurrent])
def test_training_as_pytorch_does(make, dtype):
    torch.manual_seed(0)
    theirs, shape = make(torch)
    ours, _ = make(dg)
    ours.load_state_dict({k: dg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal(shape).astype(np.float32), rng.integers(0, 4, 8)
    expected, their_dtypes = train(torch, theirs, x, y, dtype)
    losses, our_dtypes = train(dg, ours, x, y, dtype)
    assert our_dtypes == their_dtypes
    np.testing.assert_allclose(losses, expected, rtol=6e-3 if dtype == "bfloat16" else 1e-3)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "LSTMCell", "GRUCell"])
def test_gated_layers_train(kind):
    """PyTorch has no half LSTM on many CPUs: float32 is the judge."""
    dg.manual_seed(0)
    layer, x = getattr(dg.nn, kind)(3, 4), dg.randn(2, 3) if "Cell" in kind else dg.randn(5, 2, 3)
    grads = []
    for enabled in (False, True):
        layer.zero_grad()
        with dg.autocast("cpu", enabled=enabled):
            out = layer(x)
            out = out[0] if isinstance(out, tuple) else out
            loss = (out.float() ** 2).sum()
        loss.backward()
        grads.append([p.grad.numpy() for p in layer.parameters()])
    for exact, rounded in zip(*grads, strict=True):
        np.testing.assert_allclose(rounded, exact, rtol=0.1, atol=0.02)


def test_on_the_gpu(emulated):
    """A product and a convolution in float16, their gradients in the dtype of the parameters."""
    dg.manual_seed(0)
    net = dg.nn.Sequential(dg.nn.Conv2d(3, 8, 3), dg.nn.ReLU(), dg.nn.Flatten(), dg.nn.Linear(8 * 4, 5)).cuda()
    x, y = dg.randn(2, 3, 4, 4).cuda(), dg.tensor([1, 3], device="cuda")
    losses, grads = [], []
    for enabled in (False, True):
        net.zero_grad()
        with dg.autocast("cuda", enabled=enabled):
            out = net(x)
            loss = dg.nn.functional.cross_entropy(out, y)
        assert out.dtype is (dg.float16 if enabled else dg.float32)
        assert loss.dtype is dg.float32
        loss.backward()
        losses.append(loss.item())
        grads.append([p.grad.cpu().numpy() for p in net.parameters()])
        assert all(p.grad.dtype is dg.float32 for p in net.parameters())
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-2)
    for exact, rounded in zip(*grads, strict=True):
        np.testing.assert_allclose(rounded, exact, rtol=2e-2, atol=2e-3)
