"""Loss modules against torch: value and gradient."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from tests.nn.twins import close, copy_weights, ours, plain

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((6, 4))
DENSE = RNG.standard_normal((3, 4, 2, 5))
CLASSES = np.array([0, 3, 1, 2, 2, 0])
DENSE_CLASSES = RNG.integers(0, 4, (3, 2, 5))
PROBABILITIES = RNG.random((6, 4))
WEIGHT = "lib.tensor([0.5, 1.0, 2.0, 0.1], dtype=lib.float64)"

# (source, input, target)
LOSSES = [
    ("nn.CrossEntropyLoss()", LOGITS, CLASSES),
    ("nn.CrossEntropyLoss()", LOGITS[0], np.array(2)),
    ("nn.CrossEntropyLoss()", DENSE, DENSE_CLASSES),
    (f"nn.CrossEntropyLoss(weight={WEIGHT}, ignore_index=2)", LOGITS, CLASSES),
    (f"nn.CrossEntropyLoss({WEIGHT}, label_smoothing=0.1, reduction='sum')", DENSE, DENSE_CLASSES),
    ("nn.CrossEntropyLoss(label_smoothing=0.2, ignore_index=0)", LOGITS, CLASSES),
    ("nn.CrossEntropyLoss(reduction='none')", LOGITS, CLASSES),
    ("nn.CrossEntropyLoss()", LOGITS, PROBABILITIES),
    (f"nn.CrossEntropyLoss({WEIGHT}, label_smoothing=0.3)", LOGITS, PROBABILITIES),
    ("nn.NLLLoss()", LOGITS, CLASSES),
    (f"nn.NLLLoss({WEIGHT}, ignore_index=3)", LOGITS, CLASSES),
    ("nn.NLLLoss(reduction='none')", DENSE, DENSE_CLASSES),
    ("nn.MSELoss()", LOGITS, PROBABILITIES),
    ("nn.MSELoss(reduction='sum')", LOGITS, PROBABILITIES),
    ("nn.L1Loss(reduction='none')", LOGITS, PROBABILITIES),
    ("nn.SmoothL1Loss()", LOGITS, PROBABILITIES),
    ("nn.SmoothL1Loss(beta=0.3, reduction='sum')", LOGITS, PROBABILITIES),
    ("nn.HuberLoss(delta=0.5)", LOGITS, PROBABILITIES),
    ("nn.BCELoss()", RNG.random((6, 4)), PROBABILITIES),
    (f"nn.BCELoss({WEIGHT}, reduction='sum')", RNG.random((6, 4)), PROBABILITIES),
    ("nn.BCEWithLogitsLoss()", LOGITS * 30, PROBABILITIES),
    (f"nn.BCEWithLogitsLoss({WEIGHT}, pos_weight={WEIGHT})", LOGITS, PROBABILITIES),
]


@pytest.mark.parametrize(("source", "x", "target"), LOSSES)
def test_loss_is_its_torch_twin(source, x, target):
    results = []
    for library in (torch, dg):
        loss = eval(source, {"nn": library.nn, "lib": library})
        own = library.from_numpy(x.copy()).requires_grad_()
        value = loss(own, library.from_numpy(target.copy()))
        value.sum().backward()
        results.append((loss, value, own.grad))
    (theirs, *expected), (mine, *actual) = results
    assert repr(mine) == plain(repr(theirs))
    assert list(mine.state_dict()) == list(theirs.state_dict())
    copy_weights(theirs, mine)
    for a, e, what in zip(actual, expected, ("value", "gradient"), strict=True):
        close(a, e, 1e-12, what)


def test_weight_moves_with_the_module():
    loss = dg.nn.CrossEntropyLoss(weight=ours(torch.ones(4)))
    assert loss.double().weight.dtype is dg.float64


@pytest.mark.parametrize(
    ("source", "x", "target"),
    [
        ("nn.BCELoss()", RNG.random(3), RNG.random(4)),
        ("nn.BCELoss()", np.array([1.5]), np.array([1.0])),
        ("nn.MSELoss(reduction='median')", RNG.random(3), RNG.random(3)),
        ("nn.CrossEntropyLoss()", LOGITS, np.full(6, 7)),
    ],
)
def test_bad_arguments_raise_the_errors_that_torch_raises(source, x, target):
    kinds = []
    for library in (torch, dg):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is what is compared
            eval(source, {"nn": library.nn})(library.from_numpy(x.copy()), library.from_numpy(target.copy()))
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]


SIGNS = np.where(RNG.random(6) > 0.5, 1.0, -1.0)
OTHERS = [
    ("nn.HingeEmbeddingLoss(0.5)", (LOGITS[:, 0], SIGNS)),
    ("nn.MarginRankingLoss(0.2)", (LOGITS[:, 0], LOGITS[:, 1], SIGNS)),
    ("nn.CosineEmbeddingLoss(0.2, reduction='sum')", (LOGITS, PROBABILITIES, SIGNS)),
    ("nn.SoftMarginLoss()", (LOGITS[:, 0], SIGNS)),
    ("nn.TripletMarginLoss(2.0, p=1.0, swap=True)", (LOGITS, PROBABILITIES, LOGITS[::-1].copy())),
    ("nn.TripletMarginWithDistanceLoss(margin=0.5)", (LOGITS, PROBABILITIES, LOGITS[::-1].copy())),
    (f"nn.MultiMarginLoss(2, 0.7, {WEIGHT})", (LOGITS, CLASSES)),
    ("nn.MultiLabelMarginLoss()", (LOGITS, np.tile([1, 3, -1, 0], (6, 1)))),
    (f"nn.MultiLabelSoftMarginLoss({WEIGHT})", (LOGITS, PROBABILITIES)),
    ("nn.KLDivLoss(reduction='batchmean', log_target=True)", (LOGITS, LOGITS / 2)),
    ("nn.PoissonNLLLoss(full=True)", (LOGITS, PROBABILITIES * 4)),
    ("nn.GaussianNLLLoss(full=True)", (LOGITS, PROBABILITIES, PROBABILITIES[:, :1] + 0.1)),
    ("nn.CTCLoss(blank=3)", (np.log(RNG.dirichlet(np.ones(4), (7, 2))), np.array([[0, 1], [2, 2]]), (7, 7), (2, 2))),
]


@pytest.mark.parametrize(("source", "arguments"), OTHERS)
def test_loss_of_several_is_its_torch_twin(source, arguments):
    results = []
    for library in (torch, dg):
        loss = eval(source, {"nn": library.nn, "lib": library})
        given = [library.from_numpy(x.copy()) if isinstance(x, np.ndarray) else x for x in arguments]
        results.append((loss, loss(*given)))
    (theirs, expected), (mine, actual) = results
    assert plain(repr(mine)) == plain(repr(theirs))
    close(actual, expected, 1e-12, "value")


def test_deprecated_reductions():
    x, t = dg.zeros(3), dg.ones(3)
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert dg.nn.functional.soft_margin_loss(x, t, size_average=False).shape == ()
    with pytest.warns(UserWarning, match="batchmean"):
        dg.nn.functional.kl_div(x, t)
