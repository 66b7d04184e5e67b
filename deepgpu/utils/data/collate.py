"""From samples to a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.ops.creation import as_tensor, tensor
from deepgpu.ops.joining import stack
from deepgpu.tensor import Tensor
from deepgpu.utils.data.samples import Samples


def default_convert(data: Any) -> Any:
    """NumPy arrays and scalars as tensors, also inside of dicts, tuples and lists; anything else as it is."""
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "SUO" else as_tensor(np.asarray(data))
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(d) for d in data))
    if isinstance(data, tuple):
        return [default_convert(d) for d in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like_sequence(data, [default_convert(d) for d in data])
    return data


def default_collate(batch: Any) -> Any:
    """A batch from a list of samples: tensors are stacked along a new first dimension, whatever holds them stays.

    Parameters
    ----------
    batch
        Samples of one structure, of: tensors, NumPy arrays and scalars (stacked); floats (a float64 tensor), ints and
        bools (an int64 or bool tensor); str and bytes (a list); dicts, named tuples, tuples and lists of these.

    Returns
    -------
    The structure of one sample with batches in it; a tuple becomes a list.

    Raises
    ------
    TypeError
        For samples of other types, such as PIL images.
    RuntimeError
        If tensors have different shapes, or lists different lengths.
    """
    if isinstance(batch, Samples):
        return batch.collated()
    first = batch[0]
    if isinstance(first, Tensor):
        return _stack(batch)
    if isinstance(first, np.ndarray):
        if first.dtype.kind in "SUO":
            raise TypeError(_unsupported(f"numpy.ndarray of {first.dtype}"))
        return _stack([as_tensor(a) for a in batch])
    if isinstance(first, np.generic) and first.dtype.kind not in "SUO":
        return as_tensor(np.array(batch))
    if isinstance(first, float):
        return tensor(batch, dtype=dtypes.float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _like_mapping(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(field) for field in _transposed(batch)))
    if isinstance(first, tuple):
        return [default_collate(field) for field in _transposed(batch)]
    if isinstance(first, Sequence):
        return _like_sequence(first, [default_collate(field) for field in _transposed(batch)])
    raise TypeError(_unsupported(f"{type(first).__module__}.{type(first).__qualname__}"))


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    shapes = {tuple(t.shape) for t in tensors}
    if len(shapes) > 1:
        raise RuntimeError(
            f"`default_collate`: stack expects each tensor to be of equal size, but the samples of this batch have "
            f"shapes {', '.join(map(str, sorted(shapes)))}; resize or crop them, or give the loader a `collate_fn`"
        )
    return stack(tensors)


def _transposed(batch: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The fields of the samples: the first of each, the second of each, ..."""
    lengths = {len(sample) for sample in batch}
    if len(lengths) > 1:
        raise RuntimeError(
            f"`default_collate`: each element in list of batch should be of equal size, but found {sorted(lengths)}"
        )
    return list(zip(*batch, strict=True))


def _like_mapping(original: Mapping[Any, Any], content: dict[Any, Any]) -> Any:
    """The content in a mapping of the original's type where that can be copied and written, else in a dict."""
    if type(original) is dict:
        return content
    return _rebuilt(original, lambda made: made.update(content), content)


def _like_sequence(original: Sequence[Any], content: list[Any]) -> Any:
    if type(original) is list:
        return content

    def fill(made: Any) -> None:
        made[:] = content

    return _rebuilt(original, fill, content)


def _rebuilt(original: Any, fill: Callable[[Any], None], content: Any) -> Any:
    try:
        made = copy.copy(original)
        fill(made)
    except (TypeError, AttributeError):
        return content
    return made


def _unsupported(found: str) -> str:
    hint = ""
    if found.startswith("PIL."):
        hint = "; a PIL image becomes a tensor with `transform=transforms.ToTensor()` in the data set"
    return (
        "`default_collate`: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {found}{hint} (or give the loader a `collate_fn`)"
    )
