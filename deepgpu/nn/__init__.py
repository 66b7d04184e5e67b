"""Layers, losses and what belongs to them: ``torch.nn``."""

from deepgpu.nn import functional, init, utils
from deepgpu.nn.modules import *  # noqa: F403
from deepgpu.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
