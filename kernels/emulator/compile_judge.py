"""The compile judge: NVRTC, as CuPy calls it, for six architectures, without a GPU or a driver.

It proves that a source compiles for the GPU, that its kernels keep to the registers, shared memory and spills declared
beside them, and that the instructions meant (tensor cores, asynchronous copies, 128-bit loads) are there.

Bounds are declared in a comment of the source, one line a kernel::

    // judge gemm: registers <= 168, shared <= 49152; sm_80+: HMMA, LDSM, LDGSTS.*128; !LDL

Clauses are separated by semicolons. ``registers``, ``shared`` (static bytes), ``stack`` and ``spills`` (bytes) have
upper bounds; ``spills <= 0`` holds unless another is given. Other clauses name instructions, as regular expressions on
their SASS opcodes, that must be there (``!``: must not), from an architecture on (``sm_80+:``) or for all.

Needs the extra ``kernels``: CuPy, the wheels nvidia-cuda-nvrtc, nvidia-cuda-runtime and nvidia-cuda-nvdisasm.
"""

from __future__ import annotations

import importlib.util
import io
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import CompileError, ToolchainError
from .toolchain import KERNEL_INCLUDE, nvidia_include

ARCHITECTURES = (75, 80, 86, 90, 100, 120)
_RESOURCES = ("registers", "shared", "stack", "spills")
_NVRTC_NOTE = "pip install 'deepgpu[kernels]'"


def _nvdisasm() -> Path | None:
    spec = importlib.util.find_spec("nvidia")
    roots = list(spec.submodule_search_locations or ()) if spec is not None else []
    found = [path for root in roots for path in Path(root).glob("*/bin/nvdisasm")]
    return found[0] if found else None


def _has_nvrtc() -> bool:
    spec = importlib.util.find_spec("nvidia")
    roots = list(spec.submodule_search_locations or ()) if spec is not None else []
    return any(next(Path(root).glob("*/lib/libnvrtc.so*"), None) for root in roots)


def missing() -> list[str]:
    """The packages that the judge needs and that are not installed."""
    needed = {
        "cupy-cuda13x": importlib.util.find_spec("cupy") is not None,
        "nvidia-cuda-nvrtc": _has_nvrtc(),
        "nvidia-cuda-nvdisasm": _nvdisasm() is not None,
    }
    return [package for package, installed in needed.items() if not installed]


@dataclass(frozen=True)
class Cubin:
    """Machine code for one architecture; `mangled` maps name expressions to the names in it."""

    data: bytes
    log: str
    mangled: dict[str, str]


def compile_cubin(
    code: str, name: str, architecture: int, options: Sequence[str] = (), name_expressions: Sequence[str] = ()
) -> Cubin:
    """Compiles as ``cupy.RawModule`` would for a GPU of this architecture.

    This is the one place that uses CuPy's private interface (``cupy.cuda.compiler._NVRTCProgram``): the public one asks
    for a device even when the architecture is given.
    """
    if lacking := missing():
        raise ToolchainError(f"the compile judge needs {', '.join(lacking)}: {_NVRTC_NOTE}")
    import cupy._core.core as core
    from cupy.cuda import compiler

    standard = () if any("std=" in o for o in options) else ("-std=c++17",)
    given = (*standard, f"-I{KERNEL_INCLUDE}", f"-I{nvidia_include()}", *options)
    flags = core.assemble_cupy_compiler_options(given)
    flags += ("-ftz=true", f"-arch=sm_{architecture}", "--device-as-default-execution-space", "--ptxas-options=-v")
    log = io.StringIO()
    try:
        program = compiler._NVRTCProgram(code, name, name_expressions=tuple(name_expressions), method="cubin")
        data, mangled = program.compile(flags, log)
    except compiler.CompileException as error:
        raise CompileError(f"NVRTC, sm_{architecture}: {error}") from error
    return Cubin(data + b"\0", log.getvalue(), dict(mangled or {}))  # CuPy drops the last byte


@dataclass(frozen=True)
class Resources:
    """What a kernel takes: registers a thread; bytes of static shared memory, of stack and of spills."""

    registers: int
    shared: int
    stack: int
    spills: int


def resources(log: str) -> dict[str, Resources]:
    """The resources of each kernel, by mangled name, from ptxas's log."""
    entry = re.compile(
        r"Compiling entry function '([^']+)'.*?"
        r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
        r".*?Used (\d+) registers([^\n]*)",
        re.DOTALL,
    )
    found = {}
    for match in entry.finditer(log):
        shared = re.search(r"(\d+) bytes smem", match[6])
        spills = int(match[3]) + int(match[4])
        found[match[1]] = Resources(int(match[5]), int(shared[1]) if shared else 0, int(match[2]), spills)
    return found


def disassemble(cubin: Cubin) -> dict[str, Counter[str]]:
    """How often each SASS opcode stands in each kernel, by mangled name."""
    program = _nvdisasm()
    if program is None:
        raise ToolchainError(f"the compile judge needs nvidia-cuda-nvdisasm: {_NVRTC_NOTE}")
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin.data)
        file.flush()
        done = subprocess.run([str(program), "-c", file.name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolchainError(f"nvdisasm: {done.stderr.strip()}")
    kernels = {}
    for section in re.split(r"\n\s*\.section\s+\.text\.", done.stdout)[1:]:
        opcodes = re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", section)
        kernels[section.split(",")[0].strip('"')] = Counter(opcodes)
    return kernels


@dataclass(frozen=True)
class Bounds:
    """What a kernel may take, and which instructions it must or must not have.

    `most` maps a resource to its upper bound; `instructions` are (least architecture, pattern, wanted).
    """

    most: dict[str, int] = field(default_factory=lambda: {"spills": 0})
    instructions: tuple[tuple[int, str, bool], ...] = ()


def declared_bounds(code: str) -> dict[str, Bounds]:
    """The bounds in a source's ``// judge KERNEL: ...`` comments."""
    found = {}
    for name, text in re.findall(r"^\s*//\s*judge\s+(\w+)\s*:(.*)$", code, re.MULTILINE):
        most: dict[str, int] = {"spills": 0}
        instructions: list[tuple[int, str, bool]] = []
        for clause in filter(None, (c.strip() for c in text.split(";"))):
            if re.match(rf"(?:{'|'.join(_RESOURCES)})\s*<=", clause):
                for bound in clause.split(","):
                    match = re.fullmatch(rf"\s*({'|'.join(_RESOURCES)})\s*<=\s*(\d+)\s*", bound)
                    if match is None:
                        raise ValueError(f"judge {name}: `{bound.strip()}` is not a bound such as `registers <= 128`")
                    most[match[1]] = int(match[2])
                continue
            scoped = re.fullmatch(r"(?:sm_(\d+)\+:)?(.*)", clause)
            assert scoped is not None
            least = int(scoped[1] or 0)
            patterns = filter(None, (p.strip() for p in scoped[2].split(",")))
            instructions += [(least, p.removeprefix("!"), not p.startswith("!")) for p in patterns]
        found[name] = Bounds(most, tuple(instructions))
    return found


@dataclass(frozen=True)
class Verdict:
    """One kernel on one architecture; `complaints` is empty if all is well."""

    kernel: str
    architecture: int
    resources: Resources
    opcodes: Counter[str]
    complaints: tuple[str, ...]


def _complaints(architecture: int, used: Resources, opcodes: Counter[str], bounds: Bounds) -> Iterable[str]:
    for resource, most in bounds.most.items():
        if (value := getattr(used, resource)) > most:
            yield f"{resource} {value} > {most}"
    for least, pattern, wanted in bounds.instructions:
        present = any(re.match(pattern, opcode) for opcode in opcodes)
        if architecture >= least and present != wanted:
            yield f"{'no' if wanted else 'has'} {pattern}"


def judge(
    path: str | Path | None = None,
    *,
    code: str | None = None,
    name_expressions: Sequence[str] = (),
    architectures: Sequence[int] = ARCHITECTURES,
    options: Sequence[str] = (),
) -> list[Verdict]:
    """Compiles a source for every architecture and holds its kernels to their declared bounds.

    Parameters
    ----------
    path, code
        The source, or the file it is in.
    name_expressions : sequence of str
        Template instances to judge beside the ``extern "C"`` kernels.

    Raises
    ------
    CompileError
        With NVRTC's messages.
    ToolchainError
        When CuPy, NVRTC or nvdisasm is missing.
    """
    if (code is None) == (path is None):
        raise TypeError("judge takes either `path` or `code`")
    text, name = (Path(path).read_text(), Path(path).name) if path is not None else (str(code), "kernel.cu")
    if path is not None:
        options = (*options, f"-I{Path(path).resolve().parent}")
    bounds = declared_bounds(text)
    verdicts = []
    for architecture in architectures:
        cubin = compile_cubin(text, name, architecture, options, name_expressions)
        readable = {mangled: expression for expression, mangled in cubin.mangled.items()}
        opcodes = disassemble(cubin)
        for mangled, used in resources(cubin.log).items():
            kernel = readable.get(mangled, mangled)
            rule = bounds.get(re.split(r"[<\s]", kernel)[0].split("::")[-1], Bounds())
            count = opcodes.get(mangled, Counter())
            verdicts.append(
                Verdict(kernel, architecture, used, count, tuple(_complaints(architecture, used, count, rule)))
            )
    return verdicts


def table(verdicts: Sequence[Verdict]) -> str:
    """The verdicts in Markdown: a row a kernel, a column an architecture, registers (and shared bytes) in the cells."""
    architectures = sorted({v.architecture for v in verdicts})
    lines = ["| kernel | " + " | ".join(f"sm_{a}" for a in architectures) + " |", "|---|" + "---|" * len(architectures)]
    for kernel in dict.fromkeys(v.kernel for v in verdicts):
        cells = []
        for architecture in architectures:
            verdict = next((v for v in verdicts if (v.kernel, v.architecture) == (kernel, architecture)), None)
            if verdict is None:
                cells.append("")
                continue
            used = verdict.resources
            cell = f"{used.registers}" + (f", {used.shared} B" if used.shared else "")
            cells.append(cell + (": " + "; ".join(verdict.complaints) if verdict.complaints else ""))
        lines.append(f"| `{kernel}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)
