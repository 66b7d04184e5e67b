"""``python -m deepgpu.kernels.emulator my_kernel.cu``: check a CUDA source from the command line."""

from __future__ import annotations

import argparse
import sys

from .check import check
from .errors import EmulatorError


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0 all is well, 1 something is wrong, 2 it could not be checked."""
    parser = argparse.ArgumentParser(
        prog="python -m deepgpu.kernels.emulator", description="Run CUDA C++ kernels on the CPU and check them."
    )
    parser.add_argument("path", help="a .cu file")
    parser.add_argument(
        "--launch",
        action="append",
        default=[],
        metavar="LINE",
        help="run a kernel, such as 'saxpy<<<4, 256>>>(2.0, random(1000), zeros(1000), 1000)'; "
        "lines `// launch: ...` of the source are run anyway",
    )
    parser.add_argument("--seeds", type=int, default=8, help="schedules for each launch (default 8)")
    parser.add_argument("--seed", type=int, metavar="N", help="only this schedule, which a report named")
    parser.add_argument("--cooperative", action="store_true", help="launch cooperatively, for grid.sync()")
    parser.add_argument("--traffic", action="store_true", help="count bytes, sectors and bank conflicts by source line")
    parser.add_argument(
        "--arch", type=int, action="append", default=[], metavar="NN", help="compile with NVRTC for sm_NN, too"
    )
    parser.add_argument("-D", "-I", "-U", action=_CompilerOption, default=[], dest="options", metavar="X")
    options = parser.parse_args(arguments)
    try:
        report = check(
            options.path,
            options.launch,
            seeds=options.seeds,
            seed=options.seed,
            options=options.options,
            cooperative=options.cooperative,
            traffic=options.traffic,
            architectures=options.arch,
        )
    except (EmulatorError, ValueError, OSError) as error:
        print(f"{options.path}: {error}", file=sys.stderr)
        return 2
    print(report)
    return 0 if report.ok else 1


class _CompilerOption(argparse.Action):
    """Collects -D, -I and -U as they were written."""

    def __call__(self, parser, namespace, values, option_string=None):
        namespace.options = [*namespace.options, f"{option_string}{values}"]


if __name__ == "__main__":
    sys.exit(main())
