"""The generated tests must fail on ops that are wrong: each check is given an op broken in one way."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample, checks


class Cube(dg.autograd.Function):
    """``x ** 3``, right in every way."""

    @staticmethod
    def forward(ctx: Any, x: dg.Tensor) -> dg.Tensor:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, g: dg.Tensor) -> dg.Tensor:
        (x,) = ctx.saved_tensors
        return g * x * x * 3


class WrongGradient(Cube):
    @staticmethod
    def backward(ctx: Any, g: dg.Tensor) -> dg.Tensor:
        (x,) = ctx.saved_tensors
        return g * x * 3


class NoSecondGradient(Cube):
    @staticmethod
    def backward(ctx: Any, g: dg.Tensor) -> dg.Tensor:
        (x,) = ctx.saved_tensors
        return g * (x * x * 3).detach()


class WrongOnlyForLargeGradients(Cube):
    """A gradient that is right for the cotangents of one test only would not be noticed by that test."""

    @staticmethod
    def backward(ctx: Any, g: dg.Tensor) -> dg.Tensor:
        (x,) = ctx.saved_tensors
        return (g * x * x * 3).clamp(-1, 1)


def cube(x: dg.Tensor) -> dg.Tensor:
    return Cube.apply(x)


def samples(make: Maker) -> Iterator[Sample]:
    for shape in ((3, 4), (), (0, 2), (2, 3, 4, 5)):
        yield Sample(make(*shape))


def reference(x: torch.Tensor) -> torch.Tensor:
    return x * x * x


def entry(function: Callable[..., Any], **options: Any) -> OpEntry:
    return OpEntry("cube", samples, function=function, reference=reference, **options)


class TestCube(OpTests):
    """The right op passes all that is generated."""

    entries = (entry(cube, keeps_layout=True),)


def test_which_tests_are_generated() -> None:
    assert TestCube.test_forward is not None
    assert TestCube.test_errors is None  # the entry has none
    assert TestCube.test_inplace is None
    assert TestCube.test_method is None


BROKEN: list[tuple[str, Callable[[dg.Tensor], Any], Callable[..., None], str, str]] = [
    ("value", lambda x: cube(x) + 1e-6, checks.check_forward, "float64", "elements of shape"),
    ("nan", lambda x: cube(x) * float("nan"), checks.check_forward, "float64", "nan"),
    ("shape", lambda x: cube(x).unsqueeze(0), checks.check_forward, "float64", "shapes differ"),
    ("dtype", lambda x: cube(x).double(), checks.check_forward, "float32", "dtypes differ"),
    ("number", lambda x: 1.0, checks.check_forward, "float64", "shapes differ"),
    ("tuple", lambda x: (cube(x), cube(x)), checks.check_forward, "float64", "types differ"),
    (
        "layout",
        lambda x: cube(x) if x.is_contiguous() else cube(x).t().contiguous() if x.ndim == 2 else cube(x) * 2,
        checks.check_forward,
        "float64",
        r"transposed|channels_last|sliced|expanded",
    ),
    ("contiguous", lambda x: cube(x).contiguous(), checks.check_forward, "float64", "not channels-last"),
    ("argument", lambda x: cube(x.clone()) + 0 * x.detach().add_(1), checks.check_forward, "float64", "after"),
    ("gradient", lambda x: WrongGradient.apply(x), checks.check_gradient, "float64", "gradient of"),
    ("detached", lambda x: cube(x.detach()), checks.check_gradient, "float64", "require grad"),
    ("clipped", lambda x: WrongOnlyForLargeGradients.apply(x), checks.check_gradient, "float64", "gradient of"),
    ("second", lambda x: NoSecondGradient.apply(x), checks.check_double_backward, "float64", "double backward"),
    ("differences", lambda x: WrongGradient.apply(x), checks.check_gradgrad, "float64", "gradcheck"),
    ("differences2", lambda x: NoSecondGradient.apply(x), checks.check_gradgrad, "float64", "gradcheck"),
]


@pytest.mark.parametrize(("name", "function", "check", "dtype", "match"), BROKEN, ids=[b[0] for b in BROKEN])
def test_broken_ops_are_noticed(
    name: str, function: Callable[..., Any], check: Callable[..., None], dtype: str, match: str
) -> None:
    check(entry(cube, keeps_layout=True), "cpu", dtype)
    with pytest.raises(AssertionError, match=match):
        check(entry(function, keeps_layout=True), "cpu", dtype)


def test_a_cycle_is_noticed() -> None:
    def cyclic(x: dg.Tensor) -> dg.Tensor:
        y = cube(x)
        y.grad_fn.result = y
        return y

    checks.check_release(entry(cube), "cpu", "float64")
    with pytest.raises(AssertionError, match="reference cycle"):
        checks.check_release(entry(cyclic), "cpu", "float64")


def test_an_op_without_gradient_must_say_so() -> None:
    with pytest.raises(AssertionError, match=r"differentiable=False"):
        checks.check_gradient(
            OpEntry("x", samples, function=lambda x: x > 0, reference=lambda x: x > 0), "cpu", "float64"
        )


def test_dtypes_that_pytorch_refuses_must_be_refused() -> None:
    def no_integers(x: Any) -> Any:
        if x.dtype in (torch.int64, dg.int64):
            raise RuntimeError("`cube`: `x` takes floating-point tensors")
        return x * x * x

    def build(function: Callable[..., Any]) -> OpEntry:
        return OpEntry("cube", samples, function=function, reference=no_integers)

    checks.check_forward(build(no_integers), "cpu", "int64")
    with pytest.raises(AssertionError, match="PyTorch refuses"):
        checks.check_forward(build(lambda x: x * x * x), "cpu", "int64")


def test_errors_are_compared() -> None:
    def failing(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(2, 3), make(4)), r"`add`.*\(2, 3\).*\(4,\)")

    def build(function: Callable[..., Any] | None) -> OpEntry:
        return OpEntry("add", samples, failing, function=function)

    def wrong_kind(a: Any, b: Any) -> Any:
        raise ValueError("`add`: (2, 3) and (4,)")

    def no_reason(a: Any, b: Any) -> Any:
        raise RuntimeError("bad shapes")

    checks.check_errors(build(None), "cpu", "float64")
    with pytest.raises(AssertionError, match="PyTorch raises RuntimeError"):
        checks.check_errors(build(wrong_kind), "cpu", "float64")
    with pytest.raises(AssertionError, match="lacks"):
        checks.check_errors(build(no_reason), "cpu", "float64")
    with pytest.raises(AssertionError, match="PyTorch raises RuntimeError"):
        checks.check_errors(build(lambda a, b: a), "cpu", "float64")
    with pytest.raises(AssertionError, match="PyTorch takes this"):
        checks.check_errors(
            OpEntry("add", samples, lambda make: iter([Failure(Sample(make(2), make(2)), "")])), "cpu", "float64"
        )


@pytest.mark.parametrize(
    ("twin", "match"),
    [
        (lambda x: x.mul_(2), "elements of shape"),
        (lambda x: x * x, "must return its tensor"),
        (lambda x: x.copy_((x * x).detach()), "gradient of"),
    ],
)
def test_broken_twins_are_noticed(
    twin: Callable[[dg.Tensor], dg.Tensor], match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dg.Tensor, "square_", twin)
    with pytest.raises(AssertionError, match=match):
        checks.check_inplace(OpEntry("square", samples), "cpu", "float64")


def test_broken_methods_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    checks.check_method(OpEntry("square", samples), "cpu", "float64")
    monkeypatch.setattr(dg.Tensor, "square", lambda x: x)
    with pytest.raises(AssertionError, match="method square"):
        checks.check_method(OpEntry("square", samples), "cpu", "float64")


def test_unknown_ops_are_named() -> None:
    with pytest.raises(LookupError, match=r"`name`.*'no_such_op'"):
        _ = OpEntry("no_such_op", samples).ours
    with pytest.raises(LookupError, match=r"torch has no 'no_such_op'"):
        _ = OpEntry("no_such_op", samples, function=cube).theirs


def test_makers_draw_the_same_every_time() -> None:
    for dtype in ("float64", "float32", "float16", "bfloat16", "int64", "uint8", "bool"):
        first, second = (entry(cube).make(dtype) for _ in range(2))
        a, b = first(50, 40), second(50, 40)
        np.testing.assert_array_equal(a, b)
        assert a.dtype.name == dtype
        assert len(np.unique(a)) > 1
        assert len(np.unique(first.distinct(10))) == (2 if dtype == "bool" else 10)
    inside = OpEntry("x", samples, domain=(0.5, 0.75)).make("float64")(1000)
    assert inside.min() >= 0.5
    assert inside.max() <= 0.75
