"""Optimizers and learning-rate schedulers: ``torch.optim``."""

from deepgpu.optim import lr_scheduler, swa_utils
from deepgpu.optim.adam import Adam, AdamW
from deepgpu.optim.adaptive import Adadelta, Adagrad, Adamax, NAdam, RAdam, RMSprop
from deepgpu.optim.large_batch import LAMB, LARS
from deepgpu.optim.lbfgs import LBFGS
from deepgpu.optim.matrix import Adafactor, Muon
from deepgpu.optim.optimizer import Optimizer
from deepgpu.optim.sgd import SGD
from deepgpu.optim.sign import ASGD, Rprop
