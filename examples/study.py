"""What all studies share: the command line, the table of findings, the picture, the progress bar."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from inspect import Signature, signature
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypeVar

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

import deepgpu as dg
from deepgpu import nn
from deepgpu.train import Trainer, choose_device, evaluate, seed_all
from deepgpu.train.display import Silence
from deepgpu.utils.data import DataLoader, TensorDataset
from deepgpu.vision import datasets
from deepgpu.viz.figure import figure

T = TypeVar("T")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Finding:
    """What theory says, what was measured, and whether they agree."""

    claim: str
    measured: str
    holds: bool


class Study:
    """A run of one subject.

    Parameters
    ----------
    name
        Such as "01_perceptron"; the files in ``out`` begin with it.
    quick
        Less data and fewer steps.
    seed
        Of everything random.
    device
        "auto" is the GPU if there is one.
    out
        The folder for the picture and the findings.
    """

    def __init__(
        self, name: str, quick: bool = True, seed: int = 0, device: Any = "auto", out: Path = Path("runs/examples")
    ) -> None:
        self.name, self.quick, self.seed, self.out = name, quick, seed, Path(out)
        self.device = choose_device(device)
        self.findings: list[Finding] = []
        self._started = time.perf_counter()
        self.out.mkdir(parents=True, exist_ok=True)
        seed_all(seed)

    def found(self, claim: str, measured: str, holds: bool) -> None:
        """Note a finding."""
        self.findings.append(Finding(claim, measured, bool(holds)))

    def track(self, items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
        """Iterate with a progress bar where there is a terminal."""
        return iter(track(items, title, total, transient=True, console=Console(stderr=True), disable=not _terminal()))

    def figure(self, rows: int = 1, columns: int = 1, size: tuple[float, float] = (9, 3)) -> AbstractContextManager:
        """The axes of the study's one picture."""
        return figure(self.picture, rows, columns, size)

    @property
    def picture(self) -> Path:
        """Where the picture is."""
        return self.out / f"{self.name}.png"

    @property
    def holds(self) -> bool:
        """Whether there are findings, and each holds."""
        return bool(self.findings) and all(f.holds for f in self.findings)

    def report(self) -> None:
        """Print the findings as a table, and write them to a file."""
        seconds = time.perf_counter() - self._started
        table = Table("finding", "measured", "holds", title=f"{self.name} ({seconds:.1f} s)", title_justify="left")
        for f in self.findings:
            table.add_row(f.claim, f.measured, "yes" if f.holds else "[bold red]NO[/]")
        Console(width=None if _terminal() else 140).print(table)
        print(f"picture: {self.picture}")
        findings = [asdict(f) for f in self.findings]
        record = {"seed": self.seed, "quick": self.quick, "seconds": round(seconds, 1), "findings": findings}
        (self.out / f"{self.name}.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def fashion(train: bool, count: int, seed: int = 0) -> tuple[dg.Tensor, dg.Tensor]:
    """Images ``(count, 1, 28, 28)`` of Fashion-MNIST with mean 0 and deviation 1, drawn at random, and their labels."""
    data = datasets.FashionMNIST(train=train)
    chosen = np.random.default_rng(seed).permutation(len(data))[:count]
    pixels = data.data.numpy()[chosen].astype(np.float32) / 255
    return dg.tensor((pixels[:, None] - 0.286) / 0.353), dg.tensor(data.targets.numpy()[chosen])


def fit(
    net: nn.Module, data: tuple[dg.Tensor, dg.Tensor], epochs: int, lr: float, device: Any, batch: int = 64
) -> Trainer:
    """Train a classifier with Adam and one cycle of its learning rate."""
    batches = DataLoader(TensorDataset(*data), batch, shuffle=True, drop_last=True)
    optimizer = dg.optim.Adam(net.parameters(), lr)
    schedule = dg.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * len(batches))
    trainer = Trainer(net, optimizer, scheduler=schedule, device=device, display=Silence())
    trainer.fit(batches, epochs=epochs)
    return trainer


def accuracy(net: nn.Module, data: tuple[dg.Tensor, dg.Tensor], device: Any) -> float:
    """The share of right answers."""
    return evaluate(net, DataLoader(TensorDataset(*data), 500), device=device).accuracy


def _terminal() -> bool:
    return sys.stdout.isatty()


def names() -> list[str]:
    """All studies, in the order of the course."""
    return sorted(p.stem for p in FOLDER.glob("[0-9][0-9]_*.py"))


def load(name: str) -> ModuleType:
    """The module of a study, whose name (it begins with a number) no import statement takes."""
    spec = importlib.util.spec_from_file_location(f"study_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(study: Callable[..., Any]) -> None:
    """The command line of one study; the exit code is 1 if a finding does not hold.

    Parameters of the study after the first, which have defaults, are options too.
    """

    def command(
        quick: Annotated[bool, typer.Option("--quick", help="Less data and fewer steps.")] = False,
        seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
        device: Annotated[str, typer.Option(help="auto (the GPU if there is one), cpu or cuda.")] = "auto",
        out: Annotated[Path, typer.Option(help="Folder for the picture and the findings.")] = Path("runs/examples"),
        **options: Any,
    ) -> None:
        run = Study(Path(sys.argv[0]).stem, quick, seed, device, out)
        study(run, **options)
        run.report()
        raise typer.Exit(0 if run.holds else 1)

    command.__doc__ = sys.modules[study.__module__].__doc__
    shared, own = (list(signature(f, eval_str=True).parameters.values()) for f in (command, study))
    command.__signature__ = Signature([*shared[:-1], *own[1:]])  # type: ignore[attr-defined]
    typer.run(command)
