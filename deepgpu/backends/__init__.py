"""Devices: one contract (:mod:`~deepgpu.backends.base`), one implementation a device type."""
