"""All benchmarks, one after the other: ``python -m benchmarks [--quick] [--filter conv]``; options go to each."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    """Run every ``bench_*.py`` whose name contains ``--only``; exit with 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help="only the benchmarks whose name contains this, such as conv")
    options, others = parser.parse_known_args()
    files = [f for f in sorted(FOLDER.glob("bench_*.py")) if options.only in f.stem]
    if not files:
        names = ", ".join(f.stem.removeprefix("bench_") for f in sorted(FOLDER.glob("bench_*.py")))
        parser.error(f"--only {options.only!r} matches none of: {names}")
    failed = []
    for number, file in enumerate(files, 1):
        print(f"== {file.stem.removeprefix('bench_')} ({number} of {len(files)})", flush=True)
        begin = time.monotonic()
        if subprocess.run([sys.executable, file, *others], check=False).returncode:
            failed.append(file.name)
        print(f"   {time.monotonic() - begin:.0f} s", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
