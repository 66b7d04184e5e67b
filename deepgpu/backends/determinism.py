"""Whether only kernels may run that give the same bits every time."""

from __future__ import annotations

import warnings


class _State:
    enabled = False
    warn_only = False


state = _State()


def check(op: str, instead: str) -> None:
    """Raise RuntimeError, or warn, if an op whose sums have no fixed order is asked for while that is forbidden."""
    if not state.enabled:
        return
    message = (
        f"`{op}` on device 'cuda' adds in no fixed order, so it does not have a deterministic implementation, but "
        f"you set 'deepgpu.use_deterministic_algorithms(True)'; {instead}"
    )
    if not state.warn_only:
        raise RuntimeError(message)
    warnings.warn(message, stacklevel=3)
