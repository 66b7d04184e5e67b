"""The kernels that are timed: what each does at least, how we run it, how PyTorch (cuBLAS, cuDNN) does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks.gpu.roofline import Conv, Work, conv, gemm, passes

Call = Callable[[], Any]


class Case(NamedTuple):
    """One op on one shape.

    Attributes
    ----------
    family, name, dtype
        What it is. ``dtype`` is a dtype's name or ``"tf32"``.
    work
        For the roofline.
    ours
        Makes our call, given deepgpu.
    theirs
        Makes PyTorch's, given torch.
    """

    family: str
    name: str
    dtype: str
    work: Work
    ours: Callable[[Any], Call]
    theirs: Callable[[Any], Call]


def storage(dtype: str) -> str:
    """The dtype of the arrays."""
    return "float32" if dtype == "tf32" else dtype


def _tensor(library: Any, dtype: str, *shape: int) -> Any:
    return library.randn(*shape, device="cuda").to(getattr(library, storage(dtype)))


def _image(library: Any, dtype: str, *shape: int) -> Any:
    return _tensor(library, dtype, *shape).contiguous(memory_format=library.channels_last)


def products(sizes: list[tuple[int, int, int]], dtypes: list[str]) -> Iterator[Case]:
    """Matrix products."""
    for m, n, k in sizes:
        for dtype in dtypes:

            def make(library: Any, m: int = m, n: int = n, k: int = k, dtype: str = dtype) -> Call:
                a, b = _tensor(library, dtype, m, k), _tensor(library, dtype, k, n)
                return lambda: library.mm(a, b)

            yield Case("gemm", f"{m}x{n}x{k}", dtype, gemm(m, n, k, dtype), make, make)


LAYERS = [
    Conv(64, 3, 64, 224, 7, 2),
    Conv(64, 64, 64, 56, 1),
    Conv(64, 64, 64, 56, 3),
    Conv(64, 128, 128, 28, 3),
    Conv(64, 256, 1024, 14, 1),
    Conv(64, 256, 256, 14, 3),
    Conv(64, 512, 512, 7, 3),
    Conv(64, 256, 512, 56, 1, 2),
    Conv(64, 144, 144, 56, 3, 1, 144),
]
"""ResNet-50's kinds of layers, and a depthwise one of MobileNetV2."""


def convolutions(layers: list[Conv], dtypes: list[str]) -> Iterator[Case]:
    """Convolutions in all three directions, on channels-last memory."""
    for layer in layers:
        for dtype in dtypes:
            for direction in ("fprop", "dgrad", "wgrad"):
                name = f"{layer} {direction}"
                work = conv(layer, dtype)
                yield Case(
                    "conv", name, dtype, work, _our_conv(layer, dtype, direction), _conv(layer, dtype, direction)
                )


def _operands(library: Any, layer: Conv, dtype: str) -> tuple[Any, Any, Any]:
    x = _image(library, dtype, layer.batch, layer.channels, layer.size, layer.size)
    w = _image(library, dtype, *layer.weight_shape)
    return x, w, _image(library, dtype, layer.batch, layer.filters, layer.output, layer.output)


def _our_conv(layer: Conv, dtype: str, direction: str) -> Callable[[Any], Call]:
    def make(dg: Any) -> Call:
        x, w, gy = (t._data for t in _operands(dg, layer, dtype))
        backend = dg.device("cuda").backend
        geometry = (layer.stride,) * 2, (layer.padding,) * 2, (1, 1), layer.groups
        return {
            "fprop": lambda: backend.conv2d_fprop(x, w, None, *geometry),
            "dgrad": lambda: backend.conv2d_dgrad(gy, w, (layer.size, layer.size), *geometry),
            "wgrad": lambda: backend.conv2d_wgrad(gy, x, (layer.window, layer.window), *geometry),
        }[direction]

    return make


def _conv(layer: Conv, dtype: str, direction: str) -> Callable[[Any], Call]:
    def make(torch: Any) -> Call:
        x, w, gy = _operands(torch, layer, dtype)
        geometry = [layer.stride] * 2, [layer.padding] * 2, [1, 1]
        if direction == "fprop":
            return lambda: torch.conv2d(x, w, None, *geometry, layer.groups)
        mask = [direction == "dgrad", direction == "wgrad", False]
        backward = torch.ops.aten.convolution_backward
        return lambda: backward(gy, x, w, None, *geometry, False, [0, 0], layer.groups, mask)

    return make


def bound_by_memory(shape: tuple[int, int, int, int], dtypes: list[str]) -> Iterator[Case]:
    """Ops that read and write an image, as a network does: pooling, batch norm, softmax, ReLU."""
    n, c, h, w = shape
    size = n * c * h * w
    text = "x".join(map(str, shape))
    for dtype in dtypes:

        def pool(library: Any, dtype: str = dtype) -> Call:
            x = _image(library, dtype, *shape)
            return lambda: library.nn.functional.max_pool2d(x, 2)

        def norm(library: Any, dtype: str = dtype) -> Call:
            x = _image(library, dtype, *shape)
            weight, bias = (library.ones(c, device="cuda").to(x.dtype) for _ in range(2))

            def call() -> Any:
                y = library.nn.functional.batch_norm(x, None, None, weight, bias, True)
                return y.data_ptr()  # ours is computed when it is looked at

            return call

        def softmax(library: Any, dtype: str = dtype) -> Call:
            x = _tensor(library, dtype, size // 1024, 1024)
            return lambda: library.softmax(x, 1)

        def relu(library: Any, dtype: str = dtype) -> Call:
            x = _image(library, dtype, *shape)
            return lambda: library.relu(x)

        for name, make, work in (
            ("max_pool2d 2x2", pool, Work(0.0, passes(size, 1, dtype).bytes * 1.25)),
            ("batch_norm training", norm, passes(size, 3, dtype)),  # two reads, a write
            ("softmax of 1024", softmax, passes(size, 2, dtype)),
            ("relu", relu, passes(size, 2, dtype)),
        ):
            yield Case("memory", f"{name} {text}", dtype, work, make, make)


def optimizers(count: int, size: int) -> Iterator[Case]:
    """A step over many parameters, in one launch."""
    for kind, arrays in (("SGD", 5), ("AdamW", 7)):  # the parameter, its gradient and its states, read and written

        def make(library: Any, kind: str = kind) -> Call:
            params = [library.nn.Parameter(library.zeros(size, device="cuda")) for _ in range(count)]
            for p in params:
                p.grad = library.ones(size, device="cuda")
            options = {"momentum": 0.9} if kind == "SGD" else {}
            if library.__name__ == "torch":
                options["fused"] = True
            return getattr(library.optim, kind)(params, lr=1e-3, **options).step

        work = passes(count * size, arrays, "float32")
        yield Case("optim", f"{kind} {count} x {size}", "float32", work, make, make)


def all_cases() -> Iterator[Case]:
    """What the report times, the most telling first."""
    yield from products([(4096, 4096, 4096)], ["float32", "tf32", "bfloat16"])
    yield from convolutions(LAYERS[:4], ["tf32", "bfloat16"])
    yield from bound_by_memory((64, 256, 56, 56), ["float32", "bfloat16"])
    yield from optimizers(160, 160_000)
    yield from convolutions(LAYERS[4:], ["tf32", "bfloat16"])
    yield from products([(8192, 8192, 8192), (64, 1000, 2048), (4096, 64, 4096)], ["tf32", "bfloat16"])


def tiny_cases() -> Iterator[Case]:
    """One of each kind, for the emulated device."""
    yield from products([(16, 16, 16)], ["float32", "tf32", "bfloat16"])
    yield from convolutions([Conv(1, 4, 4, 4, 3), Conv(1, 4, 4, 4, 3, 1, 4)], ["tf32"])
    yield from bound_by_memory((1, 8, 16, 16), ["float32"])
    yield from optimizers(2, 10)
