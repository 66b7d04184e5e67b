"""The README's example runs as it stands, and its commands exist."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_example_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.splitlines()) <= 16
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(out.split()[1]) < 2.0  # chance is log(10) = 2.3


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_commands_exist():
    listed = set(re.findall(r"^deepgpu (\w+)", README, re.MULTILINE))
    out = subprocess.run([sys.executable, "-m", "deepgpu", "--help"], capture_output=True, text=True, check=True).stdout
    assert listed
    for name in listed:
        assert re.search(rf"\b{name}\b", out), name
    targets = set(re.findall(r"^make ([\w-]+)", README, re.MULTILINE))
    for name in targets:
        assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), re.MULTILINE), name
