"""deepgpu.ops.loss against PyTorch."""

from collections.abc import Iterator

from deepgpu.testing import Maker, OpEntry, OpTests, Sample


def losses(make: Maker) -> Iterator[Sample]:
    for reduction in ("mean", "sum", "none"):
        yield Sample(make(3, 4), make(3, 4), reduction=reduction)


ENTRIES = [OpEntry("mse_loss", losses, dtypes=("float64", "float32"))]


class TestLoss(OpTests):
    entries = ENTRIES
