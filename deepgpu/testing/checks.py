"""The checks that an :class:`~deepgpu.testing.OpEntry` stands for. Each raises AssertionError and names the sample."""

from __future__ import annotations

import functools
import gc
import re
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.engine import grad
from deepgpu.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from deepgpu.ops.memory import channels_last
from deepgpu.tensor import Tensor
from deepgpu.testing import calls
from deepgpu.testing.compare import assert_close
from deepgpu.testing.convert import from_torch, to_deepgpu, to_torch
from deepgpu.testing.entry import OpEntry
from deepgpu.testing.layouts import LAYOUTS
from deepgpu.testing.samples import Sample


def check_forward(entry: OpEntry, device: str, dtype: str) -> None:
    """Values, shapes and dtypes are PyTorch's, in every layout; so are the arguments afterwards."""
    for sample, text in _arranged(entry, dtype, all_layouts=dtype in ("float32", "float64")):
        try:
            expected = calls.theirs(entry.theirs, sample, record=False)
        except calls.REFUSALS as error:
            _must_refuse(entry, sample, device, f"{text}: PyTorch refuses ({error})")
            continue
        actual = calls.ours(entry.ours, sample, device, record=False)
        _compare(entry, calls.arrays(actual.result), calls.arrays(expected.result), text)
        _check_layout(entry, sample, actual.result, expected.result, text)
        after = calls.arrays(expected.arguments)
        _compare(entry, calls.arrays(actual.arguments), after, f"the arguments after {text}")


def check_gradient(entry: OpEntry, device: str, dtype: str) -> None:
    """The gradient of every input, for a random cotangent, is PyTorch's."""
    checked = 0
    for sample, text in _arranged(entry, dtype, all_layouts=True):
        if not sample.differentiable:
            continue
        mine = calls.ours(entry.ours, sample, device, entry.constants)
        other = calls.theirs(entry.theirs, sample, entry.constants)
        assert len(mine.outputs) == len(other.outputs), f"{text}: other outputs require grad than PyTorch's"
        if not mine.outputs:
            continue
        cotangents = calls.directions(mine.outputs, seed=1)
        ours, _ = calls.our_gradients(mine, cotangents, device)
        theirs, _ = calls.their_gradients(other, cotangents)
        actual = calls.gradient_arrays(ours, mine.inputs)
        _compare(entry, actual, calls.gradient_arrays(theirs, other.inputs), f"gradient of {text}")
        checked += 1
    assert checked, f"no sample of `{entry.id}` has a gradient; if that is meant, set `differentiable=False`"


def check_double_backward(entry: OpEntry, device: str, dtype: str) -> None:
    """The gradients of the gradients, with respect to inputs and cotangents, are PyTorch's."""
    for sample, text in _arranged(entry, dtype, all_layouts=False):
        if not sample.twice:
            continue
        mine = calls.ours(entry.ours, sample, device, entry.constants)
        other = calls.theirs(entry.theirs, sample, entry.constants)
        if not mine.outputs:
            continue
        cotangents = calls.directions(mine.outputs, seed=1)
        grads, starts = calls.our_gradients(mine, cotangents, device, record=True)
        actual = _second(mine, grads, starts, device)
        grads, starts = calls.their_gradients(other, cotangents, record=True)
        expected = _their_second(other, grads, starts)
        _compare(entry, actual, expected, f"double backward of {text}")


def _second(call: calls.Call, grads: list[Any], starts: list[Any], device: str) -> list[np.ndarray]:
    """Gradients of the first gradients, in random directions; zeros where nothing depends on anything."""
    leaves = [*call.inputs, *starts]
    roots = [(i, g) for i, g in enumerate(grads) if g is not None and g.requires_grad]
    weights = calls.directions(call.inputs, seed=2)
    found: Any = [None] * len(leaves)
    if roots:
        vectors = [to_deepgpu(weights[i], device) for i, _ in roots]
        found = grad([g for _, g in roots], leaves, vectors, allow_unused=True)
    return calls.gradient_arrays(found, leaves)


def _their_second(call: calls.Call, grads: list[Any], starts: list[Any]) -> list[np.ndarray]:
    torch = calls.judge()
    leaves = [*call.inputs, *starts]
    roots = [(i, g) for i, g in enumerate(grads) if g is not None and g.requires_grad]
    shapes = [to_deepgpu(from_torch(x)) for x in call.inputs]
    weights = calls.directions(shapes, seed=2)
    found: Any = [None] * len(leaves)
    if roots:
        vectors = [to_torch(weights[i]) for i, _ in roots]
        found = torch.autograd.grad([g for _, g in roots], leaves, vectors, allow_unused=True)
    return calls.gradient_arrays(found, leaves)


def check_gradgrad(entry: OpEntry, device: str, dtype: str) -> None:
    """First and second derivatives agree with finite differences, in a random direction."""
    assert dtype == "float64"
    for sample, text in _arranged(entry, dtype, all_layouts=False):
        if not sample.smooth:
            continue
        call = calls.ours(entry.ours, sample, device, entry.constants)
        if not call.outputs or not all(x.numel() for x in call.inputs):
            continue  # differences with respect to nothing

        def function(*inputs: Tensor, sample: Sample = sample) -> Any:
            return _differentiable(calls.with_inputs(entry.ours, sample, inputs, device, entry.constants))

        try:
            gradcheck(function, call.inputs, fast_mode=True)
            gradgradcheck(function, call.inputs, fast_mode=True)
        except GradcheckError as error:
            raise AssertionError(f"{text}: {error}") from error


def _differentiable(result: Any) -> Any:
    if isinstance(result, Tensor):
        return result
    return tuple([y for y in result if isinstance(y, Tensor) and y.dtype.is_floating_point])


def check_inplace(entry: OpEntry, device: str, dtype: str) -> None:
    """The in-place twin changes the tensor, and a view of a tensor, as PyTorch's does; so do its gradients."""
    import torch

    name = f"{entry.name}_"
    for variant in (_on_clone, _on_view):
        mine, other = variant(getattr(Tensor, name)), variant(getattr(torch.Tensor, name))
        for sample, _ in _arranged(entry, dtype, all_layouts=False):
            if not isinstance(sample.args[0], np.ndarray):
                continue
            text = f"{name}{sample!r} ({variant.__name__[4:]})"
            record = sample.differentiable and entry.differentiable and dtypes.named(dtype).is_floating_point
            try:
                expected = calls.theirs(other, sample, entry.constants, record)
            except calls.REFUSALS as error:
                _must_refuse(entry, sample, device, f"{text}: PyTorch refuses ({error})", mine)
                continue
            actual = calls.ours(mine, sample, device, entry.constants, record)
            _compare(entry, calls.arrays(actual.result), calls.arrays(expected.result), text)
            if actual.outputs:
                cotangents = calls.directions(actual.outputs, seed=1)
                ours, _ = calls.our_gradients(actual, cotangents, device)
                theirs, _ = calls.their_gradients(expected, cotangents)
                arrays = calls.gradient_arrays(ours, actual.inputs)
                _compare(entry, arrays, calls.gradient_arrays(theirs, expected.inputs), f"gradient of {text}")


def _on_clone(twin: Callable[..., Any]) -> Callable[..., Any]:
    """The twin applied to a copy of its first argument."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        x = x.clone()
        assert twin(x, *args, **kwargs) is x, "an in-place op must return its tensor"
        return x

    return call


def _on_view(twin: Callable[..., Any]) -> Callable[..., Any]:
    """The twin applied to the second row of three, with the whole as result."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        whole = x.unsqueeze(0).expand(3, *x.shape).clone()
        twin(whole[1], *args, **kwargs)
        return whole

    return call


def check_method(entry: OpEntry, device: str, dtype: str) -> None:
    """The method is the function."""
    method = getattr(Tensor, entry.name)
    for sample, text in _arranged(entry, dtype, all_layouts=False):
        if not isinstance(sample.args[0], np.ndarray):
            continue
        try:
            function = calls.ours(entry.ours, sample, device, record=False).result
        except calls.REFUSALS:
            continue
        result = calls.ours(method, sample, device, record=False).result
        assert_close(calls.arrays(result), calls.arrays(function), rtol=0, atol=0, equal_nan=True, msg=f"method {text}")


def check_errors(entry: OpEntry, device: str, dtype: str) -> None:
    """What PyTorch refuses is refused with the same exception and a message that says why."""
    assert entry.errors is not None
    for failure in entry.errors(entry.make(dtype)):
        text = f"{entry.name}{failure.sample!r}"
        expected = _error(functools.partial(calls.theirs, entry.theirs, failure.sample, record=False))
        assert expected is not None, f"{text}: PyTorch takes this"
        kind = RuntimeError if isinstance(expected, NotImplementedError) else type(expected)
        actual = _error(functools.partial(calls.ours, entry.ours, failure.sample, device, record=False))
        assert isinstance(actual, kind), f"{text}: {actual!r}, but PyTorch raises {kind.__name__}: {expected}"
        assert re.search(failure.match, str(actual)), f"{text}: message {str(actual)!r} lacks {failure.match!r}"


def _error(call: Callable[[], Any]) -> Exception | None:
    """What a call raises."""
    try:
        call()
    except calls.REFUSALS as error:
        return error
    return None


def check_release(entry: OpEntry, device: str, dtype: str) -> None:
    """Dropping the result frees it and its graph at once, without the garbage collector."""
    for sample, text in _arranged(entry, dtype, all_layouts=False):
        if not sample.differentiable:
            continue
        call = calls.ours(entry.ours, sample, device, entry.constants)
        made = [y for y in call.outputs if not any(y is x for x in call.inputs)]
        held = [(weakref.ref(y), weakref.ref(y.grad_fn)) for y in made]
        collecting = gc.isenabled()
        gc.disable()
        try:
            del call, made
            alive = [ref() for pair in held for ref in pair if ref() is not None]
        finally:
            if collecting:
                gc.enable()
        assert not alive, f"{text}: a reference cycle keeps {[type(x).__name__ for x in alive]} alive"


def _arranged(entry: OpEntry, dtype: str, *, all_layouts: bool) -> Iterator[tuple[Sample, str]]:
    """The samples in each layout that changes something, and their names for messages."""
    for sample in entry.samples(entry.make(dtype)):
        yield sample, f"{entry.name}{sample!r}"
        if not all_layouts:
            continue
        for name in entry.layouts:
            changed = False

            def arrange(x: Any, layout: Any = LAYOUTS[name]) -> Any:
                nonlocal changed
                if not isinstance(x, np.ndarray) or x.dtype.name != dtype:
                    return x
                y = layout(x)
                changed |= y.strides != x.strides
                return y

            arranged = sample.map(arrange)
            if changed:
                yield arranged, f"{entry.name}{sample!r} ({name})"


def _compare(entry: OpEntry, actual: Any, expected: Any, text: str) -> None:
    """Each array by the tolerance of its dtype."""
    __tracebackhide__ = True
    if isinstance(expected, (tuple, list)):
        assert isinstance(actual, (tuple, list)), f"{text}: {type(actual).__name__}, expected a sequence"
        assert len(actual) == len(expected), f"{text}: {len(actual)} results, expected {len(expected)}"
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            _compare(entry, a, e, f"{text}[{i}]")
        return
    if not isinstance(expected, np.ndarray):
        assert type(actual) is type(expected), f"{text}: {actual!r}, expected {expected!r}"
        assert actual == expected, f"{text}: {actual!r}, expected {expected!r}"
        return
    rtol, atol = entry.tolerance(expected.dtype.name)
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=True, msg=text)


def _must_refuse(
    entry: OpEntry, sample: Sample, device: str, text: str, function: Callable[..., Any] | None = None
) -> None:
    try:
        result = calls.ours(function or entry.ours, sample, device, record=False).result
    except calls.REFUSALS:
        return
    raise AssertionError(f"{text}, but the op gave {result!r}")


def _check_layout(entry: OpEntry, sample: Sample, actual: Any, expected: Any, text: str) -> None:
    first = sample.args[0] if sample.args else None
    if not entry.keeps_layout or not isinstance(first, np.ndarray) or first.ndim != 4:
        return
    import torch

    if expected.is_contiguous(memory_format=torch.channels_last):
        assert actual.is_contiguous(memory_format=channels_last), f"{text}: the result is not channels-last"
