"""Automatic differentiation: the graph of recorded ops, and the walk back through it."""

from deepgpu.autograd import functional, hooks
from deepgpu.autograd.anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from deepgpu.autograd.engine import backward_of as backward, grad
from deepgpu.autograd.function import Function
from deepgpu.autograd.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from deepgpu.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck

__all__ = [
    "Function",
    "GradcheckError",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
