"""Device "cuda" on a machine that may have none: what can be asked, and errors that say what to do."""

import pytest

import deepgpu as dg
from deepgpu.errors import DeviceUnavailableError

NO_GPU = pytest.mark.skipif(dg.cuda.is_available(), reason="this machine has a GPU; the errors are of those without")


def test_questions_need_no_gpu():
    assert isinstance(dg.cuda.is_available(), bool)
    assert dg.cuda.is_available() == (dg.cuda.device_count() > 0)


@NO_GPU
@pytest.mark.parametrize(
    "ask",
    [
        lambda: dg.zeros(1, device="cuda"),
        lambda: dg.zeros(1).cuda(),
        lambda: dg.zeros(1).to("cuda:1"),
        dg.cuda.current_device,
        dg.cuda.get_device_name,
        dg.cuda.synchronize,
        dg.cuda.memory_allocated,
    ],
)
def test_without_a_gpu_the_error_says_what_is_missing(ask):
    with pytest.raises(DeviceUnavailableError, match=r"device 'cuda'.*(pip install|nvidia-smi)"):
        ask()


@pytest.mark.gpu
def test_memory_is_counted():
    before = dg.cuda.memory_allocated()
    x = dg.zeros(1 << 20, device="cuda")
    assert dg.cuda.memory_allocated() - before >= x.nbytes
    assert dg.cuda.memory_reserved() >= dg.cuda.memory_allocated()
    assert dg.cuda.get_device_name()
