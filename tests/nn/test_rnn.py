"""Recurrent layers against torch: outputs, states, gradients, packed sequences."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.nn.utils import rnn as packing
from deepgpu.ops.recurrent import GruGates, LstmGates
from tests.nn.twins import built, close, copy_weights, ours, plain

LAYERS = [
    "nn.RNN(3, 4)",
    "nn.RNN(3, 4, 2, nonlinearity='relu', bidirectional=True)",
    "nn.RNN(3, 4, 2, 'relu', False)",
    "nn.LSTM(3, 4)",
    "nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True)",
    "nn.LSTM(3, 4, bias=False)",
    "nn.LSTM(3, 4, num_layers=2, proj_size=2, bidirectional=True)",
    "nn.LSTM(3, 4, num_layers=2, dropout=0.0)",
    "nn.GRU(3, 4)",
    "nn.GRU(3, 4, 3, bidirectional=True)",
    "nn.GRU(3, 4, 2, bias=False, batch_first=True)",
]
CELLS = ["nn.RNNCell(3, 4)", "nn.RNNCell(3, 4, False, 'relu')", "nn.LSTMCell(3, 4)", "nn.GRUCell(3, 4, bias=False)"]
RNG = np.random.default_rng(0)


def flat(result):
    """The tensors of a nested result."""
    return [t for part in result for t in flat(part)] if isinstance(result, tuple) else [result]


def twins(source):
    theirs, mine = built(source)
    assert repr(mine) == plain(repr(theirs))
    theirs.double()
    mine.double()
    copy_weights(theirs, mine)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    return theirs, mine


def same(theirs, mine, expected, actual, inputs):
    """Results, and the gradients of inputs and parameters for random cotangents."""
    for e, a in zip(flat(expected), flat(actual), strict=True):
        close(a, e, 1e-12, "result")
    weights = [RNG.standard_normal(tuple(e.shape)) for e in flat(expected)]
    sum((e * torch.from_numpy(w)).sum() for e, w in zip(flat(expected), weights, strict=True)).backward()
    sum((a * dg.tensor(w)).sum() for a, w in zip(flat(actual), weights, strict=True)).backward()
    for x, own in inputs:
        close(own.grad, x.grad, 1e-12, "gradient of an input")
    for (name, p), q in zip(theirs.named_parameters(), mine.parameters(), strict=True):
        close(q.grad, p.grad, 1e-11, f"gradient of {name}")


def leaf(*shape):
    x = torch.from_numpy(RNG.standard_normal(shape)).requires_grad_()
    return x, ours(x).requires_grad_()


def states(theirs, batch):
    """Random first states in both libraries."""
    count = theirs.num_layers * (2 if theirs.bidirectional else 1)
    shape = () if batch is None else (batch,)
    made = [leaf(count, *shape, theirs.proj_size or theirs.hidden_size)]
    if theirs.mode == "LSTM":
        made.append(leaf(count, *shape, theirs.hidden_size))
        return made, tuple(a for a, _ in made), tuple(b for _, b in made)
    return made, *made[0]


@pytest.mark.parametrize("source", LAYERS)
@pytest.mark.parametrize("batch", [2, None])
def test_layer_is_its_torch_twin(source, batch):
    theirs, mine = twins(source)
    shape = (5, 3) if batch is None else (batch, 5, 3) if theirs.batch_first else (5, batch, 3)
    x, own = leaf(*shape)
    same(theirs, mine, theirs(x), mine(own), [(x, own)])
    theirs.zero_grad()
    mine.zero_grad()
    x.grad = own.grad = None
    made, hx, own_hx = states(theirs, batch)
    same(theirs, mine, theirs(x, hx), mine(own, own_hx), [(x, own), *made])


@pytest.mark.parametrize("source", LAYERS)
@pytest.mark.parametrize("lengths", [[5, 3, 3, 1], [2, 5, 1, 4]])
def test_packed_sequences(source, lengths):
    theirs, mine = twins(source)
    made, hx, own_hx = states(theirs, 4)
    x, own = leaf(5, 4, 3)
    in_order = lengths == sorted(lengths, reverse=True)
    results = []
    for library, layer, given, state in ((torch.nn.utils.rnn, theirs, x, hx), (packing, mine, own, own_hx)):
        packed = library.pack_padded_sequence(given, lengths, enforce_sorted=in_order)
        out, final = layer(packed, state)
        padded, counts = library.pad_packed_sequence(out, batch_first=True, padding_value=-1.0, total_length=6)
        assert counts.tolist() == lengths
        results.append((padded, final))
    same(theirs, mine, *results, [(x, own), *made])


@pytest.mark.parametrize("source", CELLS)
@pytest.mark.parametrize("shape", [(2, 3), (3,)])
def test_cell_is_its_torch_twin(source, shape):
    theirs, mine = twins(source)
    x, own = leaf(*shape)
    same(theirs, mine, theirs(x), mine(own), [(x, own)])
    theirs.zero_grad()
    mine.zero_grad()
    x.grad = own.grad = None
    made = [leaf(*shape[:-1], 4) for _ in range(2 if "LSTM" in source else 1)]
    hx, own_hx = (tuple(part) for part in zip(*made, strict=True)) if len(made) > 1 else made[0]
    same(theirs, mine, theirs(x, hx), mine(own, own_hx), [(x, own), *made])


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_second_derivatives(name):
    layer = getattr(dg.nn, name)(2, 3, bidirectional=True).double()
    x = dg.randn(2, 2, 2, dtype=dg.float64, requires_grad=True)
    assert dg.autograd.gradgradcheck(lambda x: layer(x)[0], [x], fast_mode=True)


def test_second_derivatives_of_the_gates():
    wide, narrow = (dg.randn(2, n, dtype=dg.float64, requires_grad=True) for n in (12, 9))
    gates, state = dg.randn(2, 9, dtype=dg.float64, requires_grad=True), narrow.detach()[:, :3].requires_grad_()
    for function, given in (
        (lambda g, c: LstmGates()(g, c), [wide, state]),
        (lambda x, g, h: GruGates()(x, g, h), [narrow, gates, state]),
    ):
        assert dg.autograd.gradcheck(function, given)
        assert dg.autograd.gradgradcheck(function, given)


def test_dropout_acts_between_layers_in_training_only():
    layer = dg.nn.LSTM(3, 8, 2, dropout=1.0)
    x = dg.randn(4, 2, 3)
    out, _ = layer(x)
    np.testing.assert_allclose(out[:, 0].detach().numpy(), out[:, 1].detach().numpy())  # nothing came through
    out, _ = layer.eval()(x)
    assert np.abs(out[:, 0].detach().numpy() - out[:, 1].detach().numpy()).max() > 1e-3


def test_a_long_sequence_takes_memory_in_proportion():
    """The gradients of the steps meet in one concatenation, not in one array of all steps each."""
    layer = dg.nn.GRU(2, 3)
    x = dg.randn(2000, 1, 2, requires_grad=True)
    layer(x)[0].sum().backward()
    assert dg.isfinite(x.grad).all().item()


def test_packing():
    parts = [RNG.standard_normal((n, 2)) for n in (3, 1, 2)]
    theirs = torch.nn.utils.rnn.pack_sequence([torch.from_numpy(p) for p in parts], enforce_sorted=False)
    mine = packing.pack_sequence([dg.tensor(p) for p in parts], enforce_sorted=False)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for part, back in zip(parts, packing.unpack_sequence(mine), strict=True):
        np.testing.assert_array_equal(back.numpy(), part)
    for side in ("left", "right"):
        for first in (False, True):
            a = packing.pad_sequence([dg.tensor(p) for p in parts], first, 7.0, side)
            b = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(p) for p in parts], first, 7.0, side)
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert mine.float().data.dtype is dg.float32


@pytest.mark.parametrize(
    ("lengths", "message"),
    [([1, 3], "falling"), ([3], "2 lengths"), ([3, 0], "positive"), ([9, 1], "at most 3")],
)
def test_lengths_that_do_not_fit(lengths, message):
    with pytest.raises(RuntimeError, match=f"`pack_padded_sequence`: `lengths` takes.*{message}"):
        packing.pack_padded_sequence(dg.zeros(3, 2, 4), lengths)


@pytest.mark.parametrize(
    "source",
    [
        "nn.LSTM(3, 4)(lib.zeros(2, 2, 2))",
        "nn.LSTM(3, 4)(lib.zeros(2, 2, 2, 3))",
        "nn.GRU(3, 4)(lib.zeros(2, 2, 3), lib.zeros(1, 3, 4))",
        "nn.GRU(3, 0)",
        "nn.GRU(3, 4, num_layers=0)",
        "nn.LSTM(3, 4, proj_size=4)",
        "nn.RNN(3, 4, nonlinearity='gelu')",
        "nn.LSTM(3, 4, 2, dropout=1.5)",
        "nn.LSTMCell(3, 4)(lib.zeros(2, 2))",
        "nn.RNNCell(3, 4, nonlinearity='gelu')(lib.zeros(2, 3))",
    ],
)
def test_bad_arguments_raise_the_errors_that_torch_raises(source):
    kinds = []
    for library in (torch, dg):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is what is compared
            eval(source, {"nn": library.nn, "lib": library})
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]
