"""An LSTM layer as one node, its gradients and theirs, against PyTorch in float64."""

import itertools

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.nn.utils import rnn as packing
from deepgpu.ops.lstm import Lstm, lstm
from deepgpu.ops.recurrent import lstm_cell, recur

LENGTHS = {"padded": [7, 7, 7, 7, 7], "packed": [7, 6, 6, 3, 1], "one step": [1, 1], "one sequence": [4]}
WIDTHS = [(3, 5), (16, 16), (9, 40)]  # of input and state: panels that are not whole, and whole ones


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def layers(width, hidden, reverse, bias=True):
    """Ours in float32 and PyTorch's in float64 with the same parameters: in both directions, or in one."""
    theirs = torch.nn.LSTM(width, hidden, bias=bias, bidirectional=reverse, dtype=torch.float64)
    ours = dg.nn.LSTM(width, hidden, bias=bias, bidirectional=reverse)
    ours.load_state_dict({k: dg.tensor(v.numpy(), dtype=dg.float32) for k, v in theirs.state_dict().items()})
    theirs.load_state_dict({k: torch.tensor(v.numpy(), dtype=torch.float64) for k, v in ours.state_dict().items()})
    return ours, theirs


def run(library, pack, layer, x, lengths, state):
    packed = pack(x, lengths)
    y, last = layer(packed, state)
    return y.data, *last


def sequences(rng, lengths, width, hidden, reverse):
    batch, directions = len(lengths), 2 if reverse else 1
    arrays = [(max(lengths), batch, width), (directions, batch, hidden), (directions, batch, hidden)]
    return [rng.standard_normal(shape).astype(np.float32) for shape in arrays]


def leaves(library, arrays, dtype):
    return [library.tensor(a, dtype=dtype, requires_grad=True) for a in arrays]


def weighted(outputs, library):
    """A sum in which every output counts differently."""
    return sum((o * library.arange(1, o.numel() + 1).reshape(o.shape).cos()).sum() for o in outputs)


def assert_close(found, exact, tolerance):
    for mine, theirs in zip(found, exact, strict=True):
        theirs = theirs.detach().numpy()
        np.testing.assert_allclose(mine.detach().numpy(), theirs, rtol=0, atol=tolerance * max(abs(theirs).max(), 1))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_values_and_gradients(lengths, widths, reverse, rng):
    ours, theirs = layers(*widths, reverse)
    arrays = sequences(rng, LENGTHS[lengths], *widths, reverse)
    found = []
    for library, pack, layer, dtype in (
        (dg, packing.pack_padded_sequence, ours, dg.float32),
        (torch, torch.nn.utils.rnn.pack_padded_sequence, theirs, torch.float64),
    ):
        x, h, c = leaves(library, arrays, dtype)
        outputs = run(library, pack, layer, x, LENGTHS[lengths], (h, c))
        weighted(outputs, library).backward()
        found.append([*outputs, x.grad, h.grad, c.grad, *[p.grad for p in layer.parameters()]])
    assert_close(*found, 3e-6)


def test_a_layer_is_one_node():
    model, x = dg.nn.LSTM(4, 8), dg.randn(6, 3, 4)
    y, _ = model(x)
    nodes, names = [y.grad_fn], []
    while nodes:
        node = nodes.pop()
        names.append(type(node).__name__)
        nodes += [n for n, _ in node.next_functions if n is not None]
    assert names.count("Lstm") == 1
    assert "LstmGates" not in names
    y, _ = model.double()(x.double())
    assert type(y.grad_fn.next_functions[0][0]) is not Lstm


@pytest.mark.parametrize("wanted", list(itertools.product([False, True], repeat=2))[1:])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_gradients(reverse, wanted, rng):
    """Of a penalty on the gradient with respect to the input and the first state."""
    lengths, widths = LENGTHS["packed"], (3, 5)
    ours, theirs = layers(*widths, reverse)
    arrays = sequences(rng, lengths, *widths, reverse)
    found = []
    for library, pack, layer, dtype in (
        (dg, packing.pack_padded_sequence, ours, dg.float32),
        (torch, torch.nn.utils.rnn.pack_padded_sequence, theirs, torch.float64),
    ):
        x, h, c = leaves(library, arrays, dtype)
        x.requires_grad_(wanted[0])
        h.requires_grad_(wanted[1])
        outputs = run(library, pack, layer, x, lengths, (h, c))
        of = [t for t in (x, h) if t.requires_grad]
        grads = library.autograd.grad(weighted(outputs, library), of, create_graph=True)
        weighted(grads, library).backward()
        found.append([*grads, *[t.grad for t in (*of, c)], *[p.grad for p in layer.parameters() if p.grad is not None]])
    assert_close(*found, 2e-5)


@pytest.mark.parametrize("bias", [False, True])
def test_as_step_by_step(bias, rng):
    """The plain recurrence of the same dtype beside it; only the order of sums differs."""
    sizes, width, hidden = (6, 6, 4, 1), 5, 12
    shapes = [(sum(sizes), width), (4 * hidden, width), (4 * hidden,), (4 * hidden, hidden), (6, hidden), (6, hidden)]
    x, w, b, recurrent, h, c = (dg.tensor(rng.standard_normal(s).astype(np.float32) / 2) for s in shapes)
    b = b if bias else None
    for reverse in (False, True):
        y, last = lstm(x, w, b, recurrent, (h, c), sizes, reverse)
        slow, its_last = recur(
            lstm_cell(recurrent, None, None), dg.nn.functional.linear(x, w, b), sizes, (h, c), reverse
        )
        assert_close((y, *last), (slow, *its_last), 1e-6)


def test_outputs_may_be_modified_in_place():
    model, x = dg.nn.LSTM(4, 8), dg.randn(6, 3, 4)
    grads = []
    for in_place in (False, True):
        model.zero_grad()
        y, _ = model(x)
        y = y.mul_(2) if in_place else y * 2
        y.sum().backward()
        grads.append([p.grad.numpy() for p in model.parameters()])
    for plain, changed in zip(*grads, strict=True):
        np.testing.assert_array_equal(plain, changed)


def test_backward_twice_needs_retain_graph():
    model, x = dg.nn.LSTM(4, 8), dg.randn(6, 3, 4)
    y, _ = model(x)
    y.sum().backward(retain_graph=True)
    first = model.weight_hh_l0.grad.clone()
    y.sum().backward()
    np.testing.assert_allclose(model.weight_hh_l0.grad.numpy(), 2 * first.numpy(), rtol=1e-6)
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_weights_modified_before_backward_are_noticed():
    model, x = dg.nn.LSTM(4, 8), dg.randn(6, 3, 4)
    y, _ = model(x)
    with dg.no_grad():
        model.weight_hh_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified in place"):
        y.sum().backward()


def test_any_number_of_threads_gives_the_same_bits():
    model, x = dg.nn.LSTM(32, 64), dg.randn(5, 33, 32)
    before, found = dg.get_num_threads(), []
    try:
        for threads in (1, before):
            dg.set_num_threads(threads)
            model.zero_grad()
            y, _ = model(x)
            y.sum().backward()
            found.append([y.detach().numpy(), *[p.grad.numpy() for p in model.parameters()]])
    finally:
        dg.set_num_threads(before)
    for one, several in zip(*found, strict=True):
        np.testing.assert_array_equal(one, several)


def test_infinities_stay_with_their_sequence():
    model, x = dg.nn.LSTM(4, 8), dg.randn(6, 3, 4)
    usual, _ = model(x)
    x[2, 1] = float("nan")
    y, (h, _) = model(x)
    assert bool(y[2:, 1].isnan().all())
    assert bool(h[:, 1].isnan().all())
    for i in (0, 2):
        np.testing.assert_array_equal(y[:, i].detach().numpy(), usual[:, i].detach().numpy())
