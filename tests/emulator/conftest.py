"""Tests of the CUDA emulator. They need g++ and NVIDIA's headers; those marked `kernels` also NVRTC (the extra)."""

from __future__ import annotations

import pytest


def _kernels_extra_is_installed() -> bool:
    from deepgpu.kernels.emulator import compile_judge

    return compile_judge.missing() == []


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "kernels: needs NVRTC and nvdisasm, the extra `kernels` (deselected where it is not installed)"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("kernels")]
    if not marked or _kernels_extra_is_installed():
        return
    items[:] = [item for item in items if item not in marked]
    config.hook.pytest_deselected(items=marked)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(
            f"tests/emulator: {len(marked)} tests of the compile judge deselected: "
            "pip install 'deepgpu[kernels]' to run them"
        )
