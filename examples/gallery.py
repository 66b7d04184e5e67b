"""Run all studies and build docs/gallery.md: what each is about, its findings, its picture.

The exit code is 1 if a finding does not hold.
"""

import io
import json
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from study import Study, load, names

DOCS = Path(__file__).resolve().parents[1] / "docs"
INTRODUCTION = """# Gallery

The subjects of a course on deep learning, in its order. Each is a short program in [examples](../examples) that
trains on real data, compares what it measured with what theory says, and leaves a picture. `make examples` has run
them all, in quick mode and with seed {seed}, and written this page; without `--quick` a study takes more data and
more steps.
"""


def shrunk(path: Path, target: Path) -> None:
    """The picture in at most 128 colours, which makes a small file."""
    with Image.open(path) as picture:
        content = io.BytesIO()
        picture.convert("RGB").quantize(128).save(content, "PNG", optimize=True)
    target.write_bytes(content.getvalue())


def section(run: Study, text: str, seconds: float) -> str:
    """A study's part of the page."""
    title, _, body = text.strip().partition("\n")
    cells = [(f.claim, f.measured, "yes" if f.holds else "**no**") for f in run.findings]
    rows = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells)
    number = int(run.name[:2])
    return f"""## {number}. {title}

{body.strip()}

![{title}](images/gallery/{run.name}.png)

| finding | measured | holds |
|---|---|---|
{rows}

[examples/{run.name}.py](../examples/{run.name}.py), {seconds:.0f} s
"""


def build(
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    device: Annotated[str, typer.Option(help="auto (the GPU if there is one), cpu or cuda.")] = "auto",
    out: Annotated[Path, typer.Option(help="Folder for pictures and findings.")] = Path("runs/examples"),
) -> None:
    """Run all studies in quick mode and write docs/gallery.md."""
    images = DOCS / "images" / "gallery"
    images.mkdir(parents=True, exist_ok=True)
    page, wrong = [INTRODUCTION.format(seed=seed)], []
    for name in names():
        module = load(name)
        run = Study(name, True, seed, device, out)
        module.study(run)
        run.report()
        shrunk(run.picture, images / f"{name}.png")
        record = json.loads((out / f"{name}.json").read_text())
        page.append(section(run, module.__doc__ or name, record["seconds"]))
        wrong += [name] * (not run.holds)
    (DOCS / "gallery.md").write_text("\n".join(page))
    if wrong:
        raise SystemExit(f"findings that do not hold: {', '.join(wrong)}")


if __name__ == "__main__":
    typer.run(build)
