"""PyTorch's top-level in-place functions: ``relu_(x)`` is ``x.relu_()``. The ops attach them."""

from __future__ import annotations

from typing import Any

from deepgpu.ops import (  # noqa: F401 - they attach the methods
    activation,
    arithmetic,
    binary,
    fill,
    indexing,
    linear_algebra,
    matmul,
    pointwise,
    rounding,
    selection,
    special_functions,
    trigonometry,
)
from deepgpu.tensor import Tensor

_tensor: Any = Tensor

abs_ = _tensor.abs_
acos_ = _tensor.acos_
acosh_ = _tensor.acosh_
addmv_ = _tensor.addmv_
arccos_ = _tensor.arccos_
arccosh_ = _tensor.arccosh_
arcsin_ = _tensor.arcsin_
arcsinh_ = _tensor.arcsinh_
arctan_ = _tensor.arctan_
arctanh_ = _tensor.arctanh_
asin_ = _tensor.asin_
asinh_ = _tensor.asinh_
atan_ = _tensor.atan_
atanh_ = _tensor.atanh_
ceil_ = _tensor.ceil_
clamp_ = _tensor.clamp_
clamp_max_ = _tensor.clamp_max_
clamp_min_ = _tensor.clamp_min_
clip_ = _tensor.clip_
cos_ = _tensor.cos_
cosh_ = _tensor.cosh_
deg2rad_ = _tensor.deg2rad_
detach_ = _tensor.detach_
erf_ = _tensor.erf_
erfc_ = _tensor.erfc_
exp2_ = _tensor.exp2_
exp_ = _tensor.exp_
expm1_ = _tensor.expm1_
fill_ = _tensor.fill_
fix_ = _tensor.fix_
floor_ = _tensor.floor_
frac_ = _tensor.frac_
gcd_ = _tensor.gcd_
index_put_ = _tensor.index_put_
lcm_ = _tensor.lcm_
ldexp_ = _tensor.ldexp_
log10_ = _tensor.log10_
log1p_ = _tensor.log1p_
log2_ = _tensor.log2_
log_ = _tensor.log_
logit_ = _tensor.logit_
nan_to_num_ = _tensor.nan_to_num_
neg_ = _tensor.neg_
negative_ = _tensor.negative_
rad2deg_ = _tensor.rad2deg_
reciprocal_ = _tensor.reciprocal_
relu_ = _tensor.relu_
round_ = _tensor.round_
rsqrt_ = _tensor.rsqrt_
sigmoid_ = _tensor.sigmoid_
sin_ = _tensor.sin_
sinc_ = _tensor.sinc_
sinh_ = _tensor.sinh_
sqrt_ = _tensor.sqrt_
square_ = _tensor.square_
tan_ = _tensor.tan_
tanh_ = _tensor.tanh_
trunc_ = _tensor.trunc_
xlogy_ = _tensor.xlogy_
zero_ = _tensor.zero_
