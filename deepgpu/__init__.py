"""deepgpu: tensors, autograd and handwritten kernels under PyTorch's names."""

from math import e, inf, nan, pi

from deepgpu import accelerator, amp, autograd, backends, compiler, cuda, func, linalg, nn, optim, utils
from deepgpu.amp import (
    GradScaler,
    autocast,
    clear_autocast_cache,
    get_autocast_dtype,
    is_autocast_cache_enabled,
    is_autocast_enabled,
    set_autocast_cache_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
)
from deepgpu.autograd.anomaly import is_anomaly_enabled
from deepgpu.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from deepgpu.compiler import compile
from deepgpu.device import device
from deepgpu.dtypes import (
    bfloat16,
    bool,
    can_cast,
    double,
    dtype,
    finfo,
    float,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    iinfo,
    int,
    int8,
    int16,
    int32,
    int64,
    long,
    promote_types,
    result_type,
    set_default_dtype,
    short,
    uint8,
)
from deepgpu.errors import OutOfMemoryError
from deepgpu.inplace import (
    abs_,
    acos_,
    acosh_,
    addmv_,
    arccos_,
    arccosh_,
    arcsin_,
    arcsinh_,
    arctan_,
    arctanh_,
    asin_,
    asinh_,
    atan_,
    atanh_,
    ceil_,
    clamp_,
    clamp_max_,
    clamp_min_,
    clip_,
    cos_,
    cosh_,
    deg2rad_,
    detach_,
    erf_,
    erfc_,
    exp2_,
    exp_,
    expm1_,
    fill_,
    fix_,
    floor_,
    frac_,
    gcd_,
    index_put_,
    lcm_,
    ldexp_,
    log1p_,
    log2_,
    log10_,
    log_,
    logit_,
    nan_to_num_,
    neg_,
    negative_,
    rad2deg_,
    reciprocal_,
    relu_,
    round_,
    rsqrt_,
    sigmoid_,
    sin_,
    sinc_,
    sinh_,
    sqrt_,
    square_,
    tan_,
    tanh_,
    trunc_,
    xlogy_,
    zero_,
)
from deepgpu.memory import empty_cache, memory_stats, reset_peak_memory_stats
from deepgpu.ops import fill as _fill, pinning as _pinning
from deepgpu.ops.activation import (
    celu,
    prelu,
    relu,
    selu,
    threshold,
)
from deepgpu.ops.arithmetic import (
    add,
    div,
    divide,
    floor_divide,
    mul,
    multiply,
    neg,
    negative,
    pow,
    remainder,
    rsub,
    sub,
    subtract,
    true_divide,
)
from deepgpu.ops.binary import (
    addcdiv,
    addcmul,
    arctan2,
    atan2,
    bitwise_left_shift,
    bitwise_right_shift,
    copysign,
    float_power,
    fmax,
    fmin,
    fmod,
    gcd,
    heaviside,
    hypot,
    lcm,
    ldexp,
    lerp,
    logaddexp,
    logaddexp2,
    nextafter,
    xlogy,
)
from deepgpu.ops.comparison import (
    allclose,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    eq,
    equal,
    ge,
    greater,
    greater_equal,
    gt,
    isclose,
    isfinite,
    isinf,
    isnan,
    isneginf,
    isposinf,
    isreal,
    le,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    ne,
    not_equal,
)
from deepgpu.ops.conv import (
    conv2d,
)
from deepgpu.ops.conv_nd import (
    conv1d,
    conv3d,
)
from deepgpu.ops.conv_transpose import (
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from deepgpu.ops.creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_dlpack,
    from_numpy,
    full,
    full_like,
    get_default_device,
    linspace,
    ones,
    ones_like,
    set_default_device,
    tensor,
    zeros,
    zeros_like,
)
from deepgpu.ops.cumulative import (
    cummax,
    cummin,
    cumprod,
    cumulative_trapezoid,
    diff,
    logcumsumexp,
    trapezoid,
    trapz,
)
from deepgpu.ops.decomposition import (
    legacy_cholesky as cholesky,
    legacy_qr as qr,
    legacy_svd as svd,
)
from deepgpu.ops.dropout import (
    dropout,
)
from deepgpu.ops.einsum import (
    bilinear,
    einsum,
    tensordot,
)
from deepgpu.ops.extrema import (
    amax,
    amin,
    argmax,
    argmin,
    max,
    min,
)
from deepgpu.ops.indexing import (
    gather,
    index_add,
    index_put,
    index_select,
    masked_select,
    nonzero,
    scatter,
    scatter_add,
    take_along_dim,
)
from deepgpu.ops.joining import (
    cat,
    concat,
    concatenate,
    stack,
)
from deepgpu.ops.linear_algebra import (
    addbmm,
    addmv,
    addr,
    cdist,
    chain_matmul,
    cross,
    det,
    dist,
    ger,
    inner,
    inverse,
    kron,
    logdet,
    matrix_power,
    pdist,
    slogdet,
    trace,
    vdot,
)
from deepgpu.ops.matmul import (
    addmm,
    baddbmm,
    bmm,
    dot,
    matmul,
    mm,
    mv,
    outer,
)
from deepgpu.ops.memory import (
    channels_last,
    clone,
    contiguous,
    contiguous_format,
    preserve_format,
)
from deepgpu.ops.norm import (
    batch_norm,
)
from deepgpu.ops.normalization import (
    group_norm,
    layer_norm,
    rms_norm,
)
from deepgpu.ops.placement import (
    diagonal_scatter,
    index_copy,
    index_fill,
    index_reduce,
    masked_scatter,
    put,
    scatter_reduce,
    select_scatter,
    slice_scatter,
    take,
)
from deepgpu.ops.pointwise import (
    abs,
    absolute,
    erf,
    exp,
    exp2,
    expm1,
    log,
    log1p,
    log2,
    log10,
    reciprocal,
    rsqrt,
    sigmoid,
    sqrt,
    square,
)
from deepgpu.ops.pool import (
    max_pool2d,
)
from deepgpu.ops.pool_nd import (
    adaptive_avg_pool1d,
    adaptive_max_pool1d,
    avg_pool1d,
    max_pool1d,
    max_pool3d,
)
from deepgpu.ops.queries import is_complex, is_floating_point, is_nonzero, is_same_size, is_signed, is_tensor, numel
from deepgpu.ops.rearrangement import (
    diag,
    diag_embed,
    diagflat,
    diagonal,
    flip,
    fliplr,
    flipud,
    repeat_interleave,
    roll,
    rot90,
    tile,
    tril,
    triu,
)
from deepgpu.ops.reduction import (
    all,
    any,
    count_nonzero,
    cumsum,
    mean,
    prod,
    std,
    sum,
    var,
)
from deepgpu.ops.rounding import (
    ceil,
    fix,
    floor,
    frac,
    nan_to_num,
    positive,
    round,
    sgn,
    sign,
    signbit,
    trunc,
)
from deepgpu.ops.sampling import (
    bernoulli,
    multinomial,
    normal,
    poisson,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
)
from deepgpu.ops.selection import (
    clamp,
    clamp_max,
    clamp_min,
    clip,
    masked_fill,
    maximum,
    minimum,
    where,
)
from deepgpu.ops.shape import (
    adjoint,
    broadcast_tensors,
    broadcast_to,
    flatten,
    moveaxis,
    movedim,
    permute,
    ravel,
    reshape,
    squeeze,
    swapaxes,
    swapdims,
    t,
    transpose,
    unflatten,
    unsqueeze,
)
from deepgpu.ops.shrinkage import (
    hardshrink,
    rrelu,
)
from deepgpu.ops.shuffling import (
    channel_shuffle,
    pixel_shuffle,
    pixel_unshuffle,
)
from deepgpu.ops.similarity import (
    cosine_similarity,
    pairwise_distance,
)
from deepgpu.ops.slicing import (
    chunk,
    narrow,
    select,
    split,
    unbind,
)
from deepgpu.ops.softmax import (
    log_softmax,
    logsumexp,
    softmax,
)
from deepgpu.ops.solving import (
    cholesky_inverse,
    cholesky_solve,
    pinverse,
)
from deepgpu.ops.sorting import (
    argsort,
    argwhere,
    bucketize,
    isin,
    kthvalue,
    median,
    mode,
    msort,
    nanmedian,
    nanquantile,
    quantile,
    searchsorted,
    sort,
    topk,
    unique,
    unique_consecutive,
)
from deepgpu.ops.special_functions import (
    digamma,
    erfc,
    erfinv,
    lgamma,
    logit,
    polygamma,
)
from deepgpu.ops.stacking import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    block_diag,
    broadcast_shapes,
    cartesian_prod,
    column_stack,
    combinations,
    dsplit,
    dstack,
    hsplit,
    hstack,
    meshgrid,
    row_stack,
    tensor_split,
    tril_indices,
    triu_indices,
    vsplit,
    vstack,
)
from deepgpu.ops.statistics import (
    aminmax,
    bincount,
    corrcoef,
    cov,
    histc,
    nanmean,
    nansum,
    std_mean,
    var_mean,
)
from deepgpu.ops.strided import as_strided
from deepgpu.ops.trigonometry import (
    acos,
    acosh,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctanh,
    asin,
    asinh,
    atan,
    atanh,
    cos,
    cosh,
    deg2rad,
    rad2deg,
    sin,
    sinc,
    sinh,
    tan,
    tanh,
)
from deepgpu.ops.vector_norm import (
    norm,
    renorm,
)
from deepgpu.printing import set_printoptions
from deepgpu.random import Generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from deepgpu.serialization import load, save
from deepgpu.settings import (
    are_deterministic_algorithms_enabled,
    get_deterministic_debug_mode,
    get_float32_matmul_precision,
    is_deterministic_algorithms_warn_only_enabled,
    set_deterministic_debug_mode,
    set_float32_matmul_precision,
    use_deterministic_algorithms,
)
from deepgpu.tensor import Size, Tensor
from deepgpu.threads import get_num_threads, set_num_threads, start as _start_threads

__version__ = "0.1.0"

_start_threads()
