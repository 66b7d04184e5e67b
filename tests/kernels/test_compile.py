"""The disk cache of CPU kernels, when several processes fill it at once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
from deepgpu.kernels.jit.parallel import parallel_for

@parallel_for
def put(task, x, a):
    x[task] = {value}
"""

RUN = """
import importlib, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
x = np.zeros(3, sys.argv[3])
importlib.import_module(sys.argv[2]).put(3, x, 1.0)
print(x.tolist())
"""


def run(folder: Path, module: str, dtype: str) -> str:
    """What the kernel ``put`` of a module leaves in an array, in a process of its own."""
    environment = {**os.environ, "DEEPGPU_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", RUN, str(folder), module, dtype]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two modules, and a cache that has the kernel of the first for float32."""
    made = tmp_path_factory.mktemp("kernels")
    (made / "first.py").write_text(MODULE.format(value="task + a"))
    (made / "second.py").write_text(MODULE.format(value="task - a"))
    assert run(made, "first", "float32") == "[1.0, 2.0, 3.0]"
    return made


def test_two_signatures_compiled_at_once(folder: Path, tmp_path: Path) -> None:
    """Each process writes its index without having seen the other's; neither may load the other's machine code."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    seen = {path: path.read_bytes() for path in tmp_path.rglob("*put*.nbi")}
    assert seen
    for path in seen:
        path.unlink()
    assert run(tmp_path, "first", "int64") == "[1, 2, 3]"
    for path, index in seen.items():
        path.write_bytes(index)
    assert run(tmp_path, "first", "float32") == "[1.0, 2.0, 3.0]"


def test_kernel_compiled_where_others_were_loaded(folder: Path) -> None:
    """It is not taken for the kernel of its name in another module, and starts the threads itself when it is loaded."""
    assert run(folder, "second", "float32") == "[-1.0, 0.0, 1.0]"
    assert run(folder, "second", "float32") == "[-1.0, 0.0, 1.0]"
