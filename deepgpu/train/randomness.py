"""The states of all random number generators that a training may draw from."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from deepgpu.random import get_rng_state, manual_seed, set_rng_state


def seed_all(seed: int) -> None:
    """Seed deepgpu's, NumPy's and Python's global generators."""
    manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def random_states() -> dict[str, Any]:
    """Where the three generators are, for :func:`set_random_states`."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "deepgpu": bytes(np.asarray(get_rng_state())).decode(),
        "numpy": [kind, keys.tolist(), position, has_gauss, gauss],  # type: ignore[union-attr]
        "python": random.getstate(),
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Go on from where the generators were."""
    set_rng_state(np.frombuffer(states["deepgpu"].encode(), np.uint8))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), *rest))
    random.setstate(states["python"])
