"""``python -m deepgpu.backends.cuda.judge``: NVRTC on every kernel for six architectures, without a GPU.

Registers, shared memory, spills and instructions are held to the bounds declared beside each kernel; ``--write`` puts
the table of them into a Markdown file between its markers.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import json
import multiprocessing
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from deepgpu.backends.cuda.instances import INSTANCES, served
from deepgpu.backends.cuda.runtime import kernel_folder
from deepgpu.kernels.emulator import EmulatorError, compile_judge
from deepgpu.kernels.emulator.toolchain import cache_folder

BEGIN, END = "<!-- made by make kernels-check -->", "<!-- end of what make kernels-check made -->"
"""What stands around the table in a Markdown file."""


class Row(NamedTuple):
    """One instance on one architecture."""

    file: str
    kernel: str
    architecture: int
    registers: int
    shared: int
    spills: int
    complaints: tuple[str, ...]

    @property
    def template(self) -> str:
        """The kernel's name without the template's arguments."""
        return self.kernel.split("<")[0]


def judged(file: str, architecture: int) -> list[Row]:
    """Compile the instances of a file for an architecture, and hold them to their bounds.

    The rows are kept under ``$DEEPGPU_CACHE/judge`` until the source, a header or the compiler changes.
    """
    kept = cache_folder().parent / "judge" / f"{_digest(file, architecture)}.json"
    if kept.is_file():
        return [Row(**{**row, "complaints": tuple(row["complaints"])}) for row in json.loads(kept.read_text())]
    rows = _compiled(file, architecture)
    kept.parent.mkdir(parents=True, exist_ok=True)
    whole = kept.with_suffix(f".{os.getpid()}")
    whole.write_text(json.dumps([r._asdict() for r in rows]))
    whole.replace(kept)
    return rows


def _digest(file: str, architecture: int) -> str:
    """Of all that a verdict depends on."""
    versions = [metadata.version(name) for name in ("cupy-cuda13x", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime")]
    fields = (*Row._fields, architecture, served(file, architecture), versions)
    digest = hashlib.sha256(repr(fields).encode())
    for path in sorted(_with_headers(kernel_folder() / file, set())):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def code_digest(file: str) -> str:
    """Of what is judged: a file, our headers that it includes, its instances; comments but the bounds left out."""
    digest = hashlib.sha256(repr(INSTANCES[file]).encode())
    for path in sorted(_with_headers(kernel_folder() / file, set())):
        bounds, code = declared(path.name) if path.suffix == ".cu" else {}, re.sub(r"//.*", "", path.read_text())
        digest.update(repr((path.name, bounds, code.split())).encode())
    return digest.hexdigest()[:16]


def _with_headers(path: Path, found: set[Path]) -> set[Path]:
    """A source and those of our headers that it includes, and they."""
    found.add(path)
    for name in re.findall(r"^#include [<\"](.+?\.cuh)[>\"]", path.read_text(), re.MULTILINE):
        header = kernel_folder() / "include" / name
        if header not in found and header.is_file():
            _with_headers(header, found)
    return found


def _compiled(file: str, architecture: int) -> list[Row]:
    names = served(file, architecture)
    verdicts = compile_judge.judge(
        kernel_folder() / file, name_expressions=[n for n in names if "<" in n], architectures=(architecture,)
    )
    found = {v.kernel: v for v in verdicts}
    if lacking := [n for n in names if n not in found]:
        raise EmulatorError(f"{file}, sm_{architecture}: NVRTC made no `{lacking[0]}` ({len(lacking)} are missing)")
    return [
        Row(file, n, architecture, v.resources.registers, v.resources.shared, v.resources.spills, v.complaints)
        for n in names
        for v in (found[n],)
    ]


def judged_together(files: Sequence[str], architectures: Sequence[int], jobs: int) -> Iterator[list[Row]]:
    """The rows of every file on every architecture, as they come; `jobs` processes work on them."""
    tasks = [(file, architecture) for file in files for architecture in architectures]
    tasks.sort(key=lambda task: -len(INSTANCES[task[0]]))  # what takes long first
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
        futures = [pool.submit(judged, *task) for task in tasks]
        try:
            for future in concurrent.futures.as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def declared(file: str) -> dict[str, str]:
    """The bounds that stand beside the kernels of a file, as they are written."""
    text = (kernel_folder() / file).read_text()
    return dict(re.findall(r"^\s*//\s*judge\s+(\w+)\s*:\s*(.*?)\s*$", text, re.MULTILINE))


def markdown(rows: Iterable[Row]) -> str:
    """Tables of the kernels, the most that an instance takes, and of every instance."""
    rows = sorted(rows)
    architectures = sorted({r.architecture for r in rows})
    columns = " | ".join(f"sm_{a}" for a in architectures)
    lines = [
        "Registers a thread: the most of any instance. Static shared memory in bytes; nothing spills. The bounds stand",
        "beside each kernel: what the judge holds it to, and which instructions must (`!`: must not) be there.",
        "",
        f"| kernel | instances | {columns} | shared | bounds |",
        "|---|---|" + "---|" * len(architectures) + "---|---|",
    ]
    for file in sorted({r.file for r in rows}):
        bounds = declared(file)
        of_file = [r for r in rows if r.file == file]
        for name in dict.fromkeys(r.template for r in of_file):
            some = [r for r in of_file if r.template == name]
            most = [max((r.registers for r in some if r.architecture == a), default=None) for a in architectures]
            cells = " | ".join("" if m is None else str(m) for m in most)
            count, shared = len({r.kernel for r in some}), max(r.shared for r in some)
            lines.append(f"| `{name}` | {count} | {cells} | {shared or ''} | {bounds.get(name, '')} |")
    for file in sorted({r.file for r in rows}):
        of_file = [r for r in rows if r.file == file]
        lines += [
            "",
            f"<!-- {file}: {code_digest(file)} -->",
            f"<details><summary>every instance of {file}</summary>",
            "",
        ]
        lines += [f"| registers, shared memory | {columns} |", "|---|" + "---|" * len(architectures)]
        for kernel in dict.fromkeys(r.kernel for r in of_file):
            found = {r.architecture: r for r in of_file if r.kernel == kernel}
            cells = " | ".join(_cell(found[a]) if a in found else "" for a in architectures)
            lines.append(f"| `{kernel}` | {cells} |")
        lines += ["", "</details>"]
    return "\n".join(lines)


def _cell(row: Row) -> str:
    return f"{row.registers}, {row.shared} B" if row.shared else str(row.registers)


def written(text: str, table: str) -> str:
    """A Markdown text with another table between the markers."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"there is no line `{BEGIN}` and none `{END}` behind it to write the table between")
    return text[: text.index(BEGIN) + len(BEGIN)] + f"\n\n{table}\n\n" + text[text.index(END) :]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0 all is well, 1 a bound is broken, 2 it could not be judged."""
    parser = argparse.ArgumentParser(prog="python -m deepgpu.backends.cuda.judge", description=main.__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"of {', '.join(INSTANCES)}; all of them by default")
    parser.add_argument("--arch", type=int, action="append", metavar="NN", help="sm_NN; six of them by default")
    parser.add_argument("--write", type=Path, metavar="README", help="a Markdown file to put the table into")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="processes (default %(default)s)")
    options = parser.parse_args(arguments)
    files, architectures = options.files or list(INSTANCES), options.arch or compile_judge.ARCHITECTURES
    if unknown := [f for f in files if f not in INSTANCES]:
        parser.error(f"there is no kernel file {unknown[0]!r}; there are {', '.join(INSTANCES)}")
    if options.write and (options.files or options.arch):
        parser.error("--write takes all files and architectures: leave FILE and --arch out")
    rows: list[Row] = []
    if lacking := compile_judge.missing():
        print(f"kernels-check: error: {', '.join(lacking)} missing: pip install 'deepgpu[kernels]'", file=sys.stderr)
        return 2
    try:
        with _progress(len(files) * len(architectures)) as step:
            for some in judged_together(files, architectures, options.jobs):
                rows += some
                step(f"{some[0].file}, sm_{some[0].architecture}")
        if options.write and not any(r.complaints for r in rows):
            options.write.write_text(written(options.write.read_text(), markdown(rows)))
    except (EmulatorError, ValueError, OSError) as error:
        print(f"kernels-check: error: {error}", file=sys.stderr)
        return 2
    return _report(rows)


def _report(rows: list[Row]) -> int:
    """Show the table, and what is wrong; the exit status."""
    from rich.console import Console
    from rich.table import Table

    architectures = sorted({r.architecture for r in rows})
    table = Table(title="registers a thread on sm_75 ...: the most of n instances")
    table.add_column("kernel", no_wrap=True)
    for column in ("n", *map(str, architectures)):
        table.add_column(column, justify="right", no_wrap=True, min_width=len(column))
    for file, name in sorted({(r.file, r.template) for r in rows}):
        some = [r for r in rows if (r.file, r.template) == (file, name)]
        cells = []
        for a in architectures:
            of_one = [r for r in some if r.architecture == a]
            most = max((r.registers for r in of_one), default=None)
            style = "[bold red]" if any(r.complaints for r in of_one) else ""
            cells.append("" if most is None else f"{style}{most}")
        table.add_row(f"{file.removesuffix('.cu')}: {name}", str(len({r.kernel for r in some})), *cells)
    console = Console()
    console.print(table)
    broken = [r for r in sorted(rows) if r.complaints]
    for r in broken:
        what = f"{r.file}: sm_{r.architecture}: {r.kernel}: {'; '.join(r.complaints)}"
        console.print(what, style="red", markup=False, highlight=False, soft_wrap=True)
    instances = f"{len({(r.file, r.kernel) for r in rows})} instances, {len(architectures)} architectures"
    if broken:
        console.print(
            f"{len(broken)} of {len(rows)} break the bounds in their `// judge` lines ({instances}). "
            "Give a kernel fewer registers with `__launch_bounds__` or less unrolling; a bound may change "
            "where the occupancy does not.",
            markup=False,
            soft_wrap=True,
        )
        return 1
    console.print(f"all bounds are kept: {instances}", markup=False)
    return 0


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A bar on a terminal, a line a step elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("compiling", total=total)

        def step(done: str) -> None:
            bar.update(task, advance=1, description=done)
            if not bar.console.is_terminal:
                print(f"compiled {done}", flush=True)

        yield step


if __name__ == "__main__":
    sys.exit(main())
