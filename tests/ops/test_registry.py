"""Every registered op has a test entry, PyTorch's parameters, a public name and a docstring."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
import tests.ops
from deepgpu.testing import OpEntry
from deepgpu.testing.entry import REGISTRY

PLACES: list[tuple[str, Any, Any]] = [
    ("deepgpu.nn.functional", F, torch.nn.functional),
    ("deepgpu", dg, torch),
    ("Tensor", dg.Tensor, torch.Tensor),
]


def entries() -> list[OpEntry]:
    found: list[OpEntry] = []
    for module in pkgutil.iter_modules(tests.ops.__path__):
        if module.name != "test_registry":
            found += getattr(importlib.import_module(f"tests.ops.{module.name}"), "ENTRIES", [])
    return found


def test_every_op_has_an_entry() -> None:
    missing = set(REGISTRY) - {e.name for e in entries()}
    assert not missing, f"add an OpEntry in tests/ops for {sorted(missing)}"


def test_entries_have_unique_names() -> None:
    ids = [e.id for e in entries()]
    assert len(ids) == len(set(ids)), sorted({i for i in ids if ids.count(i) > 1})


def test_entries_agree_with_the_registry_about_gradients() -> None:
    tested = {e.name for e in entries() if e.differentiable}
    promised = {name for name, op in REGISTRY.items() if op.differentiable}
    assert not promised - tested, f"no entry tests the gradients of {sorted(promised - tested)}"
    surplus = (tested & set(REGISTRY)) - promised
    assert not surplus, f"entries test gradients of {sorted(surplus)}, which are registered without"


def test_skips_have_reasons() -> None:
    checks = {"forward", "gradient", "double_backward", "gradgrad", "inplace", "method", "errors", "release"}
    for e in entries():
        for check, reason in e.skip.items():
            assert check.split(":")[0] in checks, f"`{e.id}` skips a check {check!r} that there is not"
            assert len(reason.split()) >= 3, f"`{e.id}`: say why {check!r} is skipped, not only {reason!r}"


# What PyTorch's functions take and ours do not, by the reason.
NOT_TAKEN = {
    "out": "results are new tensors; in-place twins write into tensors",
    "layout": "all tensors are strided",
    "pin_memory": "host memory is pageable",
    "sparse_grad": "there are no sparse tensors",
    "out_dtype": "the result's dtype is the operands'",
    "_stacklevel": "how deep PyTorch's warning lies",
}

# Where PyTorch documents no signature, or one that differs from what it takes.
DOCUMENTED: dict[str, set[str]] = {
    "index_put": {"input", "indices", "values", "accumulate"},
    "fractional_max_pool2d": {
        *("input", "kernel_size", "output_size", "output_ratio", "return_indices", "_random_samples"),
    },
    "logsigmoid": {"input"},
    "logsumexp": {"input", "dim", "keepdim"},
    "masked_fill": {"input", "mask", "value"},
    "rsub": {"input", "other", "alpha"},
    "max_pool2d": {
        "input",
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "ceil_mode",
        "return_indices",
    },
    "adaptive_max_pool2d": {"input", "output_size", "return_indices"},
    "adaptive_max_pool1d": {"input", "output_size", "return_indices"},
    "adaptive_max_pool3d": {"input", "output_size", "return_indices"},
    "max_pool1d": {"input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"},
    "max_pool3d": {"input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"},
    "broadcast_to": {"input", "size"},
    "pow": {"input", "exponent"},
    "randint": {"low", "high", "size", "generator", "dtype", "device", "requires_grad"},
    "full_like": {"input", "fill_value", "dtype", "device", "requires_grad", "memory_format"},
    "scatter": {"input", "dim", "index", "src", "value"},
    "std": {"input", "dim", "unbiased", "correction", "keepdim"},
    "var": {"input", "dim", "unbiased", "correction", "keepdim"},
    "std_mean": {"input", "dim", "unbiased", "correction", "keepdim"},
    "var_mean": {"input", "dim", "unbiased", "correction", "keepdim"},
    "tensor_split": {"input", "indices_or_sections", "dim"},
    "unique": {"input", "sorted", "return_inverse", "return_counts", "dim"},
    "unique_consecutive": {"input", "return_inverse", "return_counts", "dim"},
    "split": {"tensor", "split_size_or_sections", "dim"},
    "squeeze": {"input", "dim"},
    "clamp_min": {"input", "min"},
    "clamp_max": {"input", "max"},
    "view": {"input", "size"},
    "scaled_dot_product_attention": {
        *("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa"),
    },
    "masked_scatter": {"input", "mask", "source"},
    "einsum": {"equation", "operands"},
    "normal": {"mean", "std", "size", "generator", "dtype", "device", "requires_grad"},
    "multinomial": {"input", "num_samples", "replacement", "generator"},
    "to": {"input", "args", "device", "dtype", "non_blocking", "copy", "memory_format"},
}


def documented(function: Callable[..., Any], name: str) -> set[str]:
    """The names of the parameters of all overloads of a PyTorch function."""
    if name in DOCUMENTED:
        return DOCUMENTED[name]
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        pass  # a builtin: its docstring begins with its signatures
    names = set()
    for match in re.finditer(rf"^\s*(?:\.\. function:: )?{name}\((.*?)\)\s*->", function.__doc__ or "", re.MULTILINE):
        for part in re.split(r",(?![^\[(]*[\])])", match[1]):
            word = re.split(r"[:=]", part)[0].strip().lstrip("*\\").strip()
            names |= {word} if word else set()
    return names


def public() -> list[tuple[str, str, Callable[..., Any], set[str]]]:
    """Where PyTorch shows an op and documents its parameters: place, name, our function (or None), the parameters."""
    found = []
    for name in REGISTRY:
        functions = [(place, a, getattr(b, name, None)) for place, a, b in PLACES[:2]]
        if not any(theirs and documented(theirs, name) for _, _, theirs in functions):
            functions = [(place, a, getattr(b, name, None)) for place, a, b in PLACES[2:]]
        for place, ours, theirs in functions:
            parameters = documented(theirs, name) - set(NOT_TAKEN) if theirs else set()
            if parameters:
                parameters = {"input" if n == "self" else n for n in parameters}
                parameters |= {"input"} if place == "Tensor" else set()
                found.append((place, name, getattr(ours, name, None), parameters))
    return found


@pytest.mark.parametrize(("place", "name", "ours", "expected"), public(), ids=lambda x: x if isinstance(x, str) else "")
def test_parameters_are_pytorchs(place: str, name: str, ours: Any, expected: set[str]) -> None:
    assert ours is not None, f"PyTorch has this op in the place of {place}.{name}: export it there"
    actual = set(inspect.signature(ours).parameters)
    assert actual == expected, f"{place}.{name}: ours only {actual - expected}, PyTorch's only {expected - actual}"


def test_every_op_is_compared_somewhere() -> None:
    """dropout2d and the like are there too: every op has a documented counterpart."""
    missing = set(REGISTRY) - {name for _, name, _, _ in public()}
    assert not missing, f"torch documents no parameters of {sorted(missing)}: add them to DOCUMENTED"


@pytest.mark.parametrize("name", sorted(n for n in REGISTRY if hasattr(torch.Tensor, n)))
def test_every_method_is_a_method(name: str) -> None:
    assert hasattr(dg.Tensor, name), f"torch.Tensor.{name} is a method: register the op with `method=True`"


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_docstring(name: str) -> None:
    """NumPy style: a sentence, then sections whose parameters exist."""
    function = REGISTRY[name].function
    text = inspect.getdoc(function)
    assert text, f"`{name}` has no docstring"
    summary = text.splitlines()[0]
    assert summary.endswith((".", "?")), f"`{name}`: {summary!r} is no sentence"
    parameters = inspect.signature(function).parameters
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", text, re.MULTILINE | re.DOTALL)
    if section:
        described = [
            n.strip("* ") for line in re.findall(r"^(\S.*)$", section[1], re.MULTILINE) for n in line.split(",")
        ]
        unknown = [n for n in described if n not in parameters]
        assert not unknown, f"`{name}` describes parameters that it does not take: {unknown}"
