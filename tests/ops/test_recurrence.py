"""A recurrent layer as one node, its gradients and theirs, against PyTorch in float64."""

import itertools

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.nn.utils import rnn as packing
from deepgpu.ops.recurrence import Recurrence, recurrence
from deepgpu.ops.recurrent import gru_cell, lstm_cell, recur, rnn_cell

LENGTHS = {"padded": [7, 7, 7, 7, 7], "packed": [7, 6, 6, 3, 1], "one step": [1, 1], "one sequence": [4]}
WIDTHS = [(3, 5), (16, 16), (9, 40)]  # of input and state: panels that are not whole, and whole ones


@pytest.fixture
def rng():
    return np.random.default_rng(0)


LAYERS = {"lstm": ("LSTM", {}), "gru": ("GRU", {}), "tanh": ("RNN", {}), "relu": ("RNN", {"nonlinearity": "relu"})}
KINDS = pytest.mark.parametrize("kind", LAYERS)


def layers(kind, width, hidden, reverse):
    """Ours in float32 and PyTorch's in float64 with the same parameters: in both directions, or in one."""
    name, options = LAYERS[kind]
    theirs = getattr(torch.nn, name)(width, hidden, bidirectional=reverse, dtype=torch.float64, **options)
    ours = getattr(dg.nn, name)(width, hidden, bidirectional=reverse, **options)
    ours.load_state_dict({k: dg.tensor(v.numpy(), dtype=dg.float32) for k, v in theirs.state_dict().items()})
    theirs.load_state_dict({k: torch.tensor(v.numpy(), dtype=torch.float64) for k, v in ours.state_dict().items()})
    return ours, theirs


def run(pack, layer, x, lengths, state):
    y, last = layer(pack(x, lengths), tuple(state) if len(state) > 1 else state[0])
    return y.data, *(last if isinstance(last, tuple) else (last,))


def sequences(rng, kind, lengths, width, hidden, reverse):
    """The input, and the first states."""
    state = 2 if reverse else 1, len(lengths), hidden
    shapes = [(max(lengths), len(lengths), width), *[state] * (2 if kind == "lstm" else 1)]
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


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
@KINDS
def test_values_and_gradients(kind, lengths, widths, reverse, rng):
    ours, theirs = layers(kind, *widths, reverse)
    arrays = sequences(rng, kind, LENGTHS[lengths], *widths, reverse)
    found = []
    for library, pack, layer, dtype in (
        (dg, packing.pack_padded_sequence, ours, dg.float32),
        (torch, torch.nn.utils.rnn.pack_padded_sequence, theirs, torch.float64),
    ):
        x, *state = leaves(library, arrays, dtype)
        outputs = run(pack, layer, x, LENGTHS[lengths], state)
        weighted(outputs, library).backward()
        found.append([*outputs, *[t.grad for t in (x, *state, *layer.parameters())]])
    assert_close(*found, 3e-6)


@KINDS
def test_a_layer_is_one_node(kind):
    model, _ = layers(kind, 4, 8, False)
    x = dg.randn(6, 3, 4)
    y, _ = model(x)
    assert sum(type(node) is Recurrence for node in graph(y)) == 1
    assert len(graph(y)) < 12  # not 6 steps of some nodes each
    y, _ = model.double()(x.double())
    assert not any(type(node) is Recurrence for node in graph(y))


def graph(y):
    """All nodes that made a tensor."""
    waiting, found = [y.grad_fn], []
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += [n for n, _ in node.next_functions if n is not None]
    return found


@pytest.mark.parametrize("wanted", list(itertools.product([False, True], repeat=2))[1:])
@pytest.mark.parametrize("reverse", [False, True])
@KINDS
def test_gradients_of_gradients(kind, reverse, wanted, rng):
    """Of a penalty on the gradient with respect to the input and the first state."""
    lengths, widths = LENGTHS["packed"], (3, 5)
    ours, theirs = layers(kind, *widths, reverse)
    arrays = sequences(rng, kind, lengths, *widths, reverse)
    found = []
    for library, pack, layer, dtype in (
        (dg, packing.pack_padded_sequence, ours, dg.float32),
        (torch, torch.nn.utils.rnn.pack_padded_sequence, theirs, torch.float64),
    ):
        x, *state = leaves(library, arrays, dtype)
        for t, is_wanted in zip((x, state[0]), wanted, strict=True):
            t.requires_grad_(is_wanted)
        outputs = run(pack, layer, x, lengths, state)
        of = [t for t in (x, state[0]) if t.requires_grad]
        grads = library.autograd.grad(weighted(outputs, library), of, create_graph=True)
        weighted(grads, library).backward()
        for t in (*of, *layer.parameters()):  # a gradient through ReLU does not depend on a bias
            grads = [*grads, library.zeros(t.shape) if t.grad is None else t.grad]
        found.append(grads)
    assert_close(*found, 2e-5)


CELLS = {
    "lstm": (4, lambda w, b: lstm_cell(w, b, None)),
    "gru": (3, gru_cell),
    "tanh": (1, lambda w, b: rnn_cell(w, b, "tanh")),
    "relu": (1, lambda w, b: rnn_cell(w, b, "relu")),
}


@pytest.mark.parametrize("bias", [False, True])
@KINDS
def test_as_step_by_step(kind, bias, rng):
    """The plain recurrence of the same dtype beside it; only the order of sums differs."""
    sizes, width, hidden = (6, 6, 4, 1), 5, 12
    gates, cell = CELLS[kind]
    shapes = [(sum(sizes), width), (gates * hidden, width), (gates * hidden,), (gates * hidden, hidden)]
    shapes += [(gates * hidden,), *[(6, hidden)] * (2 if kind == "lstm" else 1)]
    x, w, b, recurrent, other, *state = (dg.tensor(rng.standard_normal(s).astype(np.float32) / 4) for s in shapes)
    b, other = (b, other) if bias else (None, None)
    for reverse in (False, True):
        y, last = recurrence(kind, x, w, b, recurrent, other, tuple(state), sizes, reverse)
        product = dg.nn.functional.linear(x, w, b)
        slow, its_last = recur(cell(recurrent, other), product, sizes, tuple(state), reverse)
        assert_close((y, *last), (slow, *its_last), 1e-6)


@KINDS
def test_outputs_may_be_modified_in_place(kind):
    (model, _), x = layers(kind, 4, 8, False), dg.randn(6, 3, 4)
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


@KINDS
def test_any_number_of_threads_gives_the_same_bits(kind):
    (model, _), x = layers(kind, 32, 64, False), dg.randn(5, 33, 32)
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
