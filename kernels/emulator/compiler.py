"""Compiles CUDA C++ for the CPU: preprocess, find the kernels, compile, link with the runtime; everything is cached."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from . import elf, source
from .errors import CompileError
from .toolchain import INCLUDE, KERNEL_INCLUDE, RUNTIME, cache_folder, nvidia_include, run, tool

DYNAMIC_SHARED_LIMIT = 227 << 10
"""Bytes of dynamic shared memory that a block can ask for (compute capability 9.0 and 10.0)."""
_DYNAMIC_SHARED = "emu_dynamic_shared"

_COMMON = [
    "-fPIC",
    "-w",
    "-fvisibility=hidden",
    "-fno-gnu-unique",
    "-fno-extern-tls-init",
    "-fno-strict-aliasing",
    "-fno-math-errno",
    "-fno-threadsafe-statics",
    "-ffp-contract=off",
]
_FAST = ["-O2", "-g1"]
# -Og keeps the accesses of the source: -O1 would split a float4 into four loads.
_CHECKED = [
    "-Og",
    "-g1",
    "-fsanitize=thread,alignment,bounds,integer-divide-by-zero,shift-exponent",
    "--param=tsan-instrument-func-entry-exit=0",
    "--param=tsan-distinguish-volatile=1",
]
_RUNTIME = ["-std=c++17", "-O2", "-fno-tree-loop-distribute-patterns", "-U_FORTIFY_SOURCE"]
_INLINE_PTX = (
    "The source has inline PTX, which does not run on a CPU: use the functions of <ptx.cuh> (dg::cp_async, "
    "dg::ldmatrix, dg::mma, ...), or keep the asm under `#ifndef __CUDA_EMULATOR__` with plain C++ in the other branch."
)
_RENAMED = ("memcpy", "memmove", "memset")  # calls that a checked module makes through hooks.cpp
_IGNORED_OPTIONS = re.compile(
    r"-(?:lineinfo|G|O\d|dc|-?restrict|w|ewp|dopt.*|-?use_fast_math|-?extra-device-vectorization|-?device-as-default-execution-space"
    r"|-?default-device|-?ftz=.*|-?fmad=.*|-?prec-(?:div|sqrt)=.*|-?maxrregcount=.*|-?ptxas-options=.*|-generate-line-info|-device-debug)"
)


@dataclass(frozen=True)
class KernelEntry:
    """A kernel of a compiled module: ``number`` names its entry function."""

    expression: str
    number: int
    declaration: source.KernelDeclaration


@dataclass(frozen=True)
class SharedVariable:
    """A ``__shared__`` variable: bytes ``offset`` to ``offset + size`` of the shared window.

    ``owner`` is the address of the function it belongs to, or None if any kernel may use it.
    """

    name: str
    offset: int
    size: int
    owner: int | None


@dataclass(frozen=True)
class ModuleVariable:
    """A ``__device__`` or ``__constant__`` variable: its address within the module."""

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class CompiledModule:
    """A shared object and what is in it. ``files`` maps the source's names to where they can be read."""

    path: Path
    kernels: tuple[KernelEntry, ...]
    declared: tuple[source.KernelDeclaration, ...]
    shared: tuple[SharedVariable, ...]
    dynamic_offset: int
    variables: tuple[ModuleVariable, ...]


def translate_options(options: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """NVRTC's options as g++ takes them: the standard and architecture, and the others.

    Those that mean nothing on a CPU are dropped.
    """
    standard, arch, passed = "-std=c++17", "900", []
    queue = list(options)
    while queue:
        option = queue.pop(0)
        if option in ("-I", "-D", "-U", "-include", "--include-path", "--define-macro", "--pre-include") and queue:
            option = {"--include-path": "-I", "--define-macro": "-D", "--pre-include": "-include"}.get(option, option)
            passed += [option, queue.pop(0)]
        elif match := re.fullmatch(r"--?std=(c\+\+\d\d)", option):
            standard = f"-std={match[1]}"
        elif match := re.fullmatch(r"(?:-arch=|--gpu-architecture=)(?:sm|compute)_(\d+)\w?", option):
            arch = match[1] + "0"
        elif match := re.fullmatch(r"(?:--include-path|--define-macro)=(.*)", option):
            passed.append(("-I" if "include" in option else "-D") + match[1])
        elif re.match(r"-[IDU]", option):
            passed.append(option)
        elif not _IGNORED_OPTIONS.fullmatch(option):
            raise CompileError(
                f"the CUDA emulator does not know the compiler option `{option}`; "
                "it takes NVRTC's -I, -D, -U, -std, -arch and ignores those that only tune the code for a GPU"
            )
    return [standard, f"-DEMU_ARCH={arch}"], passed


def _digest(*parts: str | bytes) -> str:
    h = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        h.update(len(data).to_bytes(8, "little") + data)
    return h.hexdigest()[:24]


def _switch() -> list[str]:
    """DEEPGPU_EMULATOR_UCONTEXT=1 asks for the portable context switch in place of the hand-written one."""
    return ["-DEMU_UCONTEXT=1"] if os.environ.get("DEEPGPU_EMULATOR_UCONTEXT") == "1" else []


@functools.cache
def _toolchain_digest() -> str:
    """Changes when the compiler, NVIDIA's headers or the emulator itself change."""
    parts: list[str | bytes] = [str(nvidia_include()), *_switch()]
    for program in ("g++", "objcopy"):
        real = Path(tool(program)).resolve()
        status = real.stat()
        parts.append(f"{real} {status.st_size} {status.st_mtime_ns}")
    here = Path(__file__).parent
    for folder, pattern in ((INCLUDE, "**/*"), (RUNTIME, "*"), (here, "compiler.py"), (here, "source.py")):
        parts += [p.read_bytes() for p in sorted(folder.glob(pattern)) if p.is_file()]
    return _digest(*parts)


def _replace(text_or_bytes: str | bytes, path: Path) -> None:
    """Writes a file so that another process sees either none or all of it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_bytes(text_or_bytes.encode() if isinstance(text_or_bytes, str) else text_or_bytes)
    temporary.replace(path)


@functools.cache
def _runtime_object() -> Path:
    """The compiled runtime, which every module is linked with."""
    compiled = cache_folder() / f"runtime-{_toolchain_digest()}.o"
    if compiled.exists():
        return compiled
    # One translation unit: most of the time goes into the standard headers.
    unit = "".join(f'#include "{path}"\n' for path in sorted(RUNTIME.glob("*.cpp")))
    command = [
        tool("g++"),
        *_COMMON,
        *_RUNTIME,
        *_switch(),
        f"-I{INCLUDE / 'emulator'}",
        "-isystem",
        str(nvidia_include()),
    ]
    temporary = compiled.with_name(f"{compiled.name}.{os.getpid()}")
    run(*command, "-x", "c++", "-c", "-", "-o", str(temporary), text=unit)
    temporary.replace(compiled)
    return compiled


@functools.cache
def _prelude(flags: tuple[str, ...]) -> list[str]:
    """Where the compiler finds cuda_emulator.h, precompiled for these flags: it takes most of a small source's time.

    g++ falls back to the header itself where a macro that the source's options define stands in its way.
    """
    headers = ["-isystem", str(INCLUDE), "-isystem", str(nvidia_include())]
    folder = cache_folder() / f"prelude-{_digest(*flags, _toolchain_digest())}"
    if not folder.exists():
        temporary = folder.with_name(f"{folder.name}-{os.getpid()}")
        temporary.mkdir()
        target = temporary / "cuda_emulator.h.gch"
        run(tool("g++"), *flags, *headers, "-x", "c++-header", str(INCLUDE / "cuda_emulator.h"), "-o", str(target))
        try:
            temporary.rename(folder)
        except OSError:  # another process was faster
            target.unlink()
            temporary.rmdir()
    return [f"-I{folder}", *headers, "-include", "cuda_emulator.h"]


def _dynamic_shared_assembly(names: list[str]) -> str:
    """Defines every ``extern __shared__`` array as the start of the dynamic shared memory."""
    labels = "".join(f".globl {n}\n.hidden {n}\n.type {n}, %tls_object\n{n}:\n" for n in [_DYNAMIC_SHARED, *names])
    space = f".balign 1024\n{labels}.zero {DYNAMIC_SHARED_LIMIT}\n"
    return f'.section .tbss,"awT",%nobits\n{space}.section .note.GNU-stack,"",%progbits\n'


def _dependencies(preprocessed: str) -> dict[str, str]:
    """The user's files among those that were included, with their digests."""
    found: dict[str, str | None] = {}
    for name, flags in re.findall(r'^# \d+ "([^"<][^"]*)"((?: \d)*)$', preprocessed, re.MULTILINE):
        if name not in found:
            found[name] = None if "3" in flags or not Path(name).is_file() else _digest(Path(name).read_bytes())
    return {name: digest for name, digest in found.items() if digest is not None}


def _unchanged(dependencies: dict[str, str]) -> bool:
    return all(
        Path(name).is_file() and _digest(Path(name).read_bytes()) == digest for name, digest in dependencies.items()
    )


def compile_module(
    code: str, name: str, options: tuple[str, ...], name_expressions: tuple[str, ...], checked: bool
) -> CompiledModule:
    """Compiles CUDA C++ source, or finds it in the cache.

    Parameters
    ----------
    code : str
        The source.
    name : str
        The file it is from, or is to be called in messages.
    options : tuple of str
        NVRTC's options.
    name_expressions : tuple of str
        Kernels to make callable beside those that are ``extern "C"``: template instances, qualified names.
    checked : bool
        Instrument every load and store.

    Raises
    ------
    CompileError
        With g++'s messages.
    ToolchainError
        When g++ or NVIDIA's headers are missing.
    """
    base, passed = translate_options(options)
    base += [*_COMMON, *(_CHECKED if checked else _FAST)]
    flags = [*base, *passed]
    key = _digest(code, name, *flags, "\0", *name_expressions, _toolchain_digest())
    folder = cache_folder()
    manifest = folder / f"{key}.json"
    if manifest.exists():
        data = json.loads(manifest.read_text())
        if _unchanged(data["dependencies"]) and (folder / data["module"]["path"]).exists():
            return _from_json(data["module"], folder)
    directory = Path(name).resolve().parent if Path(name).exists() else Path.cwd()
    search = ["-iquote", str(directory), f"-I{KERNEL_INCLUDE}", *_prelude(tuple(base))]
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    text = f'#line 1 "{quoted}"\n{code}'
    preprocessed = run(tool("g++"), "-E", "-fpch-preprocess", *flags, *search, "-x", "c++", "-", text=text)
    preprocessed = preprocessed.replace('"<stdin>"', f'"{quoted}"', 2)  # the name that debug information goes by
    text, declared = source.scan(preprocessed)
    entries, entry_points = _entry_points(name, name_expressions, declared)
    text += entry_points
    stem = folder / f"{key}-{_digest(preprocessed)}"
    try:
        module = _build(text, stem, flags, checked, entries, declared)
    except CompileError as error:
        if any(t.text in ("asm", "__asm__", "__asm") for t in source.tokens(preprocessed)):
            raise CompileError(f"{error}\n{_INLINE_PTX}") from error
        raise
    data = {"dependencies": _dependencies(preprocessed), "module": _to_json(module)}
    _replace(json.dumps(data), manifest)
    return module


def _entry_points(
    name: str, name_expressions: tuple[str, ...], declared: list[source.KernelDeclaration]
) -> tuple[list[KernelEntry], str]:
    """The kernels to make callable, and the functions that describe them to Python."""
    expressions = list(name_expressions)
    expressions += [k.name for k in declared if k.extern_c and k.name not in expressions]
    entries = []
    text = '\n# 1 "<emulator>" 3\n'
    for number, expression in enumerate(expressions):
        plain = expression.split("<")[0].strip().split("::")[-1]
        matching = [k for k in declared if k.name.split("::")[-1] == plain]
        if not matching:
            known = ", ".join(f"`{k.name}`" for k in declared) or "no kernel at all"
            raise CompileError(f"{name}: there is no __global__ function `{expression}`; the source has {known}")
        entries.append(KernelEntry(expression, number, matching[0]))
        pointer = f"static_cast<decltype(&{expression})>(&{expression}), decltype(&{expression})"
        text += (
            f'extern "C" __attribute__((visibility("default"))) const emu::Kernel* emu_kernel_{number}() '
            f"{{ return emu::Entry<{pointer}>::describe(); }}\n"
        )
    return entries, text


def _build(
    text: str,
    stem: Path,
    flags: list[str],
    checked: bool,
    entries: list[KernelEntry],
    declared: list[source.KernelDeclaration],
) -> CompiledModule:
    """Compiles and links preprocessed source and reads the symbols of the result."""
    temporary = stem.with_name(f"{stem.name}-{os.getpid()}")
    unit, assembly, linked = temporary.with_suffix(".o"), temporary.with_suffix(".s"), temporary.with_suffix(".so")
    try:
        run(tool("g++"), *flags, "-fpreprocessed", "-x", "c++", "-c", "-", "-o", str(unit), text=text)
        if checked:
            run(tool("objcopy"), *(f"--redefine-sym={f}=emu_{f}" for f in _RENAMED), str(unit))
        own = elf.symbols(unit)
        dynamic = [
            s.name for s in own if s.kind == elf.THREAD_LOCAL and not s.defined and not s.name.startswith("_ZN3emu")
        ]
        assembly.write_text(_dynamic_shared_assembly(dynamic))
        run(
            tool("g++"),
            "-shared",
            "-Wl,--no-undefined",
            "-o",
            str(linked),
            str(unit),
            str(assembly),
            str(_runtime_object()),
        )
        shared, offset, variables = _variables(own, elf.symbols(linked))
        path = stem.with_suffix(".so")
        linked.replace(path)
    finally:
        for leftover in (unit, assembly, linked):
            leftover.unlink(missing_ok=True)
    return CompiledModule(path, tuple(entries), tuple(declared), tuple(shared), offset, tuple(variables))


def _demangled(names: list[str]) -> list[str]:
    return run(tool("c++filt"), text="\n".join(names)).splitlines() if names else []


def _variables(
    own: list[elf.Symbol], linked: list[elf.Symbol]
) -> tuple[list[SharedVariable], int, list[ModuleVariable]]:
    """The shared variables, the offset of the dynamic ones, and the module's variables in global memory."""
    address = {(s.kind, s.name): s.value for s in linked if s.defined}
    defined = [s for s in own if s.defined and s.size and not re.match(r"_ZZ?N3emu|_ZGV", s.name)]
    thread_local = [s for s in defined if s.kind == elf.THREAD_LOCAL]
    objects = [s for s in defined if s.kind == elf.OBJECT and (s.kind, s.name) in address]
    readable = dict(
        zip([s.name for s in thread_local + objects], _demangled([s.name for s in thread_local + objects]), strict=True)
    )
    shared = []
    for s in thread_local:
        owner = None
        # _ZZ <function> E <length> <name>: the encoding of a variable of a function
        if (match := re.fullmatch(r"_ZZ(.+)E(\d+)(\w+)", s.name)) and len(match[3]) >= int(match[2]):
            plain = re.fullmatch(r"\d+(\w+)", match[1])
            owner = address.get((elf.FUNCTION, "_Z" + match[1]))
            if owner is None and plain:  # extern "C"
                owner = address.get((elf.FUNCTION, plain[1]))
        shared.append(SharedVariable(readable[s.name].split("::")[-1], address[s.kind, s.name], s.size, owner))
    variables = [ModuleVariable(readable[s.name], address[s.kind, s.name], s.size) for s in objects]
    return shared, address[elf.THREAD_LOCAL, _DYNAMIC_SHARED], variables


def _to_json(module: CompiledModule) -> dict:
    return {**asdict(module), "path": module.path.name}


def _from_json(data: dict, folder: Path) -> CompiledModule:
    def declaration(d: dict) -> source.KernelDeclaration:
        return source.KernelDeclaration(**{**d, "parameters": tuple(d["parameters"])})

    return CompiledModule(
        folder / data["path"],
        tuple(KernelEntry(e["expression"], e["number"], declaration(e["declaration"])) for e in data["kernels"]),
        tuple(declaration(d) for d in data["declared"]),
        tuple(SharedVariable(**v) for v in data["shared"]),
        data["dynamic_offset"],
        tuple(ModuleVariable(**v) for v in data["variables"]),
    )
