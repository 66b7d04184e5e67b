"""How many threads the CPU works with: one number for our kernels and for NumPy's BLAS, so that they never multiply."""

from __future__ import annotations

import os

from deepgpu.errors import takes

VARIABLE = "DEEPGPU_NUM_THREADS"
"""The environment variable that sets the number at the start; by default all cores work."""


def set_num_threads(num: int) -> None:
    """Let ops on the CPU use so many threads, from the calling thread on.

    Parameters
    ----------
    num
        At least 1. There are never more than the machine has cores, or than the environment allowed at the start.

    Raises
    ------
    TypeError, ValueError
        If it is no positive integer.

    Notes
    -----
    The threads of a DataLoader's workers are not counted: each worker computes on one. The environment variable
    ``DEEPGPU_NUM_THREADS`` sets the number for a whole process.
    """
    if not isinstance(num, int) or isinstance(num, bool):
        raise TypeError(takes("set_num_threads", "num", "an integer", f"{num!r} of type {type(num).__name__}"))
    if num < 1:
        raise ValueError(takes("set_num_threads", "num", "a positive integer", num))
    import numba
    from threadpoolctl import threadpool_limits

    num = min(num, numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    numba.set_num_threads(num)
    threadpool_limits(num, user_api="blas")


def get_num_threads() -> int:
    """How many threads the calling thread's ops on the CPU use."""
    import numba

    return numba.get_num_threads()


def start() -> None:
    """Obey the environment variable; without loading Numba, which reads its own when it is loaded.

    Raises
    ------
    ValueError
        If it is no positive integer.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        return
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"the environment variable {VARIABLE} takes a positive integer, but it is {text!r}")
    os.environ["NUMBA_NUM_THREADS"] = str(min(int(text), os.cpu_count() or 1))
    from threadpoolctl import threadpool_limits

    threadpool_limits(int(text), user_api="blas")
