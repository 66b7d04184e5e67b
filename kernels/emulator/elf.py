"""Reads the symbol table of an object file or shared object (64-bit ELF)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

OBJECT, FUNCTION, THREAD_LOCAL = 1, 2, 6
_SYMBOL_TABLE, _UNDEFINED = 2, 0


@dataclass(frozen=True)
class Symbol:
    """A symbol: ``kind`` is OBJECT, FUNCTION or THREAD_LOCAL; ``value`` an address or an offset in its segment."""

    name: str
    kind: int
    value: int
    size: int
    defined: bool


def symbols(path: Path) -> list[Symbol]:
    """The symbols of kinds OBJECT, FUNCTION and THREAD_LOCAL of an ELF file, in the order of its table."""
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{path} is not a little-endian 64-bit ELF file")
    section_offset = struct.unpack_from("<Q", data, 0x28)[0]
    entry_size, count = struct.unpack_from("<HH", data, 0x3A)
    # name, type, flags, address, offset, size, link, info, alignment, entry size
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, section_offset + i * entry_size) for i in range(count)]
    found = []
    for section in sections:
        if section[1] != _SYMBOL_TABLE:
            continue
        names = sections[section[6]][4]
        for at in range(section[4], section[4] + section[5], 24):
            name, info, _, index, value, size = struct.unpack_from("<IBBHQQ", data, at)
            if info & 15 in (OBJECT, FUNCTION, THREAD_LOCAL):
                start = names + name
                text = data[start : data.index(b"\0", start)].decode()
                found.append(Symbol(text, info & 15, value, size, index != _UNDEFINED))
    return found
