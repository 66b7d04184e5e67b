"""Loops over channels whose formula is written once, for whole vectors and for the tail, in any floating dtype.

LLVM vectorises a plain loop ``for c in range(C): y[c] = f(x[c])`` well, and such loops stay plain Numba. What it cannot
do is keep the sums of an *outer* loop (over the pixels of a window, over the rows of a batch) in registers while the
channels are the vector lanes. So here the loop over channels is emitted around a body that may itself loop::

    @intrinsic
    def sum_of_rows(typingctx, x, y, rows, channels):           # y[c] = sum over r of x[r * channels + c]
        def generate(context, builder, signature, args):
            x, y, rows, channels = unpack(context, builder, signature, args)

            def body(emit, c):
                def row(r, total):
                    return [total[0] + emit.load(x, r * channels + c)]

                emit.store(emit.loop(rows, [emit.zero(x)], row)[0], y, c)

            over_channels(builder, channels, x, body)
            return context.get_dummy_value()

        return types.void(x, y, types.intp, types.intp), generate

The body is emitted for several vectors at once (LLVM splits such a wide value over registers, whose operations
overlap), for fewer, for one, and for a single element: nothing outside the arrays is touched. The words are those of
:mod:`.vector`, which explains them from zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types

from . import vector
from .vector import INT32, INT64, Int, Vec


class Lanes(Vec):
    """Some elements of one dtype in registers. A comparison gives a mask for :meth:`Emitter.select`."""

    def _other(self, other: Vec | float) -> ir.Value:
        if isinstance(other, Vec):
            return other.value
        return ir.Constant(self.value.type, [float(other)] * self.value.type.count)

    def __add__(self, other: Vec | float) -> Lanes:
        return Lanes(self.builder, super().__add__(other).value)

    def __sub__(self, other: Vec | float) -> Lanes:
        return Lanes(self.builder, super().__sub__(other).value)

    def __mul__(self, other: Vec | float) -> Lanes:
        return Lanes(self.builder, super().__mul__(other).value)

    def __or__(self, other: Lanes) -> Lanes:
        return Lanes(self.builder, self.builder.or_(self.value, other.value))

    def __gt__(self, other: Lanes) -> Lanes:
        return Lanes(self.builder, self.builder.fcmp_ordered(">", self.value, other.value))

    def is_nan(self) -> Lanes:
        return Lanes(self.builder, self.builder.fcmp_unordered("uno", self.value, self.value))


class Emitter(vector.Emitter):
    """Emits operations on `lanes` elements at a time."""

    def __init__(self, builder: ir.IRBuilder, lanes: int) -> None:
        super().__init__(builder)
        self.lanes = lanes

    def load(self, pointer: ir.Value, offset: Int) -> Lanes:
        place = self.builder.gep(pointer, [offset.value])
        kind = ir.VectorType(pointer.type.pointee, self.lanes)
        value = self.builder.load(self.builder.bitcast(place, kind.as_pointer()))
        value.align = _size(pointer)
        return Lanes(self.builder, value)

    def store(self, lanes: Lanes, pointer: ir.Value, offset: Int) -> None:
        place = self.builder.gep(pointer, [offset.value])
        place = self.builder.bitcast(place, lanes.value.type.as_pointer())
        self.builder.store(lanes.value, place).align = _size(pointer)

    def spread(self, scalar: ir.Value) -> Lanes:
        """`scalar` in every lane."""
        return Lanes(self.builder, vector._splat(self.builder, scalar, ir.VectorType(scalar.type, self.lanes)))

    def element(self, pointer: ir.Value, offset: Int) -> Lanes:
        """One element of memory in every lane."""
        return self.spread(self.builder.load(self.builder.gep(pointer, [offset.value])))

    def int32(self, number: Int) -> Lanes:
        return self.spread(self.builder.trunc(number.value, INT32))

    def zero(self, like: ir.Value) -> Lanes:
        """Zeros of the dtype that the pointer `like` points to."""
        return Lanes(self.builder, ir.Constant(ir.VectorType(like.type.pointee, self.lanes), [0.0] * self.lanes))

    def select(self, mask: Lanes, yes: Lanes, no: Lanes) -> Lanes:
        return Lanes(self.builder, self.builder.select(mask.value, yes.value, no.value))


def over_channels(
    builder: ir.IRBuilder, channels: Int, like: ir.Value, body: Callable[[Emitter, Int], None], widest: int = 4
) -> None:
    """Emit ``body(emit, c)`` for ``c = 0 .. channels``, as many lanes at a time as fit.

    A vector has as many lanes as there are elements of the dtype that `like` points to in a register; `widest` vectors
    at a time should leave registers for all that the body keeps.
    """
    whole = 4 * vector.LANES // _size(like)
    start = ir.Constant(INT64, 0)
    for lanes in [*(n * whole for n in (8, 4, 2, 1) if n <= widest), 1]:
        before, top, turn, done = builder.block, *(builder.append_basic_block() for _ in range(3))
        builder.branch(top)
        builder.position_at_end(top)
        c = builder.phi(INT64)
        c.add_incoming(start, before)
        after = builder.add(c, ir.Constant(INT64, lanes))
        builder.cbranch(builder.icmp_signed("<=", after, channels.value), turn, done)
        builder.position_at_end(turn)
        body(Emitter(builder, lanes), Int(builder, c))
        c.add_incoming(after, builder.block)
        builder.branch(top)
        builder.position_at_end(done)
        start = c


def unpack(context: Any, builder: ir.IRBuilder, signature: Any, args: Sequence[ir.Value]) -> list[Any]:
    """An intrinsic's arguments: arrays as pointers to their first element, integers as ``Int``, floats as they are."""

    def one(kind: Any, value: ir.Value) -> Any:
        if isinstance(kind, types.Array):
            return context.make_array(kind)(context, builder, value=value).data
        return Int(builder, value) if isinstance(kind, types.Integer) else value

    return [one(kind, value) for kind, value in zip(signature.args, args, strict=True)]


def _size(pointer: ir.Value) -> int:
    """Bytes of what it points to."""
    return 8 if pointer.type.pointee in (ir.DoubleType(), INT64) else 4
