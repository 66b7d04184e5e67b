"""Automatic mixed precision: :class:`autocast` and :class:`GradScaler`."""

from deepgpu.amp.autocast_mode import (
    autocast,
    clear_autocast_cache,
    custom_bwd,
    custom_fwd,
    get_autocast_dtype,
    is_autocast_available,
    is_autocast_cache_enabled,
    is_autocast_enabled,
    set_autocast_cache_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
)
from deepgpu.amp.grad_scaler import GradScaler
