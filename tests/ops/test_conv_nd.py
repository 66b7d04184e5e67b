"""deepgpu.ops.conv_nd, conv_transpose, pool_nd, im2col and interpolation against PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample

Samples = Callable[[Maker], Iterator[Sample]]


def convs(ndim: int) -> Samples:
    lines = (7, 6, 5)[:ndim]
    ks = (3, 2, 2)[:ndim]

    def samples(make: Maker) -> Iterator[Sample]:
        yield Sample(make(2, 4, *lines), make(4, 2, *ks), None, 2, 1, 1, 2)
        yield Sample(make(2, *lines), make(3, 2, *ks), stride=ks, padding=(1, 0, 1)[:ndim], dilation=(2, 1, 2)[:ndim])
        yield Sample(make(1, 2, *lines), make(2, 2, *(3,) * ndim), make(2), padding="same")

    return samples


def conv_errors(name: str, ndim: int) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        image, kernel = make(1, 2, *(5,) * ndim), make(3, 2, *(2,) * ndim)
        yield Failure(Sample(make(2), kernel), f"`{name}`: `input` takes")
        yield Failure(Sample(image, kernel, None, 0), f"`{name}`: `stride`.*0")

    return errors


def transposed(ndim: int) -> Samples:
    lines = (4, 3, 2)[:ndim]

    def samples(make: Maker) -> Iterator[Sample]:
        yield Sample(make(2, 3, *lines), make(3, 2, *(3, 2, 1)[:ndim]), make(2))
        yield Sample(make(2, 4, *lines), make(4, 3, *(2,) * ndim), None, 2, 0, 1, 2)
        yield Sample(make(3, *lines), make(3, 2, *(3,) * ndim), make(2), (2, 1, 2)[:ndim], 1, 0, 1, (1, 2, 1)[:ndim])
        yield Sample(make(1, 2, *lines), make(2, 2, *(3,) * ndim), stride=3, padding=1, output_padding=2, dilation=2)

    return samples


def transposed_errors(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(1, 2, 4, 4), make(3, 2, 2, 2)), f"`{name}`: `input` takes 3 channels")
        weight = make(2, 2, 2, 2)
        yield Failure(Sample(make(1, 2, 4, 4), weight, None, 2, 0, 2), f"`{name}`: `output_padding` takes less")
        yield Failure(Sample(make(1, 2, 4, 4), weight, make(3)), rf"`{name}`: `bias` takes shape \(2,\)")

    return errors


def volume_errors(make: Maker) -> Iterator[Failure]:
    volume = make(1, 2, 3, 3, 3)
    yield Failure(Sample(volume[0, 0], make(2, 2, 2, 2, 2)), r"`conv_transpose3d`: `input` takes \(N, C, D, H, W\)")
    yield Failure(Sample(volume, make(3, 2, 2, 2, 2)), "`conv_transpose3d`: `input` takes 3 channels")
    yield Failure(Sample(volume, make(2, 2, 2, 2, 2), None, 2, 0, 2), "`output_padding` takes less")


def maxima(ndim: int) -> Samples:
    shape = (6, 5, 4)[-ndim:] if ndim == 3 else (9,)

    def samples(make: Maker) -> Iterator[Sample]:
        for options in (
            {},
            {"stride": 1, "padding": 1},
            {"stride": 2, "ceil_mode": True},
            {"dilation": 2, "stride": 1} if ndim == 1 else {"stride": (1, 2, 1), "dilation": (2, 1, 1)},
        ):
            yield Sample(make.distinct(2, 3, *shape), 2, return_indices=True, **options)
        yield Sample(make.distinct(3, *shape), 2)

    return samples


def means(ndim: int) -> Samples:
    shape = (6, 5, 4) if ndim == 3 else (9,)

    def samples(make: Maker) -> Iterator[Sample]:
        for options in (
            {},
            {"stride": 2, "padding": 1, "ceil_mode": True},
            {"stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
        ):
            yield Sample(make(2, 3, *shape), 3, **options)
        yield Sample(make(3, *shape), 2)
        if ndim == 3:
            yield Sample(make(2, 3, *shape), (2, 1, 3), divisor_override=5)

    return samples


def adaptive(ndim: int, maximum: bool) -> Samples:
    shape = (6, 5, 4) if ndim == 3 else (9,)

    def samples(make: Maker) -> Iterator[Sample]:
        sizes = (2, (3, 5, 1), (None, 2, 3)) if ndim == 3 else (1, 4, 9)
        for size in sizes:
            extra = {"return_indices": True} if maximum else {}
            yield Sample(make.distinct(2, 3, *shape) if maximum else make(2, 3, *shape), size, **extra)
        yield Sample(make.distinct(3, *shape), 2)

    return samples


def norms(ndim: int) -> Samples:
    shape = (4, 5, 4)[:ndim]

    def samples(make: Maker) -> Iterator[Sample]:
        yield Sample(make(2, 3, *shape, low=0.3), 2.0, 2)
        yield Sample(make(2, 3, *shape, low=0.3), 3.0, 3, 2)
        yield Sample(make(2, 3, *shape, low=0.3), 1.5, 2, 2, True)

    return samples


def unpooled(ndim: int) -> Samples:
    def samples(make: Maker) -> Iterator[Sample]:
        rng = np.random.default_rng(0)
        for size in (None, (2, 2, *(5,) * ndim)):
            total = 5**ndim if size else 4**ndim
            index = np.stack([rng.permutation(total)[: 2**ndim] for _ in range(4)]).reshape(2, 2, *(2,) * ndim)
            yield Sample(make(2, 2, *(2,) * ndim), index, 2, output_size=size)
        yield Sample(make(2, 2, *(2,) * ndim), index % 3**ndim, 3, 2, 1).forward_only()

    return samples


def columns(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 3, 5, 4), 2)
    yield Sample(make(2, 3, 5, 6), (2, 3), 1, (1, 0), (2, 1))
    yield Sample(make(2, 5, 5), 2, dilation=2, padding=1)


def column_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(1, 1, 2, 2), 3), r"`unfold`: `input` takes images that hold a kernel \(3, 3\)")


def folded(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 12, 12), (5, 4), 2)
    yield Sample(make(2, 6, 6), (5, 4), (2, 3), 1, (1, 0), (2, 1))
    yield Sample(make(8, 25), 5, 2, 2, 1)


def fold_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(1, 4, 3), 3, 2), r"`fold`: `input` takes \(N, C \* 4, 4\)")


def resized(make: Maker) -> Iterator[Sample]:
    line, image, volume = make(2, 2, 5), make(2, 2, 4, 5), make(1, 2, 3, 4, 2)
    for x, mode in ((line, "linear"), (image, "bilinear"), (image, "bicubic"), (volume, "trilinear")):
        for align in (False, True):
            yield Sample(x, scale_factor=2, mode=mode, align_corners=align)
            yield Sample(x, 7, mode=mode, align_corners=align)
            yield Sample(x, scale_factor=0.7, mode=mode, align_corners=align)
        yield Sample(x, scale_factor=1.3, mode=mode, recompute_scale_factor=True)
    for x in (line, image, volume):
        for mode in ("nearest", "nearest-exact", "area"):
            yield Sample(x, scale_factor=2, mode=mode)
            yield Sample(x, 3, mode=mode)
            yield Sample(x, scale_factor=1.7, mode=mode)
    yield Sample(image, (3, 9), mode="bilinear")
    yield Sample(image, scale_factor=(2, 0.5))


def resize_errors(make: Maker) -> Iterator[Failure]:
    x = make(1, 1, 2, 2)
    yield Failure(Sample(x, 3, 2.0), "`interpolate`: `size` takes.*3 and 2.0")
    yield Failure(Sample(x), "`interpolate`: `size` takes.*None and None")
    yield Failure(Sample(x, 3, align_corners=True), "`interpolate`: `align_corners` takes None")
    yield Failure(Sample(x, (3, 3, 3)), r"`interpolate`: `size` takes one number, or 2.*\(3, 3, 3\)")


PRECISE = ("float64", "float32")
OTHER_METHOD = {"method": "the method makes windows of one dimension"}
LOOSE = {"float32": (2e-5, 2e-5)}


def entry(name: str, samples: Samples, errors: Any = None, **kwargs: Any) -> OpEntry:
    return OpEntry(name, samples, errors, **{"dtypes": PRECISE, "layouts": (), "tolerances": LOOSE, **kwargs})


ENTRIES = [
    entry("conv1d", convs(1), conv_errors("conv1d", 1)),
    entry("conv3d", convs(3), conv_errors("conv3d", 3)),
    entry("conv_transpose1d", transposed(1)),
    entry("conv_transpose2d", transposed(2), transposed_errors("conv_transpose2d"), layouts=("channels_last",)),
    entry("conv_transpose3d", transposed(3), volume_errors),
    entry("max_pool1d", maxima(1)),
    entry("max_pool3d", maxima(3)),
    entry("avg_pool1d", means(1)),
    entry("avg_pool3d", means(3)),
    entry("adaptive_avg_pool1d", adaptive(1, False)),
    entry("adaptive_avg_pool3d", adaptive(3, False)),
    entry("adaptive_max_pool1d", adaptive(1, True)),
    entry("adaptive_max_pool3d", adaptive(3, True)),
    entry("lp_pool1d", norms(1)),
    entry("lp_pool2d", norms(2)),
    entry("lp_pool3d", norms(3)),
    entry("max_unpool1d", unpooled(1)),
    entry("max_unpool2d", unpooled(2)),
    entry("max_unpool3d", unpooled(3)),
    entry("unfold", columns, column_errors, variant="images", skip=OTHER_METHOD),
    entry("fold", folded, fold_errors),
    entry("interpolate", resized, resize_errors),
]


class TestConvNd(OpTests):
    entries = ENTRIES
