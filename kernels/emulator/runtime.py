"""The C interface of the runtime: structures shared with ``runtime/*.h``, and the functions of a loaded module."""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path

U8, U16, U32, U64 = ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64
I32, I64 = ctypes.c_int32, ctypes.c_int64


class Parameter(ctypes.Structure):
    """``emu::Parameter``: one parameter of a kernel."""

    _fields_ = [("size", U32), ("alignment", U32), ("is_pointer", U8), ("kind", U8), ("value_size", U16)]


class Kernel(ctypes.Structure):
    """``emu::Kernel``: the entry of a kernel."""

    _fields_ = [
        ("run", ctypes.c_void_p),
        ("function", ctypes.c_void_p),
        ("parameters", U32),
        ("parameter", Parameter * 64),
    ]


class Region(ctypes.Structure):
    """``emu::RegionSpec``: a piece of global memory."""

    _fields_ = [
        ("base", U64),
        ("size", U64),
        ("initialised", ctypes.c_void_p),
        ("writable", U32),
        ("device_alignment", U32),
    ]


class Variable(ctypes.Structure):
    """``emu::VariableSpec``: a variable in the shared window."""

    _fields_ = [("offset", U64), ("size", U64)]


class Choice(ctypes.Structure):
    """``emu::Choice``: a scheduling decision that differs from the default."""

    _fields_ = [("block", U32), ("index", U32), ("decision", U32), ("value", U32), ("options", U32)]


class TrafficRow(ctypes.Structure):
    """``emu::TrafficRow``: the requests of one instruction."""

    _fields_ = [
        ("pc", U64),
        ("kind", U32),
        ("size", U32),
        ("requests", U64),
        ("bytes", U64),
        ("units", U64),
        ("ideal", U64),
    ]


class Configuration(ctypes.Structure):
    """``emu::LaunchConfiguration``."""

    _fields_ = [
        ("grid", U32 * 3), ("block", U32 * 3), ("seed", U64),
        ("check", U32), ("count", U32), ("cooperative", U32), ("replaying", U32), ("recording", U32),
        ("dynamic_shared", U64),
        ("module_base", U64), ("module_size", U64), ("window_offset", U64), ("window_size", U64),
        ("regions", ctypes.POINTER(Region)), ("region_count", U64),
        ("variables", ctypes.POINTER(Variable)), ("variable_count", U64),
        ("choices", ctypes.POINTER(Choice)), ("choice_count", U64),
    ]  # fmt: skip


class Report(ctypes.Structure):
    """``emu::ErrorReport``."""

    _fields_ = [
        ("kind", I32), ("block", U32 * 3), ("thread", U32 * 3), ("pc", U64),
        ("region", I32), ("variable", I32), ("offset", I64),
        ("size", U64), ("address", U64), ("store", U32), ("atomic", U32),
        ("has_other", U32), ("other_block", U32 * 3), ("other_thread", U32 * 3), ("other_pc", U64),
        ("other_store", U32), ("other_atomic", U32), ("text", ctypes.c_char * 768),
    ]  # fmt: skip


_READY = 16
"""Modules that keep their fibers' stacks from launch to launch.

Each stack has a guard page, which is two mappings a thread; Linux allows a process 65530 of them.
"""


class _Launched(threading.local):
    """The modules that an operating-system thread has launched last, the newest at the end."""

    def __init__(self) -> None:
        self.libraries: list[Library] = []

    def add(self, library: Library) -> None:
        if self.libraries and self.libraries[-1] is library:
            return
        self.libraries = [x for x in self.libraries if x is not library] + [library]
        if len(self.libraries) > _READY:
            self.libraries.pop(0).release()


_launched = _Launched()


class Library:
    """A loaded module."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._library = ctypes.CDLL(str(path))
        self._launch = self._library.emu_launch
        self._launch.argtypes = [
            ctypes.POINTER(Kernel),
            ctypes.c_void_p,
            ctypes.POINTER(Configuration),
            ctypes.POINTER(Report),
        ]
        for name in ("emu_output", "emu_traffic", "emu_choices", "emu_base"):
            getattr(self._library, name).restype = ctypes.c_size_t
        self.base: int = self._library.emu_base()

    def kernel(self, number: int) -> Kernel:
        entry = getattr(self._library, f"emu_kernel_{number}")
        entry.restype = ctypes.POINTER(Kernel)
        return entry().contents

    def launch(self, kernel: Kernel, arguments: ctypes.Array, configuration: Configuration) -> Report | None:
        """Runs the grid; returns what went wrong, or None."""
        _launched.add(self)
        report = Report()
        failed = self._launch(kernel, arguments, configuration, report)
        return report if failed else None

    def release(self) -> None:
        """Gives back the memory that this thread's next launch would use again."""
        self._library.emu_release()

    def output(self) -> str:
        """What the kernel of the last launch printed."""
        text = ctypes.c_void_p()
        size = self._library.emu_output(ctypes.byref(text))
        return ctypes.string_at(text.value, size).decode(errors="replace") if text.value and size else ""

    def traffic(self) -> list[TrafficRow]:
        rows = ctypes.POINTER(TrafficRow)()
        count = self._library.emu_traffic(ctypes.byref(rows))
        return [TrafficRow.from_buffer_copy(rows[i]) for i in range(count)]

    def choices(self) -> list[Choice]:
        made = ctypes.POINTER(Choice)()
        count = self._library.emu_choices(ctypes.byref(made))
        return [Choice.from_buffer_copy(made[i]) for i in range(count)]
