"""In which dtype each op runs under autocast, against PyTorch's on the CPU; the lists of the GPU against its page."""

import importlib
from pathlib import Path

import pytest
import torch

import deepgpu as dg
from deepgpu.ops.autocast import FLOAT32, LOWER, PROMOTE
from deepgpu.testing import OpTests, calls

DIFFERENT = {
    "inner": "of matrices PyTorch's is a product in bfloat16; here it keeps the dtype",
    "pad": "PyTorch computes reflection and replication in float32, also of bfloat16; here they keep the dtype",
}


def entries(file):
    module = importlib.import_module(f"tests.ops.{file.stem}")
    for found in list(vars(module).values()):  # a warning on the way adds a registry to the module
        if isinstance(found, type) and issubclass(found, OpTests) and found is not OpTests:
            yield from (
                e for e in found.entries if e.function is None and e.name not in DIFFERENT and "forward" not in e.skip
            )


FILES = [f for f in sorted((Path(__file__).parents[1] / "ops").glob("test_*.py")) if any(entries(f))]


def dtypes_of(result, kind):
    return [str(t.dtype).split(".")[-1] for t in calls._tensors(result, kind)]


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem[5:])
def test_results_have_pytorch_s_dtypes(file):
    """The first samples of every op entry, of float32 and of bfloat16."""
    for entry in entries(file):
        for dtype in {"float32", "bfloat16"} & set(entry.dtypes):
            for sample, _ in zip(entry.samples(entry.make(dtype)), range(3), strict=False):
                try:
                    with torch.autocast("cpu", torch.bfloat16):
                        theirs = calls.theirs(entry.theirs, sample, record=False)
                except calls.REFUSALS:
                    continue
                with dg.autocast("cpu", dg.bfloat16):
                    ours = calls.ours(entry.ours, sample, "cpu", record=False)
                text = f"{entry.id}{sample!r}"
                assert dtypes_of(ours.result, dg.Tensor) == dtypes_of(theirs.result, torch.Tensor), text


def test_no_op_is_in_two_lists():
    for device in ("cpu", "cuda"):
        assert not LOWER[device] & FLOAT32[device]
        assert not (LOWER[device] | FLOAT32[device]) & PROMOTE[device]


ON_CUDA = {  # from the page "CUDA Ops that can autocast to float16", "... to float32", "... to the widest input type"
    "float16": ["matmul", "mm", "mv", "addmm", "addmv", "addr", "chain_matmul"],
    "float32": ["exp", "log", "pow", "prod", "softmax", "log_softmax", "sum", "cumsum", "norm", "cosh", "tan", "rsqrt"],
}


@pytest.mark.parametrize(("expected", "name"), [(d, n) for d, names in ON_CUDA.items() for n in names])
def test_lists_of_the_gpu(emulated, expected, name):
    a, v = dg.rand(4, 4, device="cuda"), dg.rand(4, device="cuda")
    arguments = {
        "matmul": (a, a), "mm": (a, a), "mv": (a, v), "addmm": (a, a, a), "addmv": (v, a, v), "addr": (a, v, v),
        "chain_matmul": (a, a), "pow": (a, 2), "softmax": (a, 0), "log_softmax": (a, 0), "cumsum": (a, 0),
    }.get(name, (a,))  # fmt: skip
    if expected == "float32":
        arguments = tuple(x.half() if isinstance(x, dg.Tensor) else x for x in arguments)
    with dg.autocast("cuda"):
        assert getattr(dg, name)(*arguments).dtype is getattr(dg, expected)


def test_promotion_on_the_gpu(emulated):
    a, h = dg.rand(3, device="cuda"), dg.rand(3, device="cuda").half()
    with dg.autocast("cuda"):
        assert dg.cat([a, h]).dtype is dg.float32
        assert dg.dot(a, h).dtype is dg.float32
        assert dg.stack([h, h]).dtype is dg.float16
        with pytest.raises(RuntimeError, match="binary_cross_entropy_with_logits"):
            dg.nn.functional.binary_cross_entropy(a, a)
