"""Functions without parameters of their own: ``torch.nn.functional``.

Most are ops from :mod:`deepgpu.ops` as they are; activations and losses have arguments besides, which come from here.
"""

from deepgpu.nn.functional.activation import (
    celu,
    celu_,
    elu,
    elu_,
    hardsigmoid,
    hardswish,
    hardtanh,
    hardtanh_,
    leaky_relu,
    leaky_relu_,
    mish,
    relu,
    relu6,
    relu_,
    selu,
    selu_,
    silu,
    threshold,
    threshold_,
)
from deepgpu.nn.functional.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    cross_entropy,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    margin_ranking_loss,
    mse_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    nll_loss,
    poisson_nll_loss,
    smooth_l1_loss,
    soft_margin_loss,
    triplet_margin_loss,
)
from deepgpu.ops.activation import glu, logsigmoid, prelu, softplus, softsign, tanhshrink
from deepgpu.ops.attention import scaled_dot_product_attention
from deepgpu.ops.conv import conv2d
from deepgpu.ops.conv_nd import conv1d, conv3d
from deepgpu.ops.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from deepgpu.ops.ctc import ctc_loss
from deepgpu.ops.dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout
from deepgpu.ops.einsum import bilinear
from deepgpu.ops.embedding import embedding, embedding_bag
from deepgpu.ops.fractional_pool import fractional_max_pool2d
from deepgpu.ops.gated import gelu
from deepgpu.ops.grid_sample import affine_grid, grid_sample
from deepgpu.ops.im2col import fold, unfold
from deepgpu.ops.interpolation import interpolate, upsample
from deepgpu.ops.likelihood_loss import gaussian_nll_loss
from deepgpu.ops.linear_algebra import pdist
from deepgpu.ops.loss import one_hot
from deepgpu.ops.margin_loss import triplet_margin_with_distance_loss
from deepgpu.ops.matmul import linear
from deepgpu.ops.norm import batch_norm
from deepgpu.ops.normalization import group_norm, instance_norm, layer_norm, local_response_norm, rms_norm
from deepgpu.ops.pad import pad
from deepgpu.ops.pointwise import sigmoid
from deepgpu.ops.pool import adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d
from deepgpu.ops.pool_nd import (
    adaptive_avg_pool1d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from deepgpu.ops.shrinkage import gumbel_softmax, hardshrink, rrelu, softshrink
from deepgpu.ops.shuffling import channel_shuffle, pixel_shuffle, pixel_unshuffle
from deepgpu.ops.similarity import cosine_similarity, normalize, pairwise_distance
from deepgpu.ops.softmax import log_softmax, softmax, softmin
from deepgpu.ops.trigonometry import tanh
