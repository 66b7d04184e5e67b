"""Building blocks of image models under the names of ``torchvision.ops``."""

from deepgpu.vision.ops.misc import MLP, Conv2dNormActivation, Permute, SqueezeExcitation
from deepgpu.vision.ops.stochastic_depth import StochasticDepth, stochastic_depth
