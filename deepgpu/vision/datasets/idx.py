"""The IDX format: arrays of MNIST's family.

Two zero bytes, a byte for the type, one for the number of dimensions, their sizes as big-endian int32, then the
elements (big-endian, in C order). Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file, gzipped or not.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    A new array in the machine's byte order.

    Raises
    ------
    ValueError
        If the file is truncated, too long or not of this format; the message names it, and the expected and actual
        sizes.
    """
    path = Path(path)
    content = path.read_bytes()
    if content.startswith(_GZIP):
        content = _unzipped(content, path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        start = content[:4].hex(" ") or "nothing"
        raise ValueError(
            f"{path}: not an IDX file: it starts with {start}; expected 00 00, a type 08 to 0e, dimensions"
        )
    dtype, ndim = np.dtype(_TYPES[content[2]]), content[3]
    header = 4 + 4 * ndim
    if len(content) < header:
        raise ValueError(_truncated(path, f"a header of {header} bytes", len(content)))
    shape = struct.unpack(f">{ndim}I", content[4:header])
    expected = header + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        what = f"{expected} bytes ({' x '.join(map(str, shape))} of {dtype.name} and a header of {header})"
        raise ValueError(_truncated(path, what, len(content)))
    array = np.frombuffer(content, dtype, offset=header).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _unzipped(content: bytes, path: Path) -> bytes:
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        # the last four bytes of a gzip file say how long its content is, but a truncated one has lost them
        stream = zlib.decompressobj(wbits=31)
        try:
            found = len(stream.decompress(content))
        except zlib.error:
            found = 0
        raise ValueError(
            f"{path}: truncated or corrupt gzip file ({error}): {len(content)} bytes hold only {found} sound ones; "
            "delete it and get it again"
        ) from error


def _truncated(path: Path, expected: str, found: int) -> str:
    return f"{path}: expected {expected}, found {found} bytes; delete it and get it again"
