"""``python -m deepgpu`` is the command ``deepgpu``."""

from deepgpu.cli import main

if __name__ == "__main__":
    main()
