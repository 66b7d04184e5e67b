"""Nested state, split into tensors by name and a text of JSON, and put together again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from deepgpu.errors import takes
from deepgpu.tensor import Tensor

# What JSON does not know is written as an object with one key of these.
_TENSOR, _TUPLE, _ITEMS = "$tensor", "$tuple", "$items"


def split(state: Any) -> tuple[dict[str, Tensor], str]:
    """Tensors, named by their place, and everything else as JSON.

    Parameters
    ----------
    state
        Nested dicts, lists and tuples of tensors, numbers, strings and None. Dicts may have any such keys.

    Raises
    ------
    TypeError
        If it holds something else; the message says where.
    """
    tensors: dict[str, Tensor] = {}

    def plain(value: Any, name: str) -> Any:
        if isinstance(value, Tensor):
            tensors[name] = value.detach()
            return {_TENSOR: name}
        if isinstance(value, np.generic):
            return value.item()
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, list):
            return [plain(v, f"{name}.{i}") for i, v in enumerate(value)]
        if isinstance(value, tuple):
            return {_TUPLE: [plain(v, f"{name}.{i}") for i, v in enumerate(value)]}
        if isinstance(value, dict):
            if all(isinstance(k, str) and not k.startswith("$") for k in value):
                return {k: plain(v, f"{name}.{k}" if name else k) for k, v in value.items()}
            return {_ITEMS: [[plain(k, ""), plain(v, f"{name}.{k}")] for k, v in value.items()]}
        expected = "tensors, dicts, lists, tuples, numbers, strings and None"
        raise TypeError(takes("checkpoint", name, expected, f"{type(value).__module__}.{type(value).__name__}"))

    return tensors, json.dumps(plain(state, ""))


def join(tensors: dict[str, Tensor], text: str) -> Any:
    """What :func:`split` has split."""

    def whole(value: Any) -> Any:
        if isinstance(value, list):
            return [whole(v) for v in value]
        if not isinstance(value, dict):
            return value
        if _TENSOR in value:
            return tensors[value[_TENSOR]]
        if _TUPLE in value:
            return tuple([whole(v) for v in value[_TUPLE]])
        if _ITEMS in value:
            return {whole(k): whole(v) for k, v in value[_ITEMS]}
        return {k: whole(v) for k, v in value.items()}

    return whole(json.loads(text))
