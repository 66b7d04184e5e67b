"""Learning-rate schedulers: ``torch.optim.lr_scheduler``."""

from deepgpu.optim.lr_scheduler.composed import ChainedScheduler, SequentialLR
from deepgpu.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from deepgpu.optim.lr_scheduler.cyclic import CyclicLR, OneCycleLR
from deepgpu.optim.lr_scheduler.decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from deepgpu.optim.lr_scheduler.plateau import ReduceLROnPlateau
from deepgpu.optim.lr_scheduler.scheduler import LRScheduler
