"""Helpers for parameters and gradients: ``torch.nn.utils``."""

from deepgpu.nn.utils import rnn
from deepgpu.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from deepgpu.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from deepgpu.nn.utils.weight_norm import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm
