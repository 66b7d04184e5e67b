"""All benchmarks, one after the other: ``python -m benchmarks [--quick] [--only conv] [--filter 3x3]``."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import time
import traceback
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))  # as if a benchmark were the script

import harness  # noqa: E402 - it is found by the path just set


def main() -> None:
    """Run every ``bench_*.py`` whose name contains ``--only``; exit with 1 if one fails."""
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--only", default="", help="only the benchmarks whose name contains this, such as conv")
    parser = harness.argument_parser(__doc__, parents=[own])
    parser.prog = "python -m benchmarks"
    options, (_, others) = parser.parse_args(), own.parse_known_args()
    names = [f.stem for f in sorted(FOLDER.glob("bench_*.py"))]
    chosen = [name for name in names if options.only in name.removeprefix("bench_")]
    modules = [m for m in map(importlib.import_module, chosen) if harness.of(m.cases(), options)]
    if not modules:
        known = ", ".join(name.removeprefix("bench_") for name in names)
        parser.error(f"no case of {options.only or 'any benchmark'!r} has {options.filter!r}; benchmarks: {known}")
    harness.prepare(options)
    failed = []
    pair: harness.Pair | None = None
    for number, module in enumerate(modules, 1):
        name = module.__name__.removeprefix("bench_")
        print(f"== {name} ({number} of {len(modules)})", flush=True)
        begin = time.monotonic()
        try:
            if module.main is harness.main:
                pair = pair or harness.Pair(options)
                pair.run(name, harness.of(module.cases(), options), module.ours, module.theirs)
            else:  # it starts processes of its own
                subprocess.run([sys.executable, module.__file__, *others], check=True)
        except Exception:
            traceback.print_exc()
            failed.append(name)
            if pair is not None:  # one of its processes has ended
                pair.close()
                pair = None
        print(f"   {time.monotonic() - begin:.0f} s", flush=True)
    if pair is not None:
        pair.close()
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
