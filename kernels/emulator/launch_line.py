"""Launches written as text, the way CUDA writes them: ``saxpy<<<4, 256>>>(2.0, random(1000), zeros(1000), 1000)``.

In a source they stand in comments, ``// launch: ...``, beside the kernel; on the command line after ``--launch``. A
number becomes what the parameter takes; an array gets the parameter's element type, from one of

=====================  =================================================================
``random(shape)``      standard normal numbers; for integers, from 0 to 99
``zeros(shape)``       zeros
``ones(shape)``        ones
``full(shape, x)``     x everywhere
``arange(n)``          0, 1, 2, ...
``integers(shape, n)`` random integers from 0 to n - 1
``empty(shape)``       uninitialised: reading it before writing it is an error
=====================  =================================================================

with a shape that is a number or several, ``random((64, 32))``, and an optional ``dtype="..."``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arguments import type_name
from .memory import empty
from .runtime import Kernel, Parameter

_LAUNCH = re.compile(
    r"\s*(?P<name>[\w:]+(?:<.*?>)?)\s*<<<(?P<configuration>.*?)>>>\s*\((?P<arguments>.*)\)\s*;?\s*", re.DOTALL
)
_COMMENT = re.compile(r"^\s*//\s*launch:(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class LaunchLine:
    """A parsed launch; the arguments are still expressions."""

    text: str
    kernel: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    shared_mem: int
    arguments: tuple[ast.expr, ...]


def parse(text: str) -> LaunchLine:
    """Reads one launch.

    Raises
    ------
    ValueError
        Saying what is wrong with it.
    """
    text = text.strip()
    match = _LAUNCH.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not a launch such as `saxpy<<<4, 256>>>(2.0, random(1000), zeros(1000), 1000)`")
    try:
        configuration = _expressions(match["configuration"].replace("dim3(", "("))
        arguments = _expressions(match["arguments"].replace("nullptr", "None"))
        numbers = [ast.literal_eval(c) for c in configuration]
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"`{text}`: {error}") from error
    if not 2 <= len(numbers) <= 3:
        raise ValueError(f"`{text}`: between <<< and >>> stand the grid, the block and perhaps bytes of shared memory")
    grid, block = ((n,) if isinstance(n, int) else tuple(n) for n in numbers[:2])
    shared = numbers[2] if len(numbers) == 3 else 0
    return LaunchLine(text, match["name"].strip(), grid, block, shared, tuple(arguments))


def _expressions(text: str) -> list[ast.expr]:
    parsed = ast.parse(f"[{text}]", mode="eval").body
    assert isinstance(parsed, ast.List)
    return parsed.elts


def in_comments(code: str) -> list[LaunchLine]:
    """The launches in the ``// launch:`` comments of a source."""
    return [parse(text) for text in _COMMENT.findall(code)]


def _dtype(parameter: Parameter) -> tuple[np.dtype, int]:
    """The element type of an array for a pointer parameter, and how many of them make one of the kernel's elements."""
    kind, size = chr(parameter.kind), parameter.value_size
    if kind in "fiub":
        return np.dtype(f"{kind}{size}"), 1
    if kind == "V" and size == 2:  # __half; of __nv_bfloat16 nothing tells it apart
        return np.dtype(np.float16), 1
    if kind == "V" and size % 4 == 0:  # float4 and the like
        return np.dtype(np.float32), size // 4
    return np.dtype(np.uint8), max(1, size)


def _array(call: ast.Call, parameter: Parameter, rng: np.random.Generator) -> np.ndarray:
    name = call.func.id if isinstance(call.func, ast.Name) else ast.unparse(call.func)
    values = [ast.literal_eval(a) for a in call.args]
    keywords = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
    dtype, parts = _dtype(parameter)
    if "dtype" in keywords:
        dtype, parts = _named_dtype(keywords.pop("dtype")), 1
    if keywords or not values:
        raise ValueError(f"`{ast.unparse(call)}` takes a shape and, by name, a dtype")
    given = values[0] if isinstance(values[0], tuple) else (values[0],)
    shape = (*given, parts) if parts > 1 else given
    if name == "random" and dtype.kind in "iub":
        return rng.integers(0, 2 if dtype.kind == "b" else 100, shape).astype(dtype)
    makers = {
        "random": lambda: rng.standard_normal(shape).astype(dtype),
        "zeros": lambda: np.zeros(shape, dtype),
        "ones": lambda: np.ones(shape, dtype),
        "full": lambda: np.full(shape, values[1], dtype),
        "arange": lambda: np.arange(np.prod(shape)).astype(dtype).reshape(shape),
        "integers": lambda: rng.integers(0, values[1], shape).astype(dtype),
        "empty": lambda: empty(shape, dtype),
    }
    if name not in makers:
        raise ValueError(f"`{name}` is not one of {', '.join(makers)}")
    return makers[name]()


def _named_dtype(name: str) -> np.dtype:
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def make_arguments(line: LaunchLine, kernel: Kernel, names: Sequence[str], seed: int = 0) -> list[Any]:
    """The arguments of a launch, as the kernel's parameters want them.

    Raises
    ------
    ValueError
        Naming the argument that does not fit.
    """
    rng = np.random.default_rng(seed)
    if len(line.arguments) != kernel.parameters:
        wanted = ", ".join(f"{type_name(kernel.parameter[i])} {n}" for i, n in enumerate(names))
        raise ValueError(f"`{line.text}` has {len(line.arguments)} arguments, the kernel takes ({wanted})")
    made: list[Any] = []
    for i, expression in enumerate(line.arguments):
        parameter = kernel.parameter[i]
        label = f"argument {i} `{names[i]}` of `{line.kernel}`"
        if isinstance(expression, ast.Call):
            if not parameter.is_pointer:
                raise ValueError(f"{label} is a value, not an array")
            made.append(_array(expression, parameter, rng))
            continue
        value = ast.literal_eval(expression)
        if parameter.is_pointer:
            if value is not None:
                raise ValueError(f"{label} is a pointer: give an array such as `zeros(1000)`, or nullptr")
            made.append(None)
        elif chr(parameter.kind) in "fiub":
            made.append(np.dtype(f"{chr(parameter.kind)}{parameter.size}").type(value))
        else:
            raise ValueError(f"{label} is a struct: launch the kernel from Python to pass one")
    return made
