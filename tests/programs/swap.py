"""One source, two libraries: a PyTorch text as it is, or with its import lines changed to deepgpu's."""

import re
import sys
import types
from pathlib import Path

HERE = Path(__file__).parent

# What stands in front of the names, in the order in which it is tried.
RULES = [
    (r"import torch(\.[\w.]+)?$", "import deepgpu as torch"),
    (r"import torch\.([\w.]+) as (\w+)$", r"import deepgpu.\1 as \2"),
    (r"from torch import (.+)$", r"from deepgpu import \1"),
    (r"from torch\.([\w.]+) import (.+)$", r"from deepgpu.\1 import \2"),
    (r"from torchvision import (.+)$", r"from deepgpu.vision import \1"),
    (r"from torchvision\.([\w.]+) import (.+)$", r"from deepgpu.vision.\1 import \2"),
]


def for_deepgpu(source: str) -> str:
    """The text with only its import lines changed."""
    lines = source.split("\n")
    for i, line in enumerate(lines):
        if not re.match(r"(import|from) torch", line):
            continue
        for pattern, replacement in RULES:
            if re.match(pattern, line):
                lines[i] = re.sub(pattern, replacement, line)
                break
        else:
            raise ValueError(f"no rule for {line!r}")
    return "\n".join(lines)


def for_torch(source: str) -> str:
    """The text, with the few parts of torchvision that it needs taken from beside this file: it is not installed."""
    return re.sub(r"^from torchvision\b", "from tests.programs.torchvision_parts", source, flags=re.MULTILINE)


def load(path: str, library: str) -> types.ModuleType:
    """The module of a source file below this folder, for ``"torch"`` or ``"deepgpu"``."""
    file = HERE / path
    source = (for_deepgpu if library == "deepgpu" else for_torch)(file.read_text())
    module = types.ModuleType(f"{file.stem}_{library}")
    sys.modules[module.__name__] = module  # so that its classes can be pickled, for workers and checkpoints
    exec(compile(source, f"{library}:{path}", "exec"), module.__dict__)
    return module
