"""The disk cache of CPU kernels, when several processes fill it at once."""

import os
import subprocess
import sys
from pathlib import Path

MODULE = """
import sys
import numpy as np
from deepgpu.kernels.jit.parallel import parallel_for

@parallel_for
def put(task, x, {argument}):
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


def test_two_signatures_compiled_at_once(tmp_path: Path) -> None:
    """Each process writes its index without having seen the other's; neither may load the other's machine code."""
    (tmp_path / "first.py").write_text(MODULE.format(argument="a", value="task + a"))
    assert run(tmp_path, "first", "float32") == "[1.0, 2.0, 3.0]"
    seen = {path: path.read_bytes() for path in tmp_path.rglob("*put*.nbi")}
    assert seen
    for path in seen:
        path.unlink()
    assert run(tmp_path, "first", "int64") == "[1, 2, 3]"
    for path, index in seen.items():
        path.write_bytes(index)
    assert run(tmp_path, "first", "float32") == "[1.0, 2.0, 3.0]"


def test_kernels_of_one_name_in_two_modules(tmp_path: Path) -> None:
    (tmp_path / "first.py").write_text(MODULE.format(argument="a", value="task + a"))
    (tmp_path / "second.py").write_text(MODULE.format(argument="a", value="task - a"))
    assert run(tmp_path, "first", "float32") == "[1.0, 2.0, 3.0]"
    assert run(tmp_path, "second", "float32") == "[-1.0, 0.0, 1.0]"
    assert run(tmp_path, "first", "float32") == "[1.0, 2.0, 3.0]"
