"""Which packages there are: everything under deepgpu/, and the kernels' sources as deepgpu.kernels.*.

All else is in pyproject.toml. This is code because a list written by hand would miss the next package.
"""

from setuptools import find_packages, setup

KERNELS = ("jit", "cuda", "emulator")

kernel_packages = [
    f"deepgpu.kernels.{name}"
    for top in KERNELS
    for name in (top, *[f"{top}.{sub}" for sub in find_packages(f"kernels/{top}")])
]
setup(
    packages=[*find_packages(include=["deepgpu", "deepgpu.*"]), *kernel_packages],
    package_dir={f"deepgpu.kernels.{name}": f"kernels/{name}" for name in KERNELS},
    package_data={
        "deepgpu": ["py.typed", "vision/datasets/data/*"],
        **{
            package: ["**/*.cu", "**/*.cuh", "**/*.h", "**/*.hpp", "**/*.cpp", "**/*.S", "include/**/*"]
            for package in kernel_packages
        },
    },
)
