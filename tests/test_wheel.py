"""The wheel carries what an installed deepgpu needs, and works without the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    # A copy, since a build leaves files beside the sources.
    source = tmp_path_factory.mktemp("source") / "deepgpu"
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return path


def test_every_source_is_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, prefix in [("deepgpu", "deepgpu"), ("kernels", "deepgpu/kernels")]:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".cu", ".cuh", ".h", ".hpp", ".cpp", ".npz", ".gz"} and path.is_file():
                assert f"{prefix}/{path.relative_to(ROOT / folder)}" in names


def test_it_imports_and_computes_without_the_checkout(wheel, tmp_path):
    code = """
import deepgpu as dg, deepgpu.kernels.jit as jit
assert ".whl" not in jit.__file__ and "site" in jit.__file__, jit.__file__
x = dg.randn(2, 3, 8, 8, requires_grad=True)
dg.conv2d(x, dg.randn(4, 3, 3, 3)).relu().sum().backward()
assert x.grad.shape == x.shape
"""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    environment = {"PYTHONPATH": str(site), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)
