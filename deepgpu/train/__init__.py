"""Training: the loop with everything a person expects of it."""

from deepgpu.train.checkpoint import Checkpoints
from deepgpu.train.device import choose_device
from deepgpu.train.early_stopping import EarlyStopping
from deepgpu.train.errors import CorruptCheckpointError, NonFiniteError, TrainingInterrupted
from deepgpu.train.evaluate import evaluate
from deepgpu.train.log import Log, read_log
from deepgpu.train.metrics import Totals
from deepgpu.train.randomness import seed_all
from deepgpu.train.split import holdout, k_fold
from deepgpu.train.trainer import Trainer

__all__ = [
    "Checkpoints",
    "CorruptCheckpointError",
    "EarlyStopping",
    "Log",
    "NonFiniteError",
    "Totals",
    "Trainer",
    "TrainingInterrupted",
    "choose_device",
    "evaluate",
    "holdout",
    "k_fold",
    "read_log",
    "seed_all",
]
