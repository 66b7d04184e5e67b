"""Pictures and tables of models and trainings. Drawing needs matplotlib: ``pip install 'deepgpu[plots]'``."""

from deepgpu.viz.activations import Activations, activations, draw_activations
from deepgpu.viz.curves import training_curves
from deepgpu.viz.figure import MissingMatplotlibError
from deepgpu.viz.summary import LayerSummary, Summary, summarize

__all__ = [
    "Activations",
    "LayerSummary",
    "MissingMatplotlibError",
    "Summary",
    "activations",
    "draw_activations",
    "summarize",
    "training_curves",
]
