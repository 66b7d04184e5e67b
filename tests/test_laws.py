"""The rules that keep the structure: imports run downward, nothing heavy is loaded by `import deepgpu`."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "deepgpu"

# From the bottom up; a module may import from its own layer and from those before it.
LAYERS = [
    {"errors", "kernels"},
    {"backends"},
    {
        "compiler",
        "dtypes",
        "device",
        "memory",
        "settings",
        "threads",
        "version",
        "tensor",
        "pending",
        "random",
        "printing",
        "autograd",
    },
    {"ops"},
    {"func", "linalg", "nn", "optim", "utils", "serialization", "amp", "cuda", "accelerator", "inplace"},
    {"vision"},
    {"train", "viz"},
    {"cli", "__main__", "testing"},
]
LEVEL = {name: i for i, layer in enumerate(LAYERS) for name in layer}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, top_level_only: bool) -> set[str]:
    """The deepgpu modules that a file imports, wherever in it (or only when it is itself imported)."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    if top_level_only:
        lazy = {id(n) for f in nodes if isinstance(f, (ast.FunctionDef, ast.Lambda)) for n in ast.walk(f)}
        guarded = {
            id(n)
            for i in nodes
            if isinstance(i, ast.If) and getattr(i.test, "id", "") == "TYPE_CHECKING"
            for n in ast.walk(i)
        }
        nodes = [n for n in nodes if id(n) not in lazy | guarded]
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for a in node.names:
                full = f"{node.module}.{a.name}"
                found.add(full if full in MODULES else node.module)
    return {f for f in found if f == "deepgpu" or f.startswith("deepgpu.")}


FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {module_name(p) for p in FILES}


@pytest.mark.parametrize("path", [p for p in FILES if p.parent != PACKAGE or p.name != "__init__.py"], ids=module_name)
def test_imports_run_downward(path):
    own = module_name(path).split(".")[1]
    assert own in LEVEL, f"{own} has no layer yet: add it to LAYERS"
    for name in imports(path, top_level_only=False):
        if name == "deepgpu":
            assert LEVEL[own] >= LEVEL["vision"], f"{path.name} imports deepgpu itself; import the module it needs"
            continue
        other = name.split(".")[1]
        assert LEVEL[other] <= LEVEL[own], f"{path.name} imports {name}, which lies above it"


def test_no_import_cycles():
    graph = {module_name(p): imports(p, top_level_only=True) & MODULES for p in FILES}
    graph.pop("deepgpu")
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"import cycle: {' -> '.join((*path[path.index(name) :], name))}"
        if name in done:
            return
        for other in sorted(graph.get(name, ())):
            if not name.startswith(other + "."):  # a module may import from its own package's parent
                visit(other, (*path, name))
        done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", sorted((ROOT / "kernels").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_kernels_do_not_know_the_framework(path):
    assert not {n for n in imports(path, top_level_only=False) if not n.startswith("deepgpu.kernels")}


@pytest.mark.parametrize("path", [p for p in FILES if "testing" not in p.parts], ids=module_name)
def test_torch_is_only_imported_by_testing(path):
    names = {
        a.name if isinstance(n, ast.Import) else n.module or ""
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, (ast.Import, ast.ImportFrom))
        for a in n.names
    }
    assert not any(n == "torch" or n.startswith("torch.") for n in names)


def test_import_loads_nothing_heavy():
    """Without Numba no kernel can have been compiled; the others cost time that few programs need."""
    code = "import sys, json, deepgpu; print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"numba", "llvmlite", "cupy", "torch", "matplotlib", "PIL", "rich", "typer", "pooch", "scipy"}
    assert not heavy & set(json.loads(out))
