"""Splits, metrics, evaluation, early stopping, display, device."""

import io
import math

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu import nn
from deepgpu.train import EarlyStopping, Totals, choose_device, evaluate, holdout, k_fold
from deepgpu.train.display import Bar, Lines, View, display_for, duration
from deepgpu.train.metrics import Speed, edit_distance


def test_holdout_parts_the_samples():
    train, validation = holdout(101, 0.2, seed=1)
    assert (len(train), len(validation)) == (81, 20)
    assert sorted(train + validation) == list(range(101))
    assert holdout(101, 0.2, seed=1) == (train, validation)
    assert holdout(101, 0.2, seed=2)[1] != validation
    assert holdout(10, 0.0)[1] == []
    with pytest.raises(ValueError, match="`share` takes"):
        holdout(10, 1.0)


def test_k_fold_judges_each_sample_once():
    folds = list(k_fold(23, 5, seed=1))
    assert sorted(i for _, v in folds for i in v) == list(range(23))
    for train, validation in folds:
        assert sorted(train + validation) == list(range(23))
        assert len(validation) in (4, 5)
    with pytest.raises(ValueError, match="`k` takes"):
        list(k_fold(3, 4))


def test_totals_are_means_over_samples():
    totals = Totals()
    logits = torch.randn(10, 4)
    labels = torch.randint(4, (10,))
    for part in (slice(0, 7), slice(7, 10)):
        loss = torch.nn.functional.cross_entropy(logits[part], labels[part]).item()
        totals.add(loss, dg.from_numpy(logits[part].numpy()), dg.from_numpy(labels[part].numpy()))
    assert totals.mean_loss == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-6)
    assert totals.accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    assert Totals(**totals.state_dict()) == totals
    assert math.isnan(Totals().accuracy)
    assert math.isnan(Totals().mean_loss)


def test_totals_of_segmentation_count_pixels():
    totals = Totals()
    logits, labels = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 4, 5))
    totals.add(1.0, dg.from_numpy(logits.numpy()), dg.from_numpy(labels.numpy()))
    assert totals.labels == 40
    assert totals.accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item())


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_leaves_the_model_as_it_was(training):
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2)).train(training)
    before = [t.numpy().copy() for t in net.state_dict().values()]
    x, y = dg.randn(20, 3), dg.randint(0, 2, (20,))
    seen = []
    found = evaluate(net, [(x[:8], y[:8]), (x[8:], y[8:])], after_batch=lambda t: seen.append(t.samples))
    assert seen == [8, 20]
    assert net.training == training
    for a, b in zip(net.state_dict().values(), before, strict=True):
        np.testing.assert_array_equal(a.numpy(), b)
    net.eval()
    assert found.mean_loss == pytest.approx(nn.functional.cross_entropy(net(x), y).item(), rel=1e-5)


def test_early_stopping_counts_epochs_without_improvement():
    stopping = EarlyStopping(2, min_delta=0.1)
    assert [stopping.update(s) for s in (0.5, 0.55, 0.7, 0.7, 0.65)] == [False, False, False, False, True]
    other = EarlyStopping(2, min_delta=0.1)
    other.load_state_dict(stopping.state_dict())
    assert other.stopped
    assert other.best == 0.7
    with pytest.raises(ValueError, match="`patience` takes"):
        EarlyStopping(0)


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0:00"), (61, "1:01"), (3599.6, "1:00:00"), (7384, "2:03:04")])
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_speed_forgets_a_slow_start(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    speed = Speed()
    for seconds in (60.0, 0.5, 0.5):
        now[0] += seconds
        speed.add(64)
    assert speed.rate == pytest.approx(128)
    now[0] += 1000
    speed.restart()
    now[0] += 1.0
    speed.add(64)
    assert 64 < speed.rate < 128


VIEW = View("epoch 1/2", 3, 10, 0.5, 0.25, 1234.5, 61.0)


def test_edit_distance_is_the_fewest_edits():
    def fewest(a, b):
        if not a or not b:
            return len(a) + len(b)
        return min(fewest(a[1:], b) + 1, fewest(a, b[1:]) + 1, fewest(a[1:], b[1:]) + (a[0] != b[0]))

    assert edit_distance("kitten", "sitting") == 3
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = (rng.integers(0, 3, rng.integers(0, 6)).tolist() for _ in range(2))
        assert edit_distance(a, b) == fewest(a, b)


def test_lines_and_bar():
    out = io.StringIO()
    Lines(seconds=0, file=out).update(VIEW)
    assert out.getvalue() == "epoch 1/2  batch 3/10  loss 0.5000  accuracy 25.00 %  1,234 images/s  1:01 left\n"
    assert isinstance(display_for(out), Lines)
    from rich.console import Console

    terminal = io.StringIO()
    bar = Bar(Console(file=terminal, force_terminal=True, width=120))
    bar.update(VIEW)
    bar.say("[a line] stays")
    bar.close()
    assert "loss 0.5000" in terminal.getvalue()
    assert "3/10" in terminal.getvalue()
    assert "[a line] stays" in terminal.getvalue()


def test_no_accuracy_is_not_shown():
    assert "accuracy" not in View("x", 1, 2, 0.1, math.nan, 1.0, None).numbers()


def test_choose_device():
    assert choose_device("cpu") == dg.device("cpu")
    assert choose_device("auto") == dg.device("cuda" if dg.cuda.is_available() else "cpu")
    with pytest.raises(RuntimeError, match="takes 'cpu'"):
        choose_device("tpu")
