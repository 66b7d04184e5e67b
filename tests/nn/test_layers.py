"""Every layer against its twin in torch: printed form, state, output and gradients, in training and evaluation."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from tests.nn.twins import built, close, copy_weights, ours, plain

# (source, shape of the input)
IMAGE = (2, 4, 9, 8)
LAYERS = [
    ("nn.Identity(3, unused=1)", (2, 3)),
    ("nn.Linear(5, 3)", (4, 5)),
    ("nn.Linear(5, 3, bias=False)", (2, 4, 5)),
    ("nn.Linear(5, 1)", (5,)),
    ("nn.Linear(3, 2)", (0, 3)),
    ("nn.Conv2d(4, 6, 3)", IMAGE),
    ("nn.Conv2d(4, 6, 3)", (4, 9, 8)),
    ("nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), bias=False)", IMAGE),
    ("nn.Conv2d(4, 8, 3, padding=1, groups=4)", IMAGE),
    ("nn.Conv2d(4, 4, 1, groups=2, stride=2)", IMAGE),
    ("nn.Conv2d(4, 3, 3, padding='same', dilation=2)", IMAGE),
    ("nn.Conv2d(4, 3, (2, 3), padding='valid')", IMAGE),
    ("nn.Conv2d(4, 3, 3, padding=1, padding_mode='reflect')", IMAGE),
    ("nn.Conv2d(4, 3, 3, padding=(2, 1), padding_mode='circular')", IMAGE),
    ("nn.Conv2d(4, 3, 3, padding='same', padding_mode='replicate')", IMAGE),
    ("nn.BatchNorm1d(5)", (6, 5)),
    ("nn.BatchNorm1d(5, affine=False)", (6, 5, 3)),
    ("nn.BatchNorm1d(5, bias=False)", (6, 5)),
    ("nn.BatchNorm2d(4)", IMAGE),
    ("nn.BatchNorm2d(4, eps=1e-3, momentum=0.3)", IMAGE),
    ("nn.BatchNorm2d(4, momentum=None)", IMAGE),
    ("nn.BatchNorm2d(4, track_running_stats=False)", IMAGE),
    ("nn.BatchNorm3d(4)", (2, 4, 3, 2, 5)),
    ("nn.Conv1d(4, 6, 3, stride=2, padding=1)", (2, 4, 9)),
    ("nn.Conv1d(4, 4, 3, padding='same', padding_mode='circular', groups=2)", (4, 9)),
    ("nn.Conv3d(2, 4, (2, 3, 1), padding=(1, 0, 0), bias=False)", (2, 2, 4, 5, 3)),
    ("nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1)", (2, 4, 5)),
    ("nn.ConvTranspose2d(4, 6, 3, 2)", IMAGE),
    ("nn.ConvTranspose2d(4, 4, (3, 2), (2, 1), 1, (1, 0), groups=2, bias=False, dilation=2)", IMAGE),
    ("nn.ConvTranspose3d(4, 2, (2, 3, 1), 2, (0, 1, 0), (1, 0, 1), groups=2)", (2, 4, 3, 2, 4)),
    ("nn.MaxPool1d(3, 2)", (2, 4, 9)),
    ("nn.MaxPool3d(2, padding=1)", (2, 4, 5, 4, 6)),
    ("nn.AvgPool1d(3, 2, 1)", (2, 4, 9)),
    ("nn.AvgPool3d((2, 1, 3))", (2, 4, 5, 4, 6)),
    ("nn.AdaptiveAvgPool1d(4)", (2, 4, 9)),
    ("nn.AdaptiveAvgPool3d((2, None, 1))", (2, 4, 5, 4, 6)),
    ("nn.AdaptiveMaxPool1d(4)", (2, 4, 9)),
    ("nn.AdaptiveMaxPool3d(2)", (2, 4, 5, 4, 6)),
    ("nn.LPPool1d(2, 3)", (2, 4, 9)),
    ("nn.LPPool2d(2, 3, stride=2)", IMAGE),
    ("nn.LPPool3d(2, 2)", (2, 4, 5, 4, 6)),
    ("nn.Upsample(scale_factor=2)", IMAGE),
    ("nn.Upsample((5, 6), mode='bilinear', align_corners=True)", IMAGE),
    ("nn.UpsamplingNearest2d(scale_factor=2)", IMAGE),
    ("nn.UpsamplingBilinear2d(size=(4, 5))", IMAGE),
    ("nn.Unfold((2, 3), padding=1, stride=2)", IMAGE),
    ("nn.Fold((5, 4), (2, 3), 1, (1, 0), (2, 1))", (2, 6, 6)),
    ("nn.LayerNorm(8)", IMAGE),
    ("nn.LayerNorm((9, 8), bias=False)", IMAGE),
    ("nn.LayerNorm([4, 9, 8], elementwise_affine=False)", IMAGE),
    ("nn.RMSNorm(8, eps=1e-5)", IMAGE),
    ("nn.RMSNorm((9, 8), 1e-3, elementwise_affine=False)", IMAGE),
    ("nn.GroupNorm(2, 4)", IMAGE),
    ("nn.GroupNorm(4, 4, affine=False)", IMAGE),
    ("nn.InstanceNorm1d(5)", (6, 5, 3)),
    ("nn.InstanceNorm2d(4, affine=True)", IMAGE),
    ("nn.InstanceNorm2d(4, affine=True, track_running_stats=True)", IMAGE),
    ("nn.InstanceNorm3d(4, momentum=0.3, track_running_stats=True)", (2, 4, 3, 2, 5)),
    ("nn.LocalResponseNorm(3)", IMAGE),
    ("nn.PixelShuffle(2)", IMAGE),
    ("nn.PixelUnshuffle(2)", (2, 4, 8, 6)),
    ("nn.ChannelShuffle(2)", IMAGE),
    ("nn.Hardshrink(0.3)", IMAGE),
    ("nn.Softshrink()", IMAGE),
    ("nn.MaxPool2d(2)", IMAGE),
    ("nn.MaxPool2d((3, 2), stride=1, padding=1, dilation=(2, 1))", IMAGE),
    ("nn.MaxPool2d(3, 2, ceil_mode=True)", IMAGE),
    ("nn.AvgPool2d(2)", IMAGE),
    ("nn.AvgPool2d((3, 2), (2, 1), padding=1, ceil_mode=True, count_include_pad=False)", IMAGE),
    ("nn.AvgPool2d(3, divisor_override=2)", IMAGE),
    ("nn.AdaptiveAvgPool2d(1)", IMAGE),
    ("nn.AdaptiveAvgPool2d((None, 3))", IMAGE),
    ("nn.AdaptiveMaxPool2d((4, 5))", IMAGE),
    ("nn.Flatten()", IMAGE),
    ("nn.Flatten(0, 2)", IMAGE),
    ("nn.Unflatten(1, (2, -1))", IMAGE),
    ("nn.Unflatten(-1, [4, 2])", IMAGE),
    ("nn.Dropout(0.0)", IMAGE),
    ("nn.Dropout(1)", IMAGE),
    ("nn.Dropout2d(0.0, True)", IMAGE),
    ("nn.Dropout1d(0.0)", (2, 4, 9)),
    ("nn.Dropout3d(1)", (2, 4, 3, 2, 2)),
    ("nn.AlphaDropout(0.0)", IMAGE),
    ("nn.FeatureAlphaDropout(1)", IMAGE),
    ("nn.ReLU()", IMAGE),
    ("nn.ReLU(inplace=True)", IMAGE),
    ("nn.ReLU6()", IMAGE),
    ("nn.ReLU6(True)", IMAGE),
    ("nn.LeakyReLU()", IMAGE),
    ("nn.LeakyReLU(0.2, True)", IMAGE),
    ("nn.PReLU()", IMAGE),
    ("nn.PReLU(4, init=0.1)", IMAGE),
    ("nn.Hardtanh()", IMAGE),
    ("nn.Hardtanh(-0.5, 2.0, True)", IMAGE),
    ("nn.ELU(0.7)", IMAGE),
    ("nn.ELU(inplace=True)", IMAGE),
    ("nn.CELU(2.0)", IMAGE),
    ("nn.SELU(True)", IMAGE),
    ("nn.GELU()", IMAGE),
    ("nn.GELU('tanh')", IMAGE),
    ("nn.SiLU()", IMAGE),
    ("nn.SiLU(True)", IMAGE),
    ("nn.Mish(True)", IMAGE),
    ("nn.Hardsigmoid(True)", IMAGE),
    ("nn.Hardswish()", IMAGE),
    ("nn.Softplus(2, 1.5)", IMAGE),
    ("nn.Softsign()", IMAGE),
    ("nn.Tanhshrink()", IMAGE),
    ("nn.LogSigmoid()", IMAGE),
    ("nn.Threshold(0.1, 20)", IMAGE),
    ("nn.Threshold(0.1, 20, True)", IMAGE),
    ("nn.GLU()", IMAGE),
    ("nn.GLU(1)", IMAGE),
    ("nn.Sigmoid()", IMAGE),
    ("nn.Tanh()", IMAGE),
    ("nn.Softmax(dim=1)", IMAGE),
    ("nn.LogSoftmax(-1)", (4, 5)),
    ("nn.Softmin(dim=0)", (4, 5)),
    ("nn.Softmax2d()", IMAGE),
    ("nn.ZeroPad1d(2)", (2, 3, 4)),
    ("nn.ZeroPad2d((1, 0, 2, -1))", IMAGE),
    ("nn.ZeroPad3d(1)", (1, 2, 3, 3, 2)),
    ("nn.ConstantPad1d((1, 2), 3.5)", (3, 4)),
    ("nn.ConstantPad2d(1, -1.0)", IMAGE),
    ("nn.ConstantPad3d((0, 1, 2, 0, 1, 1), 2)", (1, 2, 3, 3, 2)),
    ("nn.ReflectionPad1d(2)", (2, 3, 4)),
    ("nn.ReflectionPad2d((1, 2, 3, 0))", IMAGE),
    ("nn.ReflectionPad3d(1)", (1, 2, 3, 3, 2)),
    ("nn.ReplicationPad1d((3, 0))", (2, 3, 4)),
    ("nn.ReplicationPad2d(2)", IMAGE),
    ("nn.ReplicationPad3d(1)", (1, 2, 3, 3, 2)),
    ("nn.CircularPad1d(2)", (2, 3, 4)),
    ("nn.CircularPad2d((1, 2, 3, 0))", IMAGE),
    ("nn.CircularPad3d(1)", (1, 2, 3, 3, 2)),
    (
        "nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(True), nn.MaxPool2d(2), "
        "nn.Flatten(), nn.Linear(54, 3))",
        IMAGE,
    ),
]


# torch computes with 1/6 rounded to float32 here, in float64 too
COARSE = {"nn.Hardsigmoid(True)": 1e-7}


def _inputs(shape, dtype, channels_last):
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(shape)).to(dtype)
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    return x.requires_grad_(), ours(x).requires_grad_()


def _compare(theirs, mine, shape, dtype, channels_last, rtol):
    x, own = _inputs(shape, dtype, channels_last)
    # An in-place layer may not be given a leaf.
    expected, actual = theirs(x * 1), mine(own * 1)
    close(actual, expected, rtol, "output")
    g = torch.from_numpy(np.random.default_rng(1).standard_normal(expected.shape)).to(dtype)
    expected.backward(g)
    actual.backward(ours(g))
    close(own.grad, x.grad, rtol, "gradient of the input")
    parameters = dict(mine.named_parameters())
    assert list(parameters) == [name for name, _ in theirs.named_parameters()]
    for name, p in theirs.named_parameters():
        close(parameters[name].grad, p.grad, rtol, f"gradient of {name}")
    buffers = dict(mine.named_buffers())
    assert list(buffers) == [name for name, _ in theirs.named_buffers()]
    for name, b in theirs.named_buffers():
        close(buffers[name], b, rtol, name)


@pytest.mark.parametrize(("source", "shape"), LAYERS)
def test_layer_is_its_torch_twin(source, shape):
    theirs, mine = built(source)
    assert repr(mine) == plain(repr(theirs))
    assert [(k, tuple(v.shape)) for k, v in mine.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    for dtype, own_dtype, rtol in ((torch.float32, dg.float32, 1e-5), (torch.float64, dg.float64, 1e-12)):
        theirs.to(dtype)
        assert mine.to(own_dtype) is mine
        copy_weights(theirs, mine)
        for training in (True, False):
            theirs.train(training)
            mine.train(training)
            for channels_last in (False, True) if len(shape) == 4 else (False,):
                theirs.zero_grad()
                mine.zero_grad()
                _compare(theirs, mine, shape, dtype, channels_last, max(rtol, COARSE.get(source, 0)))


@pytest.mark.parametrize(
    "source",
    ["nn.Embedding(6, 3)", "nn.Embedding(6, 3, padding_idx=2)", "nn.EmbeddingBag(6, 3, mode='sum', padding_idx=1)"],
)
def test_tables_are_their_torch_twins(source):
    theirs, mine = built(source)
    assert repr(mine) == plain(repr(theirs))
    padding = theirs.padding_idx
    assert padding is None or mine.weight[padding].abs().sum().item() == 0
    copy_weights(theirs, mine)
    rows = np.array([[0, 2, 5], [1, 2, 2]])
    expected, actual = theirs(torch.tensor(rows)), mine(dg.tensor(rows))
    close(actual, expected, 1e-6, "output")
    expected.square().sum().backward()
    actual.square().sum().backward()
    close(mine.weight.grad, theirs.weight.grad, 1e-6, "gradient of the table")
    frozen = dg.nn.Embedding.from_pretrained(dg.ones(2, 3), padding_idx=0)
    assert not frozen.weight.requires_grad


@pytest.mark.parametrize("source", ["nn.CosineSimilarity(-1)", "nn.PairwiseDistance(3.0, keepdim=True)"])
def test_distances_are_their_torch_twins(source):
    theirs, mine = built(source)
    assert repr(mine) == plain(repr(theirs))
    a, b = np.random.default_rng(0).standard_normal((2, 3, 4))
    close(mine(dg.tensor(a), dg.tensor(b)), theirs(torch.tensor(a), torch.tensor(b)), 1e-12, "output")


def test_max_unpooling_and_output_sizes():
    x, own = _inputs(IMAGE, torch.float32, False)
    results = []
    for library, given in ((torch, x), (dg, own)):
        y, places = library.nn.MaxPool2d(2, return_indices=True)(given)
        unpool = library.nn.MaxUnpool2d(2)
        up = library.nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1)
        results.append(
            (repr(unpool), unpool(y, places, output_size=given.shape), up(given, output_size=(17, 16)).shape)
        )
    (text, expected, size), (own_text, actual, own_size) = results
    assert own_text == text
    assert tuple(own_size) == tuple(size)
    close(actual, expected, 1e-6, "unpooled")


@pytest.mark.parametrize("source", ["nn.MaxPool2d(2, return_indices=True)", "nn.AdaptiveMaxPool2d(3, True)"])
def test_pools_return_the_places_of_maxima(source):
    theirs, mine = built(source)
    x, own = _inputs(IMAGE, torch.float32, False)
    for actual, expected in zip(mine(own), theirs(x), strict=True):
        np.testing.assert_array_equal(actual.detach().numpy(), expected.detach().numpy())


@pytest.mark.parametrize(
    "source",
    [
        "nn.Conv2d(3, 4, 3, groups=2)",
        "nn.Conv2d(4, 3, 3, groups=2)",
        "nn.Conv2d(4, 4, 3, groups=0)",
        "nn.Conv2d(4, 4, 3, padding='full')",
        "nn.Conv2d(4, 4, 3, padding='same', stride=2)",
        "nn.Conv2d(4, 4, 3, padding_mode='ones')",
        "nn.Dropout(1.5)",
        "nn.Dropout2d(-0.1)",
        "nn.Unflatten(1, 4)",
        "nn.Unflatten(1, (2.0, 2))",
        "nn.Hardtanh(1.0, -1.0)",
        "nn.BatchNorm2d(4)(lib.zeros(2, 4))",
        "nn.BatchNorm1d(4)(lib.zeros(2, 4, 3, 3))",
        "nn.BatchNorm1d(4)(lib.zeros(1, 4))",
        "nn.CircularPad2d(1)(lib.zeros(4, 4))",
        "nn.Softmax2d()(lib.zeros(4, 4))",
        "nn.Linear(3, 2)(lib.zeros(4, 4))",
        "nn.Conv2d(3, 2, 1)(lib.zeros(1, 4, 2, 2))",
    ],
)
def test_bad_arguments_raise_the_errors_that_torch_raises(source):
    kinds = []
    for library in (torch, dg):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is what is compared
            eval(source, {"nn": library.nn, "lib": library})
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]


def test_dropout_keeps_the_mean_and_only_acts_in_training():
    dg.manual_seed(0)
    x = dg.ones(200, 200)
    drop = dg.nn.Dropout(0.25)
    y = drop(x)
    assert sorted(set(np.unique(y.numpy()))) == [0.0, np.float32(1 / 0.75)]
    assert abs(y.mean().item() - 1) < 0.02
    assert drop.eval()(x) is x


def test_dropout2d_drops_whole_channels():
    dg.manual_seed(0)
    y = dg.nn.Dropout2d(0.5)(dg.ones(16, 16, 3, 3)).numpy().reshape(256, 9)
    assert {tuple(np.unique(row)) for row in y} == {(0.0,), (2.0,)}


def test_padding_takes_the_number_of_widths_it_names():
    with pytest.raises(ValueError, match="1 or 4 widths"):
        dg.nn.ZeroPad2d((1, 2))


@pytest.mark.parametrize("source", ["nn.Linear(64, 50)", "nn.Conv2d(16, 40, 3, groups=2)"])
def test_default_weights_are_uniform_in_the_bounds_of_torch(source):
    dg.manual_seed(0)
    torch.manual_seed(0)
    theirs, mine = built(source)
    fan_in = mine.weight[0].numel()
    for name in ("weight", "bias"):
        own, other = getattr(mine, name).detach().numpy(), getattr(theirs, name).detach().numpy()
        bound = 1 / np.sqrt(fan_in)
        assert np.abs(own).max() <= bound
        assert np.abs(own).max() > 0.9 * bound
        assert abs(own.std() / (bound / np.sqrt(3)) - 1) < 0.2
        assert abs(own.std() / other.std() - 1) < 0.3


def test_layers_take_device_and_dtype():
    for layer in (
        dg.nn.Linear(2, 3, device="cpu", dtype=dg.float64),
        dg.nn.Conv2d(2, 3, 1, device="cpu", dtype=dg.float64),
        dg.nn.BatchNorm2d(2, device="cpu", dtype=dg.float64),
        dg.nn.PReLU(device="cpu", dtype=dg.float64),
    ):
        assert {p.dtype for p in layer.parameters()} == {dg.float64}
    assert dg.nn.BatchNorm2d(2, dtype=dg.float64).num_batches_tracked.dtype is dg.int64
