"""Automatic differentiation: the graph of recorded ops, and the walk back through it."""

from deepgpu.autograd.anomaly import detect_anomaly, set_detect_anomaly
from deepgpu.autograd.engine import grad
from deepgpu.autograd.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled

__all__ = [
    "detect_anomaly",
    "enable_grad",
    "grad",
    "inference_mode",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
