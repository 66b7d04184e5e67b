"""CUDA graphs on the emulated device, which records launches and replays them. Eager training is the judge."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu import nn
from deepgpu.backends.cuda import graphs
from deepgpu.nn import functional as F


@pytest.fixture(autouse=True)
def _emulated(emulated):
    yield
    assert not graphs.capturing()
    dg.device("cuda").backend.fixed_memory = False  # the graphs of a test are gone


def make():
    dg.manual_seed(0)
    body = [nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    net = nn.Sequential(*body, nn.Linear(16, 3)).cuda()
    return net, dg.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True)


def batches(count):
    rng = np.random.default_rng(0)
    for _ in range(count):
        x, y = rng.standard_normal((4, 2, 4, 4)).astype(np.float32), rng.integers(0, 3, 4)
        yield dg.tensor(x, device="cuda"), dg.tensor(y, device="cuda")


def step(net, optimizer, x, y):
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    return loss


def test_a_captured_training_step_is_the_eager_one():
    net, optimizer = make()
    eager = [step(net, optimizer, x, y).item() for x, y in batches(6)]
    expected = {k: v.cpu().numpy() for k, v in net.state_dict().items()}

    net, optimizer = make()
    data = list(batches(6))
    static_x, static_y = dg.empty_like(data[0][0]), dg.empty_like(data[0][1])
    side = dg.cuda.Stream()
    with dg.cuda.stream(side):
        captured = [step(net, optimizer, x, y).item() for x, y in data[:2]]  # the warm-up: the momenta are made
    dg.cuda.current_stream().wait_stream(side)
    optimizer.zero_grad()
    graph = dg.cuda.CUDAGraph()
    with dg.cuda.graph(graph):
        assert dg.cuda.is_current_stream_capturing()
        loss = step(net, optimizer, static_x, static_y)
    for x, y in data[2:]:
        static_x.copy_(x)
        static_y.copy_(y)
        graph.replay()
        captured.append(loss.item())
    np.testing.assert_allclose(captured, eager, rtol=1e-6)
    for k, v in net.state_dict().items():
        np.testing.assert_allclose(v.cpu().numpy(), expected[k], rtol=1e-5, atol=1e-7, err_msg=k)


def test_a_capture_does_nothing_yet():
    x = dg.ones(2000, device="cuda")
    graph = dg.cuda.CUDAGraph()
    with dg.cuda.graph(graph):
        x.add_(1)
        y = x * 3
    assert x.tolist() == [1] * 2000
    assert y.isnan().all().item()  # uninitialised, until the first replay
    for i in range(1, 3):
        graph.replay()
        assert x[0].item() == 1 + i
        assert y.tolist() == [3 * (1 + i)] * 2000


def test_what_was_captured_keeps_its_memory():
    x = dg.ones(5000, device="cuda")
    graph = dg.cuda.CUDAGraph()
    with dg.cuda.graph(graph):
        y = x + 1
    address = x.data_ptr()
    x.mul_(5)  # in place, and not by taking over another array's memory
    assert x.data_ptr() == address
    graph.replay()
    assert y[0].item() == 6


def test_intermediate_memory_is_the_graph_s_own():
    x = dg.ones(100, device="cuda")
    graph = dg.cuda.CUDAGraph()
    with dg.cuda.graph(graph):
        y = (x * 2).exp().log()
    others = [dg.full((100,), float(i), device="cuda") for i in range(20)]
    graph.replay()
    assert [o[0].item() for o in others] == list(range(20))
    np.testing.assert_allclose(y.cpu().numpy(), 2, rtol=1e-6)


def test_constants_stay():
    x = dg.rand(1, 1, 4, 4, device="cuda")
    eager = F.interpolate(x, size=(7, 7), mode="bilinear", align_corners=False)
    graph = dg.cuda.CUDAGraph()
    with dg.cuda.graph(graph):
        y = F.interpolate(x, size=(7, 7), mode="bilinear", align_corners=False)
        z = x[:, :, dg.tensor([2, 0], device="cuda")]
    graph.replay()
    assert dg.equal(y.cpu(), eager.cpu())
    assert dg.equal(z.cpu(), x.cpu()[:, :, [2, 0]])


def test_graphs_share_a_pool():
    x = dg.ones(10, device="cuda")
    first, second = dg.cuda.CUDAGraph(), dg.cuda.CUDAGraph()
    with dg.cuda.graph(first):
        y = x + 1
    with dg.cuda.graph(second, pool=first.pool()):
        z = y * 2
    first.replay()
    second.replay()
    assert z.tolist() == [4] * 10
    assert first.pool() is second.pool()


def test_memory_of_a_graph_counts_until_it_goes():
    x = dg.ones(1 << 18, device="cuda")
    before = dg.cuda.memory_allocated()
    graph = dg.cuda.CUDAGraph()
    with dg.cuda.graph(graph):
        y = x + 1
    assert dg.cuda.memory_allocated() - before >= y.nbytes
    del y
    graph.reset()
    assert dg.cuda.memory_allocated() == before
    with pytest.raises(RuntimeError, match="nothing was captured"):
        graph.replay()


def test_pinned_copies_are_captured():
    host = dg.ones(4).pin_memory()
    graph = dg.cuda.CUDAGraph()
    with dg.cuda.graph(graph):
        y = host.to("cuda", non_blocking=True) * 2
    host.fill_(5)
    graph.replay()
    assert y.tolist() == [10] * 4


REFUSED = {
    "item": (lambda x: x.sum().item(), "copy to the host"),
    "bool": (lambda x: bool(x[0] > 0), "copy to the host"),
    "cpu": (lambda x: x.cpu(), "copy to the host"),
    "mask": (lambda x: x[x > 0], "mask"),
    "nonzero": (lambda x: x.nonzero(), "nonzero"),
    "rand": (lambda x: dg.rand(3, device="cuda"), "random numbers"),
    "to": (lambda x: dg.ones(3).to("cuda"), "pinned"),
    "synchronize": (lambda x: dg.cuda.synchronize(), "waiting for the device"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_graph_cannot_hold_is_refused(name):
    call, message = REFUSED[name]
    x = dg.ones(8, device="cuda")
    with pytest.raises(RuntimeError, match=message), dg.cuda.graph(dg.cuda.CUDAGraph()):
        call(x)
    assert x.sum().item() == 8  # everything works again


@pytest.mark.parametrize(("kind", "advice"), [("Adam", r"Adam\(\.\.\., capturable=True\)"), ("RMSprop", "SGD")])
def test_optimizers_that_count_on_the_host_are_refused(kind, advice):
    p = nn.Parameter(dg.ones(3, device="cuda"))
    optimizer = getattr(dg.optim, kind)([p])
    p.grad = dg.ones(3, device="cuda")
    optimizer.step()
    with pytest.raises(RuntimeError, match=rf"{kind}.step.*{advice}"), dg.cuda.graph(dg.cuda.CUDAGraph()):
        optimizer.step()


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_the_first_step_is_refused_where_it_makes_a_state(kind):
    p = nn.Parameter(dg.ones(3, device="cuda"))
    options = {"momentum": 0.9} if kind == "SGD" else {"capturable": True}
    optimizer = getattr(dg.optim, kind)([p], lr=0.1, **options)
    p.grad = dg.ones(3, device="cuda")
    with pytest.raises(RuntimeError, match="first step"), dg.cuda.graph(dg.cuda.CUDAGraph()):
        optimizer.step()


ADAMS = {
    "Adam": ("Adam", {"betas": (0.8, 0.99), "weight_decay": 0.1}),
    "AMSGrad": ("Adam", {"amsgrad": True, "betas": (0.0, 0.9)}),
    "AdamW": ("AdamW", {"weight_decay": 0.1}),
    "SGD": ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
}


@pytest.mark.parametrize("name", ADAMS)
@pytest.mark.parametrize("strided", [False, True], ids=["dense", "with gaps"])
def test_captured_steps_are_pytorch_s(name, strided):
    """One eager step, then replays whose learning rate a schedule changes; the judge is PyTorch on the CPU, eager."""
    kind, options = ADAMS[name]
    ours_only = {} if kind == "SGD" else {"capturable": True}
    rng = np.random.default_rng(0)
    start = rng.standard_normal((5, 8)).astype(np.float32)
    theirs = torch.nn.Parameter(torch.from_numpy(start.copy()))
    judge = getattr(torch.optim, kind)([theirs], lr=0.1, **options)
    memory = dg.zeros(5, 16, device="cuda")
    memory[:, ::2] = dg.tensor(start, device="cuda")
    p = (memory[:, ::2] if strided else memory[:, ::2].clone()).detach().requires_grad_()
    lr = dg.tensor(0.1, device="cuda")
    optimizer = getattr(dg.optim, kind)([p], lr=lr, **options, **ours_only)
    p.grad = dg.zeros(5, 8, device="cuda")
    graph = None
    for step in range(5):
        g = rng.standard_normal((5, 8)).astype(np.float32)
        rate = 0.1 / (1 + step)
        theirs.grad = torch.from_numpy(g)
        judge.param_groups[0]["lr"] = rate
        judge.step()
        p.grad.copy_(dg.tensor(g, device="cuda"))
        lr.fill_(rate)
        if step == 0:
            optimizer.step()
        elif graph is None:
            graph = dg.cuda.CUDAGraph()
            with dg.cuda.graph(graph):
                optimizer.step()
        if graph is not None:
            graph.replay()
        np.testing.assert_allclose(p.detach().cpu().numpy(), theirs.detach().numpy(), rtol=2e-6, atol=2e-6)
    if kind != "SGD":
        assert optimizer.state[p]["step"].device.type == "cuda"
        assert optimizer.state[p]["step"].item() == 5


def test_the_count_of_steps_goes_where_it_is_wanted():
    p = nn.Parameter(dg.ones(3, device="cuda"))
    made = {flag: dg.optim.AdamW([p], capturable=flag) for flag in (False, True)}
    p.grad = dg.ones(3, device="cuda")
    for flag, optimizer in made.items():
        optimizer.step()
        optimizer.step()
        assert optimizer.state[p]["step"].device.type == ("cuda" if flag else "cpu")
    saved = {flag: optimizer.state_dict() for flag, optimizer in made.items()}
    for flag, optimizer in made.items():
        taken = saved[not flag]
        taken["param_groups"][0]["capturable"] = flag
        optimizer.load_state_dict(taken)
        assert optimizer.state[p]["step"].device.type == ("cuda" if flag else "cpu")
        assert optimizer.state[p]["step"].item() == 2
        optimizer.step()
        assert optimizer.state[p]["step"].item() == 3


DROPOUTS = {
    "dropout": (F.dropout, (6, 40)),
    "dropout1d": (F.dropout1d, (4, 30, 2)),
    "dropout2d": (F.dropout2d, (4, 30, 2, 3)),
}


@pytest.mark.parametrize("name", DROPOUTS)
def test_replays_drop_what_eager_steps_would_have_dropped(name):
    function, shape = DROPOUTS[name]
    x = dg.ones(*shape, device="cuda", requires_grad=True)

    def passed(x):
        y = function(function(x, 0.3) * 2, 0.5)
        (g,) = dg.autograd.grad(y.sum(), x)
        return y.detach(), g

    dg.manual_seed(5)
    eager = [[t.cpu().numpy() for t in passed(x)] for _ in range(3)]
    graph = dg.cuda.CUDAGraph()
    with dg.cuda.graph(graph):
        captured = passed(x)
    dg.manual_seed(5)
    for want in eager:
        graph.replay()
        for got, expected in zip(captured, want, strict=True):
            np.testing.assert_array_equal(got.cpu().numpy(), expected)
    assert (eager[0][0] != eager[1][0]).any()


def test_a_graph_of_many_dropouts():
    x = dg.ones(64, device="cuda")
    graph = dg.cuda.CUDAGraph()
    with dg.cuda.graph(graph):
        ys = [F.dropout(x, 0.5) for _ in range(30)]
    dg.manual_seed(0)
    graph.replay()
    masks = np.stack([y.cpu().numpy() for y in ys])
    dg.manual_seed(0)
    np.testing.assert_array_equal(masks, np.stack([F.dropout(x, 0.5).cpu().numpy() for _ in range(30)]))
    assert len({mask.tobytes() for mask in masks}) == 30


def test_graphed_modules_drop_the_same_in_backward():
    net = nn.Sequential(nn.Linear(4, 50), nn.Dropout(0.4)).cuda()
    graphed = dg.cuda.make_graphed_callables(net, (dg.zeros(3, 4, device="cuda"),))
    x, seen = dg.ones(3, 4, device="cuda"), []
    for _ in range(2):
        net.zero_grad()
        y = graphed(x)
        y.sum().backward()
        kept = (y.detach() != 0).float().sum(0) / 0.6
        np.testing.assert_allclose(net[0].bias.grad.cpu().numpy(), kept.cpu().numpy(), rtol=1e-5)
        seen.append(y.detach().cpu().numpy())
    assert (seen[0] != seen[1]).any()


def test_wrong_use():
    graph = dg.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="default stream"):
        graph.capture_begin()
    with pytest.raises(RuntimeError, match="was not called"):
        graph.capture_end()
    with dg.cuda.graph(graph), pytest.raises(RuntimeError, match="another graph"), dg.cuda.graph(dg.cuda.CUDAGraph()):
        pass
    with pytest.raises(RuntimeError, match="captured already"), dg.cuda.graph(graph):
        pass


def test_graphed_modules():
    dg.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).cuda()
    x = dg.randn(3, 4).cuda().requires_grad_()
    weight = dg.randn(3, 2).cuda()

    def gradients(net):
        x.grad = None
        net.zero_grad()
        out = net(x)
        (out * weight).sum().backward()
        return [out.detach().cpu().numpy(), *[t.grad.cpu().numpy() for t in (x, *net.parameters())]]

    eager = gradients(net)
    sample = dg.zeros(3, 4, device="cuda", requires_grad=True)
    graphed = dg.cuda.make_graphed_callables(net, (sample,))
    for got, want in zip(gradients(graphed), eager, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)
    with dg.no_grad():
        x.mul_(2)
    again = gradients(graphed)
    assert not np.allclose(again[0], eager[0])
    graphed.eval()  # the plain forward
    np.testing.assert_allclose(graphed(x).detach().cpu().numpy(), again[0], rtol=1e-6)


def test_graphed_functions():
    def both(a, b):
        return a * b, a + 1

    a, b = (dg.ones(3, device="cuda", requires_grad=True) for _ in range(2))
    graphed = dg.cuda.make_graphed_callables((both,), ((a, b),))[0]
    u, v = (dg.full((3,), n, device="cuda", requires_grad=True) for n in (2.0, 5.0))
    product, more = graphed(u, v)
    (product.sum() + 3 * more.sum()).backward()
    assert (product.tolist(), more.tolist()) == ([10] * 3, [3] * 3)
    assert (u.grad.tolist(), v.grad.tolist()) == ([8] * 3, [2] * 3)
