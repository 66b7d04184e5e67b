"""Schedulers: fifty steps print the learning rates that torch prints, to the last bit."""

import copy
import math

import pytest
import torch

import deepgpu as dg
from deepgpu.optim import lr_scheduler

LIBRARIES = (torch, dg)

SCHEDULES = [
    "S.StepLR(o, 7, gamma=0.3)",
    "S.StepLR(o, step_size=1)",
    "S.MultiStepLR(o, [3, 10, 10, 30], gamma=0.5)",
    "S.ConstantLR(o)",
    "S.ConstantLR(o, factor=0.5, total_iters=9)",
    "S.LinearLR(o)",
    "S.LinearLR(o, start_factor=0.1, end_factor=0.7, total_iters=20)",
    "S.ExponentialLR(o, 0.9)",
    "S.PolynomialLR(o, total_iters=30, power=0.9)",
    "S.PolynomialLR(o)",
    "S.CosineAnnealingLR(o, T_max=50)",
    "S.CosineAnnealingLR(o, T_max=7, eta_min=0.001)",
    "S.CosineAnnealingLR(o, 1)",
    "S.CosineAnnealingWarmRestarts(o, 5)",
    "S.CosineAnnealingWarmRestarts(o, 3, T_mult=2, eta_min=1e-4)",
    "S.LambdaLR(o, lambda t: 1 / (1 + t))",
    "S.LambdaLR(o, [lambda t: 0.9**t, lambda t: 0.5**t])",
    "S.MultiplicativeLR(o, lambda t: 0.95)",
    "S.MultiplicativeLR(o, [lambda t: 0.95, lambda t: 1 + 0.01 * t])",
    "S.OneCycleLR(o, max_lr=0.4, total_steps=50)",
    "S.OneCycleLR(o, max_lr=[0.4, 0.2], epochs=10, steps_per_epoch=6, pct_start=0.2, anneal_strategy='linear')",
    "S.OneCycleLR(o, 0.4, 60, three_phase=True, base_momentum=0.7, max_momentum=0.8, div_factor=5)",
    "S.OneCycleLR(o, 0.4, 60, cycle_momentum=False, final_div_factor=10)",
    "S.CyclicLR(o, 0.01, 0.1, step_size_up=4)",
    "S.CyclicLR(o, [0.01, 0.02], [0.1, 0.3], step_size_up=4, step_size_down=7, mode='triangular2')",
    "S.CyclicLR(o, 0.01, 0.1, 5, mode='exp_range', gamma=0.9, cycle_momentum=False)",
    "S.CyclicLR(o, 0.01, 0.1, 5, scale_fn=lambda x: 0.5**x, scale_mode='iterations')",
    "S.SequentialLR(o, [S.LinearLR(o, 0.1, total_iters=5), S.CosineAnnealingLR(o, 40)], milestones=[5])",
    "S.SequentialLR(o, [S.ConstantLR(o, 0.1, 3), S.ExponentialLR(o, 0.9), S.StepLR(o, 4)], [3, 20])",
    "S.ChainedScheduler([S.ConstantLR(o, 0.1, 4), S.ExponentialLR(o, 0.9)])",
    "S.ChainedScheduler([S.LinearLR(o, 0.2), S.CosineAnnealingLR(o, 20), S.MultiStepLR(o, [9])])",
]


def optimizer(lib, kind="SGD"):
    """Two groups, of which one has a learning rate of its own."""
    a, b = (lib.nn.Parameter(lib.ones(1)) for _ in range(2))
    groups = [{"params": [a]}, {"params": [b], "lr": 0.05}]
    return lib.optim.SGD(groups, lr=0.1, momentum=0.9) if kind == "SGD" else lib.optim.Adam(groups, lr=0.1)


def build(lib, source, o):
    return eval(source, {"S": lib.optim.lr_scheduler, "o": o})


def momenta(o):
    return [group["momentum"] if "momentum" in group else group["betas"] for group in o.param_groups]


def rates(lib, source, steps=50, kind="SGD"):
    o = optimizer(lib, kind)
    scheduler = build(lib, source, o)
    found = []
    for _ in range(steps):
        found.append((scheduler.get_last_lr(), [g["lr"] for g in o.param_groups], momenta(o)))
        o.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("source", SCHEDULES)
def test_fifty_steps_as_torch(source):
    assert rates(dg, source) == rates(torch, source)


@pytest.mark.filterwarnings("ignore:Detected call")  # as torch does when the chain takes its first step again
def test_a_chain_within_a_sequence():
    source = "S.SequentialLR(o, [S.ChainedScheduler([S.ConstantLR(o), S.ExponentialLR(o, 0.9)]), S.StepLR(o, 4)], [6])"
    assert rates(dg, source) == rates(torch, source)


@pytest.mark.parametrize("source", [s for s in SCHEDULES if "Cycl" in s])
def test_cycles_turn_the_first_beta_of_adam(source):
    assert rates(dg, source, kind="Adam") == rates(torch, source, kind="Adam")


@pytest.mark.parametrize("source", SCHEDULES)
def test_a_saved_schedule_goes_on(source):
    straight = rates(dg, source, 30)
    o = optimizer(dg)
    scheduler = build(dg, source, o)
    for _ in range(11):
        o.step()
        scheduler.step()
    saved = copy.deepcopy((o.state_dict(), scheduler.state_dict()))
    assert "optimizer" not in saved[1]
    o = optimizer(dg)
    scheduler = build(dg, source, o)
    o.load_state_dict(saved[0])
    scheduler.load_state_dict(saved[1])
    for expected in straight[11:]:
        assert (scheduler.get_last_lr(), [g["lr"] for g in o.param_groups], momenta(o)) == expected
        o.step()
        scheduler.step()


@pytest.mark.parametrize("source", [s for s in SCHEDULES if s.count("S.") == 1 and "Multiplicative" not in s])
def test_schedules_begin_anywhere(source):
    """``last_epoch`` continues from the options that a saved optimizer brings."""
    found = []
    for lib in LIBRARIES:
        o = optimizer(lib)
        scheduler = build(lib, source, o)
        for _ in range(5):
            o.step()
            scheduler.step()
        scheduler = build(lib, source[:-1] + ", last_epoch=5)", o)
        lrs = []
        for _ in range(20):
            lrs.append(scheduler.get_last_lr())
            o.step()
            scheduler.step()
        found.append(lrs)
    assert found[1] == found[0]


CLOSED_FORMS = [s for s in SCHEDULES if s.count("S.") == 1 and "Cycl" not in s and "WarmRestarts" not in s]


@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize("source", CLOSED_FORMS)
def test_steps_to_a_given_epoch(source):
    found = []
    for lib in LIBRARIES:
        o = optimizer(lib)
        scheduler = build(lib, source, o)
        o.step()
        lrs = []
        for epoch in (4, 5, 20, 2):
            scheduler.step(epoch)
            lrs.append(scheduler.get_last_lr())
        found.append(lrs)
    for mine, theirs in zip(found[1], found[0], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-14)


def test_an_epoch_is_warned_about():
    o = optimizer(dg)
    scheduler = lr_scheduler.StepLR(o, 2)
    o.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(3)


def test_warm_restarts_at_fractions_of_epochs():
    found = []
    for lib in LIBRARIES:
        o = optimizer(lib)
        scheduler = lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3, T_mult=2)
        o.step()
        lrs = []
        for epoch in (0.5, 2.9, 3, 4.25, 8.99, 9, 20.5, 1):
            scheduler.step(epoch)
            lrs.append((scheduler.get_last_lr(), scheduler.last_epoch, scheduler.T_i))
        with pytest.raises(ValueError, match="non-negative epoch"):
            scheduler.step(-1)
        found.append(lrs)
    assert found[1] == found[0]


METRICS = [10, 9, 8, 8.5, 8.4, 8.3, 8.2, 8.1, 7.999, 8, 8, 8, 8, 7, 7, 7, 7, 7, 7, 7, 7, math.nan, 5, 5, 5, 5, 5, 5]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 2},
        {"mode": "max", "patience": 3, "factor": 0.5},
        {"patience": 1, "threshold": 0.5, "threshold_mode": "abs", "cooldown": 2},
        {"mode": "max", "patience": 1, "threshold": 0.1, "threshold_mode": "abs"},
        {"mode": "max", "patience": 1, "threshold": 0.01},
        {"patience": 0, "min_lr": 0.01},
        {"patience": 0, "min_lr": [0.01, 0.001], "eps": 0.02},
    ],
)
def test_plateaus_as_torch(options):
    found = []
    for lib in LIBRARIES:
        o = optimizer(lib)
        scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(o, **options)
        lrs = []
        for i, metric in enumerate(METRICS):
            o.step()
            scheduler.step(lib.tensor(metric) if i % 2 else metric)
            lrs.append((scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.in_cooldown))
            if i == 12:  # saved and loaded
                state = scheduler.state_dict()
                scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(o, patience=77)
                scheduler.load_state_dict(state)
        found.append(lrs)
    assert found[1] == found[0]


def test_plateau_with_a_group_added_later():
    for bounds, fine in ((0.01, True), ([0.01, 0.01], False)):
        for lib in LIBRARIES:
            o = optimizer(lib)
            scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, min_lr=bounds)
            o.add_param_group({"params": [lib.nn.Parameter(lib.ones(1))], "lr": 1.0})
            scheduler.step(1)
            if fine:
                scheduler.step(1)
                assert scheduler.get_last_lr()[2] == pytest.approx(0.1)
            else:
                with pytest.raises(RuntimeError, match="number of param groups"):
                    scheduler.step(1)


MISTAKES = [
    "S.StepLR(3, 1)",
    "S.StepLR(o, 1, last_epoch=3)",
    "S.ConstantLR(o, factor=1.5)",
    "S.LinearLR(o, start_factor=0)",
    "S.LinearLR(o, end_factor=1.1)",
    "S.CosineAnnealingWarmRestarts(o, 0)",
    "S.CosineAnnealingWarmRestarts(o, 2.5)",
    "S.CosineAnnealingWarmRestarts(o, 2, T_mult=0)",
    "S.CosineAnnealingWarmRestarts(o, 2, eta_min='x')",
    "S.LambdaLR(o, [abs])",
    "S.MultiplicativeLR(o, [abs, 3])",
    "S.MultiplicativeLR(o, [abs])",
    "S.OneCycleLR(o, 0.1)",
    "S.OneCycleLR(o, 0.1, total_steps=0)",
    "S.OneCycleLR(o, 0.1, epochs=0, steps_per_epoch=2)",
    "S.OneCycleLR(o, 0.1, epochs=2, steps_per_epoch=1.5)",
    "S.OneCycleLR(o, 0.1, 10, pct_start=2.0)",
    "S.OneCycleLR(o, 0.1, 10, anneal_strategy='log')",
    "S.OneCycleLR(o, [0.1], 10)",
    "S.OneCycleLR(o, 0.1, 2)\nfor _ in range(4): o.step(); s.step()",
    "S.CyclicLR(o, 0.1, 1.0, mode='square')",
    "S.CyclicLR(o, [0.1], 1.0)",
    "S.ReduceLROnPlateau(o, factor=1.0)",
    "S.ReduceLROnPlateau(o, mode='least')",
    "S.ReduceLROnPlateau(o, threshold_mode='x')",
    "S.ReduceLROnPlateau(o, min_lr=[0.1])",
    "S.ReduceLROnPlateau(3)",
    "S.SequentialLR(o, [], [])",
    "S.SequentialLR(o, [S.StepLR(o, 1)], [3])",
    "S.SequentialLR(o, [S.StepLR(p, 1)], [])",
    "S.SequentialLR(o, [S.ReduceLROnPlateau(o)], [])",
    "S.SequentialLR(o, [3], [])",
    "S.ChainedScheduler([])",
    "S.ChainedScheduler([S.StepLR(o, 1), S.StepLR(p, 1)])",
    "S.ChainedScheduler([S.ReduceLROnPlateau(o)])",
    "S.LRScheduler(o)",
]


@pytest.mark.parametrize("source", MISTAKES)
def test_mistakes_raise_the_errors_that_torch_raises(source):
    errors = []
    for lib in LIBRARIES:
        names = {"S": lib.optim.lr_scheduler, "o": optimizer(lib), "p": optimizer(lib)}
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is what is compared
            exec(f"s = {source}", names)
        errors.append(caught.type)
    assert errors[1] is errors[0]


def test_cycles_need_a_momentum_to_turn():
    class Bare(dg.optim.Optimizer):
        def step(self, closure=None):
            """Do nothing."""

    o = Bare([dg.nn.Parameter(dg.ones(1))], {"lr": 0.1})
    for make in (lambda: lr_scheduler.CyclicLR(o, 0.1, 1.0), lambda: lr_scheduler.OneCycleLR(o, 0.1, 10)):
        with pytest.raises(ValueError, match="must support momentum or beta1"):
            make()


def test_the_wrong_order_is_warned_about():
    scheduler = lr_scheduler.StepLR(optimizer(dg), 2)
    with pytest.warns(UserWarning, match=r"before `optimizer.step\(\)`"):
        scheduler.step()


def test_a_learning_rate_that_is_a_tensor_stays_that_tensor():
    for source in SCHEDULES[:8]:
        lr = dg.tensor(0.1, dtype=dg.float64)
        o = dg.optim.SGD([dg.nn.Parameter(dg.ones(1))], lr=lr)
        plain = dg.optim.SGD([dg.nn.Parameter(dg.ones(1))], lr=0.1)
        one, other = build(dg, source, o), build(dg, source, plain)
        for _ in range(12):
            assert o.param_groups[0]["lr"] is lr
            assert lr.item() == pytest.approx(plain.param_groups[0]["lr"], rel=1e-13)
            assert one.get_last_lr()[0] is not lr
            for x in (o, plain, one, other):
                x.step()


class Halved:
    """A schedule with a state of its own."""

    def __init__(self):
        self.calls = 0

    def __call__(self, t):
        self.calls += 1
        return 0.5**t


def test_callable_objects_are_saved():
    o = optimizer(dg)
    for make in (
        lambda f: lr_scheduler.LambdaLR(o, f),
        lambda f: lr_scheduler.CyclicLR(o, 0.1, 0.2, scale_fn=f),
    ):
        scheduler = make(Halved())
        o.step()
        scheduler.step()
        fresh = Halved()
        other = make(fresh)
        fresh.calls = 0
        other.load_state_dict(scheduler.state_dict())
        assert fresh.calls > 1


def test_a_scheduler_of_ones_own():
    class Third(lr_scheduler.LRScheduler):
        def get_lr(self):
            return [base / (1 + self.last_epoch) for base in self.base_lrs]

    o = optimizer(dg)
    scheduler = Third(o)
    for _ in range(2):
        o.step()
        scheduler.step()
    assert scheduler.get_last_lr() == [0.1 / 3, 0.05 / 3]
    assert o.param_groups[0]["initial_lr"] == 0.1
