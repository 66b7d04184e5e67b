"""The compilation of CPU kernels: the disk cache when several processes fill it at once, and what is said meanwhile."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from deepgpu.kernels.jit import notice
from numba.core.event import install_listener

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


MATMUL = """
from deepgpu.kernels.jit import notice
notice.PATIENCE = notice.PAUSE = 0.0
import numpy as np
from deepgpu.kernels.jit.matmul import matmul
a = np.ones((1, 8, 8), np.float32)
matmul(a, a, a.copy())
"""


def test_a_long_compilation_is_announced(tmp_path: Path) -> None:
    """And what comes from the disk cache is not."""
    environment = {**os.environ, "DEEPGPU_CACHE": str(tmp_path)}
    said = [
        subprocess.run([sys.executable, "-c", MATMUL], env=environment, check=True, capture_output=True, text=True)
        for _ in range(2)
    ]
    expected = rf"deepgpu: compiling matmul\._blocks for this CPU, \d+ s so far; .* from {re.escape(str(tmp_path))}"
    assert re.search(expected, said[0].stderr)
    assert said[1].stderr == ""


@pytest.mark.parametrize(
    ("package", "patience", "lines"), [(__name__, 0.0, 1), (__name__, 1e6, 0), ("of.another", 0.0, 0)]
)
def test_a_kernel_is_announced_once(package, patience, lines, monkeypatch, capsys) -> None:
    """With those that it calls; a short one is not, nor is the code of others."""

    @numba.njit
    def inner(x):
        return x + 1

    @numba.njit
    def outer(x):
        return inner(x) * inner(float(x))

    monkeypatch.setattr(notice, "PATIENCE", patience)
    with install_listener("numba:compile", notice.Notice(package, Path)):
        assert outer(2) == 9.0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines
    assert all("test_compile.test_a_kernel_is_announced_once.<locals>.outer" in line for line in said)
