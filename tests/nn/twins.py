"""The same thing built with torch and with deepgpu, from one piece of source."""

import numpy as np
import torch

import deepgpu as dg

LIBRARIES = (torch, dg)


def built(source: str):
    """The expression ``source``, in which ``nn`` is either library's, evaluated with torch and with deepgpu."""
    return tuple(eval(source, {"nn": library.nn, "lib": library}) for library in LIBRARIES)


def ours(t: torch.Tensor) -> dg.Tensor:
    """A torch tensor as one of ours, with a copy of its memory in the same layout."""
    array = t.detach().numpy()
    return dg.from_numpy(array.copy(order="K"))


def copy_weights(source: torch.nn.Module, target: dg.nn.Module) -> None:
    target.load_state_dict({k: ours(v) for k, v in source.state_dict().items()})


def plain(text: str) -> str:
    """A printed form without the library's name."""
    return text.replace("deepgpu.", "torch.")


def close(actual, expected, rtol: float, what: str) -> None:
    """Relative to the largest value, so that cancellation to nearly 0 is judged fairly."""
    a = actual.detach().numpy()
    e = expected.detach().numpy()
    assert a.shape == e.shape, what
    assert str(a.dtype) == str(e.dtype), what
    scale = np.abs(e[np.isfinite(e)]).max() if np.isfinite(e).any() else 1.0
    np.testing.assert_allclose(a, e, rtol=rtol, atol=rtol * max(scale, 1e-30), err_msg=what)
