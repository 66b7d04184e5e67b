"""Attention and Transformer layers against torch."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from tests.nn.twins import built, close, copy_weights, ours, plain

RNG = np.random.default_rng(0)
STEPS, KEYS, BATCH, FEATURES = 3, 5, 2, 8


def leaf(*shape):
    x = torch.from_numpy(RNG.standard_normal(shape)).requires_grad_()
    return x, ours(x).requires_grad_()


def twins(source):
    theirs, mine = built(source)
    assert repr(mine) == plain(repr(theirs))
    theirs.double()
    mine.double()
    assert list(mine.state_dict()) == list(theirs.state_dict())
    copy_weights(theirs, mine)
    return theirs, mine


def same(theirs, mine, expected, actual, inputs):
    close(actual, expected, 1e-10, "output")
    g = RNG.standard_normal(tuple(expected.shape))
    expected.backward(torch.from_numpy(g))
    actual.backward(dg.tensor(g))
    for x, own in inputs:
        close(own.grad, x.grad, 1e-9, "gradient of an input")
    for (name, p), q in zip(theirs.named_parameters(), mine.parameters(), strict=True):
        if p.grad is not None:
            close(q.grad, p.grad, 1e-9, f"gradient of {name}")


@pytest.mark.parametrize(
    "source",
    [
        "nn.MultiheadAttention(8, 2)",
        "nn.MultiheadAttention(8, 4, bias=False, batch_first=True)",
        "nn.MultiheadAttention(8, 2, kdim=6, vdim=4)",
        "nn.MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True)",
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_its_torch_twin(source, masked):
    theirs, mine = twins(source)

    def shape(steps, features):
        return (BATCH, steps, features) if theirs.batch_first else (steps, BATCH, features)

    inputs = [leaf(*shape(STEPS, FEATURES)), leaf(*shape(KEYS, theirs.kdim)), leaf(*shape(KEYS, theirs.vdim))]
    options = {}
    if masked:
        padding = np.zeros((BATCH, KEYS), bool)
        padding[1, 3:] = True
        options = {"key_padding_mask": padding, "attn_mask": np.triu(np.ones((STEPS, KEYS), bool), 3)}
    expected, weights = theirs(*[x for x, _ in inputs], **{k: torch.from_numpy(v) for k, v in options.items()})
    actual, own = mine(*[x for _, x in inputs], **{k: dg.tensor(v) for k, v in options.items()})
    close(own, weights, 1e-10, "weights")
    same(theirs, mine, expected, actual, inputs)


def test_attention_of_one_sequence_and_all_heads():
    theirs, mine = twins("nn.MultiheadAttention(8, 2)")
    x, own = leaf(STEPS, FEATURES)
    mask = RNG.standard_normal((2, STEPS, STEPS))
    expected, weights = theirs(x, x, x, attn_mask=torch.from_numpy(mask), average_attn_weights=False)
    actual, mine_weights = mine(own, own, own, attn_mask=dg.tensor(mask), average_attn_weights=False)
    close(mine_weights, weights, 1e-10, "weights")
    same(theirs, mine, expected, actual, [(x, own)])
    assert mine(own, own, own, need_weights=False)[1] is None


@pytest.mark.parametrize(
    "options", ["dropout=0.0", "dropout=0.0, norm_first=True, activation='gelu'", "dropout=0.0, bias=False"]
)
def test_encoder_layer_is_its_torch_twin(options):
    theirs, mine = twins(f"nn.TransformerEncoderLayer(8, 2, 16, {options})")
    x, own = leaf(STEPS, BATCH, FEATURES)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(STEPS).double()
    assert dg.nn.Transformer.generate_square_subsequent_mask(STEPS).tolist() == mask.tolist()
    same(theirs, mine, theirs(x, mask), mine(own, ours(mask)), [(x, own)])


def test_decoder_layer_is_its_torch_twin():
    theirs, mine = twins("nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True)")
    pairs = [leaf(BATCH, STEPS, FEATURES), leaf(BATCH, KEYS, FEATURES)]
    same(theirs, mine, theirs(*[x for x, _ in pairs]), mine(*[x for _, x in pairs]), pairs)


def test_transformer_is_its_torch_twin():
    theirs, mine = twins("nn.Transformer(8, 2, 2, 1, 16, 0.0, batch_first=True)")
    pairs = [leaf(BATCH, KEYS, FEATURES), leaf(BATCH, STEPS, FEATURES)]
    same(theirs, mine, theirs(*[x for x, _ in pairs]), mine(*[x for _, x in pairs]), pairs)


def test_encoder_copies_its_layer():
    layer = dg.nn.TransformerEncoderLayer(8, 2, 16)
    encoder = dg.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    first, second = (encoder.layers[i].linear1.weight for i in (0, 1))
    assert first is not second
    np.testing.assert_array_equal(first.detach().numpy(), second.detach().numpy())
    assert len(list(encoder.parameters())) == 2 * len(list(layer.parameters()))


def test_dropout_acts_in_training_only():
    layer = dg.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5)
    x = dg.randn(STEPS, BATCH, FEATURES)
    assert np.abs((layer(x) - layer(x)).detach().numpy()).max() > 0
    layer.eval()
    np.testing.assert_array_equal(layer(x).detach().numpy(), layer(x).detach().numpy())


@pytest.mark.parametrize(
    "source",
    [
        "nn.MultiheadAttention(8, 3)",
        "nn.MultiheadAttention(0, 1)",
        "nn.MultiheadAttention(8, 2)(lib.zeros(3, 2, 7), lib.zeros(3, 2, 8), lib.zeros(3, 2, 8))",
        "nn.MultiheadAttention(8, 2)(lib.zeros(8), lib.zeros(8), lib.zeros(8))",
        "nn.TransformerEncoderLayer(8, 2, activation='tanh')",
        "nn.Transformer(8, 2, 1, 1, 8, batch_first=True)(lib.zeros(3, 2, 7), lib.zeros(3, 2, 8))",
    ],
)
def test_bad_arguments_raise_the_errors_that_torch_raises(source):
    kinds = []
    for library in (torch, dg):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is what is compared
            eval(source, {"nn": library.nn, "lib": library})
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]
