"""deepgpu.threads: one number for Numba and BLAS."""

import os
import subprocess
import sys

import numba
import pytest
from threadpoolctl import threadpool_info

import deepgpu as dg

CORES = numba.config.NUMBA_NUM_THREADS


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture
def before():
    number, blas = dg.get_num_threads(), max(blas_threads())
    yield number
    dg.set_num_threads(blas)
    dg.set_num_threads(number)


def test_both_follow(before: int) -> None:
    for number in (1, CORES):
        dg.set_num_threads(number)
        assert dg.get_num_threads() == numba.get_num_threads() == number
        assert blas_threads() == {number}
    dg.set_num_threads(10**6)
    assert dg.get_num_threads() == CORES


@pytest.mark.parametrize(("number", "error"), [(0, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError)])
def test_what_is_no_number_of_threads(number: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"`set_num_threads`: `num` takes"):
        dg.set_num_threads(number)  # type: ignore[arg-type]


SCRIPT = """
import sys, deepgpu as dg
assert "numba" not in sys.modules
from threadpoolctl import threadpool_info
print(dg.get_num_threads(), [i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"])
"""


def run(value: str) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    environment["DEEPGPU_NUM_THREADS"] = value
    return subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)


def test_environment_variable() -> None:
    assert run("1").stdout == "1 [1]\n"
    for wrong in ("0", "two", "-1", ""):
        assert f"DEEPGPU_NUM_THREADS takes a positive integer, but it is {wrong!r}" in run(wrong).stderr
