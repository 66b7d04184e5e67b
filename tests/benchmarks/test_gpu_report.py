"""The GPU report, as far as no GPU is needed: formulas, tables, a tiny run on the emulated device."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.report import Report, row, shown, table
from benchmarks.gpu.roofline import Conv, Rates, Work, conv, gemm, passes

ROOT = Path(__file__).resolve().parents[2]


def test_a_product_s_work():
    assert gemm(2, 3, 4, "float32") == Work(2 * 2 * 3 * 4, 4 * (8 + 12 + 6))
    assert gemm(2, 3, 4, "bfloat16", batch=5) == Work(5 * 48, 2 * 5 * 26)


@pytest.mark.parametrize("layer", [Conv(2, 3, 4, 7, 3), Conv(1, 4, 8, 6, 3, 2), Conv(2, 4, 4, 5, 5, 1, 4)])
def test_a_convolution_s_work_is_what_a_loop_counts(layer):
    import torch

    x = torch.randn(layer.batch, layer.channels, layer.size, layer.size)
    w = torch.randn(layer.weight_shape)
    y = torch.conv2d(x, w, None, layer.stride, layer.padding, 1, layer.groups)
    assert y.shape[2:] == (layer.output, layer.output)
    products = y.numel() * w[0].numel()  # each output is a sum over its window
    assert conv(layer, "float32") == Work(2 * products, 4 * (x.numel() + w.numel() + y.numel()))


def test_the_roofline_is_the_slower_of_both():
    rates = Rates({"float32": 100.0}, 10.0)
    assert rates.least_seconds(Work(1000, 10), "float32") == 10  # by products
    assert rates.least_seconds(Work(1000, 1000), "float32") == 100  # by bytes
    assert rates.least_seconds(passes(5, 2, "bfloat16"), "bfloat16") == 2  # no matrix rate is needed
    assert Work(1, 2) + Work(3, 4) == Work(4, 6)


def test_a_row():
    rates = Rates({"tf32": 1e14}, 1e12)
    made = row("x", "tf32", Work(1e10, 1e6), rates, 2e-4, 1e-4)
    assert made["ours us"] == pytest.approx(200)
    assert made["torch/ours"] == pytest.approx(0.5)
    assert made["TFLOP/s"] == pytest.approx(50)
    assert made["% of roofline"] == pytest.approx(50)
    failed = row("x", "tf32", Work(1e10, 1e6), rates, None, 1e-4, "ours: no memory")
    assert failed["torch/ours"] is None
    assert failed["error"] == "ours: no memory"


def test_tables_and_cells():
    assert table([]) == ["Nothing was measured."]
    lines = table([{"a": 1, "b": 0.12345}, {"a": "x|y", "c": 1234.5}])
    assert lines == ["| a | b | c |", "|---|---|---|", "| 1 | 0.123 | - |", "| x\\|y | - | 1234 |"]
    assert shown("two\nlines") == "two lines"


def test_sections_are_saved_as_they_end(tmp_path):
    report = Report(tmp_path / "results" / "gpu-x", {"device": "X"})
    report.add("First", [{"a": 1}], "A note.")
    report.add("First", [{"a": 1}, {"a": 2}])
    saved = json.loads((tmp_path / "results" / "gpu-x.json").read_text())
    assert saved["sections"]["First"]["rows"] == [{"a": 1}, {"a": 2}]
    text = (tmp_path / "results" / "gpu-x.md").read_text()
    assert text.startswith("# GPU report: X")
    assert text.count("## First") == 1


def run(tmp_path, *options):
    command = [sys.executable, "-m", "benchmarks.gpu", "--output", str(tmp_path), *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_a_tiny_run_on_the_emulated_device(tmp_path):
    done = run(tmp_path, "--emulate", "--only", "sanitizer", "kernels", "networks")
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("*.json")
    sections = json.loads(file.read_text())["sections"]
    assert {"Kernels", "Training steps", "compute-sanitizer"} == set(sections)
    for rows in (sections["Kernels"]["rows"], sections["Training steps"]["rows"]):
        assert not [r for r in rows if "error" in r]
    assert all(r["ours us"] > 0 for r in sections["Kernels"]["rows"])
    assert {r["how"] for r in sections["Training steps"]["rows"]} == {"eager", "graph"}


def test_without_a_gpu_it_fails_and_says_why(tmp_path):
    import deepgpu as dg

    if dg.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "the GPU report needs a GPU" in done.stderr
    assert "pip install" in done.stderr or "nvidia-smi" in done.stderr
