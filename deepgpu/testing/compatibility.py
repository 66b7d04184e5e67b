"""The page ``docs/compatibility.md``: every public name of PyTorch beside ours.

``python -m deepgpu.testing.compatibility`` writes it anew; only that needs PyTorch. What differs is said here, by name;
everything else that both have is meant to be the same, and the tests of the ops compare it.
"""

from __future__ import annotations

import fnmatch
import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

NAMESPACES = (
    "",
    "Tensor",
    "nn",
    "nn.functional",
    "nn.init",
    "nn.utils",
    "optim",
    "optim.lr_scheduler",
    "utils.data",
    "linalg",
    "autograd",
    "cuda",
    "amp",
)
"""What the page compares, below ``torch``."""

DIFFERENT = {
    "compile": "returns the module as it is, and says so once",
    "Tensor.is_pinned": "`device` is not looked at",
    "Tensor.pin_memory": "`device` is not looked at",
    "Tensor.record_stream": "keeps the memory for the work that the stream has at the call, so call it afterwards",
    "Tensor.layout": 'the string `"strided"`',
    "as_strided": (
        "a view on the CPU, a copy on a GPU; offsets count from the tensor's first element, whose memory has no gaps"
    ),
    "Tensor.as_strided": (
        "a view on the CPU, a copy on a GPU; offsets count from the tensor's first element, whose memory has no gaps"
    ),
    "autocast": "device types `cpu` and `cuda`; reflection and replication padding keep bfloat16 on the CPU",
    "cuda.CUDAGraph": "random numbers cannot be captured, but for dropout; of optimizers SGD, Adam and AdamW can",
    "cuda.get_rng_state": "one stream of random numbers for all devices, drawn by the host",
    "cuda.set_rng_state": "one stream of random numbers for all devices, drawn by the host",
    "cuda.manual_seed": "seeds the one stream of all devices",
    "cuda.Event": "not between processes",
    "load": "reads weights through a restricted unpickler; never runs code from the file",
    "manual_seed": "the numbers are others than PyTorch's",
    "optim.Muon": "its iteration runs in float32, PyTorch's in bfloat16",
    "optim.Adam": "`foreach` and `fused` change nothing: a step is one kernel call",
    "optim.AdamW": "`foreach` and `fused` change nothing: a step is one kernel call",
    "optim.SGD": "`foreach` and `fused` change nothing: a step is one kernel call",
    "nn.SyncBatchNorm": "one process, so it is the other batch norms; runs on the CPU too",
    "nn.UninitializedParameter": "`deepgpu.save` does not take it: call the lazy module first",
    "nn.UninitializedBuffer": "`deepgpu.save` does not take it: call the lazy module first",
    "use_deterministic_algorithms": "concerns floating-point sums by index on a GPU; all else is deterministic anyway",
    "utils.data.DataLoader": "has `worker_type` and `state_dict` besides; the order does not depend on the workers",
}
"""What differs of names that both have."""

ABSENT = {
    "*Storage*|*storage*": "storages are not objects here; `numpy()` and DLPack share memory",
    "*complex*|*cfloat|*cdouble|*chalf|*conj*|*real|*imag|*angle|*polar|*_neg|*.H|*.mH": (
        "there are no complex tensors; keep real and imaginary parts as two tensors"
    ),
    "*sparse*|*Sparse*|*_indices*|*indices|*values*|*coalesce*|*smm|*spmm|*addmm|hs*mm|*dense*|dsmm": (
        "all tensors are strided; `scipy.sparse` on the host"
    ),
    "*quant*|q_*|*.q_*|q*int*|Q*|*fbgemm*|*int_repr": "no quantization; autocast to bfloat16 saves memory and time",
    "*Script*|*Graph*|*Type|*IR*|parse_*|*Tracing*|import_ir*|Alias*|*Schema*|Code|Block|Node|Value|Use|Future*": (
        "there is no TorchScript; `deepgpu.save` keeps weights, Python the program"
    ),
    "sym_*|Sym*": "shapes are plain integers",
    "*stft|*_window|*fft*": "no signal processing; `numpy.fft` and `scipy.signal`",
    "cudnn_*|miopen_*|mkldnn_*|native_*|batch_norm_*|thnn_*|conv_tbc|*scaled_mm|*grouped_mm": (
        "a function of PyTorch's inside; use the public op"
    ),
    "*_copy": "`.clone()` of the view",
    "*float8*|float4*|uint[1-9]*|int[1-7]|bit*": (
        "dtypes are float16, bfloat16, float32, float64, int8 to int64, uint8, bool"
    ),
    "*autocast_*": "use `get_autocast_dtype(device_type)`, `is_autocast_enabled(device_type)` and their setters",
    "*[a-z]Tensor|*16Tensor": ("`deepgpu.tensor(data, dtype=...)`"),
    "*DataParallel|*Distributed*": "one process, one device",
    "utils.data.*DataPipe*|utils.data.*": "data pipes; use `IterableDataset`",
    "Tensor.is_*": "there is no such kind of tensor: everything is a strided tensor on the CPU or a GPU",
    "nn.functional.*_with_indices": "`return_indices=True`",
    "nn.utils.fuse_*": "kernels fuse batch norm on their own",
    "nn.init.*": "the name with an underscore at its end",
    "*eig|*eigvals|*ldl*|*lu|*lu_*|*householder*|*orgqr|*ormqr|*geqrf|*matrix_exp": (
        "no such decomposition; `numpy.linalg` or `scipy.linalg`"
    ),
    "autograd.*|cuda.*": "of PyTorch's inside, or of no use here",
    "*_": "the method of that name, or the function without the underscore",
}
"""What to use in the place of names that are absent: patterns of names, separated by bars; the first that fits."""

OTHERWISE = "not there yet"


class Row(NamedTuple):
    """A name of PyTorch's."""

    name: str
    status: str
    """``"same"``, ``"differs"`` or ``"absent"``."""
    remark: str


def public(owner: Any) -> list[str]:
    """The public names of a module or class of PyTorch's."""
    if isinstance(owner, type):
        return [n for n in dir(owner) if not n.startswith("_")]
    own = {
        n
        for n, value in vars(owner).items()
        if callable(value) and str(getattr(value, "__module__", "")).startswith("torch")
    }
    names = own | set(getattr(owner, "__all__", ()))
    if owner.__name__ == "torch":
        names |= {n for n in vars(owner) if isinstance(getattr(owner, n), owner.dtype)}
    return sorted(
        n for n in names if not n.startswith("_") and not isinstance(getattr(owner, n, None), types.ModuleType)
    )


def found(root: Any, path: str) -> Any:
    """What a dotted path leads to, or None."""
    for part in path.split(".") if path else ():
        if isinstance(root, types.ModuleType) and not hasattr(root, part):
            try:
                importlib.import_module(f"{root.__name__}.{part}")
            except ImportError:
                return None
        root = getattr(root, part, None)
    return root


def row(name: str, ours: Any) -> Row:
    """How a name of PyTorch's stands here; ``name`` begins behind ``torch.``."""
    owner, _, last = name.rpartition(".")
    if hasattr(found(ours, owner), last):
        remark = DIFFERENT.get(name, "")
        return Row(name, "differs" if remark else "same", remark)
    for patterns, remark in ABSENT.items():
        if any(fnmatch.fnmatchcase(name, p) for p in patterns.split("|")):
            return Row(name, "absent", remark)
    return Row(name, "absent", OTHERWISE)


def rows(torch: Any) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each namespace."""
    ours = importlib.import_module("deepgpu")
    for namespace in NAMESPACES:
        owner = found(torch, namespace)
        prefix = f"{namespace}." if namespace else ""
        yield namespace, [row(prefix + n, ours) for n in public(owner)]


def page(torch: Any) -> str:
    """The page."""
    lines = [
        "# PyTorch's names here",
        "",
        "Generated by `python -m deepgpu.testing.compatibility`; do not edit. "
        f"Compared with PyTorch {torch.__version__.split('+')[0]}.",
        "",
        "A name listed as the same takes the same arguments and gives the same results, as the op tests check.",
    ]
    for namespace, listed in rows(torch):
        same = [r.name.rpartition(".")[2] for r in listed if r.status == "same"]
        lines += ["", f"## `torch{'.' if namespace else ''}{namespace}`", ""]
        lines.append(f"{len(same)} of {len(listed)} names are the same: " + ", ".join(f"`{n}`" for n in same) + ".")
        others = [r for r in listed if r.status != "same"]
        if others:
            lines += ["", "| name | here |", "|---|---|"]
        merged: dict[tuple[str, str], list[str]] = {}
        for r in others:
            merged.setdefault((r.status, r.remark), []).append(r.name.rpartition(".")[2])
        for (status, remark), names in sorted(merged.items(), key=lambda item: item[0], reverse=True):
            lines.append(f"| {', '.join(f'`{n}`' for n in names)} | {status}: {remark} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    path = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        sys.exit("the compatibility page needs PyTorch to compare with: `pip install torch`")
    path.write_text(page(torch))
    print(f"written: {path}")


if __name__ == "__main__":
    main()
