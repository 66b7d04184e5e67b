"""Optimizers and learning-rate schedulers: ``torch.optim``."""

from deepgpu.optim import lr_scheduler
from deepgpu.optim.adam import Adam, AdamW
from deepgpu.optim.optimizer import Optimizer
from deepgpu.optim.sgd import SGD
