"""Vector registers, spelled out: how a Numba kernel here gets the machine code that we want.

The idea, from zero
-------------------
A CPU core computes on *vectors*: one instruction multiplies and adds 8 floats (AVX2) or 16 (AVX-512), and two of these
can start in every cycle, provided that the numbers are in registers already. A core has only 16 or 32 vector registers,
and loading a register takes an instruction too. So a fast kernel is a plan of which numbers stay in which registers.
An ordinary Numba loop leaves this plan to the compiler, which does not find it: it vectorises the innermost loop and
loads and stores the sums at every step.

Numba translates Python into LLVM IR, LLVM's typed assembly language, and lets us add our own words to that
translation: an ``@intrinsic`` is a Python function that *runs while the kernel is compiled* and emits IR. Here such a
function is written with three small classes, each a wrapper of one IR value:

=========== ==================================== =======================================
``Vec``      ``LANES`` floats in one register     ``+``, ``-``, ``*``, ``at_least``
``Int``      a 64-bit integer                     ``+``, ``-``, ``*``
``Pointer``  an address of floats                 ``p + i``, ``p.load()``, ``p.store(v)``
=========== ==================================== =======================================

Because the function runs at compile time, a Python loop in it is unrolled and a Python list of ``Vec`` is a set of
registers. This is the sum ``c[i] = a[i] * s + b[i]`` over ``2 * LANES`` floats::

    @vector_kernel
    def scaled_sum(emit, c: Pointer, a: Pointer, s: Pointer, b: Pointer):
        scale = s.broadcast()                           # one float into all lanes
        for j in range(2):                              # unrolled: there is no loop in the machine code
            (c + j * LANES).store((a + j * LANES).load() * scale + (b + j * LANES).load())

and a Numba kernel calls it with addresses: ``scaled_sum(address(c), address(a), address(s), address(b))``. LLVM still
allocates the registers, orders the instructions, and joins each ``*`` and ``+`` into one fused multiply-add.

Nothing checks the addresses. A kernel must not read or write outside its arrays; where an array ends in the middle of
a vector, ``load`` and ``store`` take a mask of the lanes that exist.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .compile import host_features


def _lanes(features: str) -> int:
    """Floats in the widest vector register of a CPU with these features."""
    if "+avx512f" in features:
        return 16
    return 8 if "+avx" in features else 4  # SSE and NEON have four


LANES = _lanes(host_features())
"""Floats in a vector."""

LINE = 16
"""Floats in a cache line."""

FLOAT, INT32, INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)
MASK = ir.VectorType(ir.IntType(1), LANES)
FLOAT_POINTER = FLOAT.as_pointer()
CONTRACT = ("contract",)  # a * b + c may be rounded once: a fused multiply-add


class Int:
    """A 64-bit integer. Arithmetic with Python integers makes constants."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value | int) -> None:
        self.builder = builder
        self.value = ir.Constant(INT64, value) if isinstance(value, int) else value

    def _other(self, other: Int | int) -> ir.Value:
        return other.value if isinstance(other, Int) else ir.Constant(INT64, other)

    def __add__(self, other: Int | int) -> Int:
        return Int(self.builder, self.builder.add(self.value, self._other(other)))

    def __sub__(self, other: Int | int) -> Int:
        return Int(self.builder, self.builder.sub(self.value, self._other(other)))

    def __mul__(self, other: Int | int) -> Int:
        return Int(self.builder, self.builder.mul(self.value, self._other(other)))

    __radd__, __rmul__ = __add__, __mul__

    def quotient(self, divisor: int) -> Int:
        """Rounded towards zero."""
        return Int(self.builder, self.builder.sdiv(self.value, ir.Constant(INT64, divisor)))


class Vec:
    """``LANES`` floats in a register. A Python number stands for itself in every lane."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def _other(self, other: Vec | float) -> ir.Value:
        return other.value if isinstance(other, Vec) else ir.Constant(VECTOR, [float(other)] * LANES)

    def __add__(self, other: Vec | float) -> Vec:
        return Vec(self.builder, self.builder.fadd(self.value, self._other(other), flags=CONTRACT))

    def __sub__(self, other: Vec | float) -> Vec:
        return Vec(self.builder, self.builder.fsub(self.value, self._other(other), flags=CONTRACT))

    def __mul__(self, other: Vec | float) -> Vec:
        return Vec(self.builder, self.builder.fmul(self.value, self._other(other), flags=CONTRACT))

    __radd__, __rmul__ = __add__, __mul__

    def times(self, factor: float, plus: Vec) -> Vec:
        """``self * factor + plus`` as a multiplication and addition: of ``2 * x`` LLVM makes ``x + x``, an addition."""
        function = _declare(self.builder, f"llvm.fmuladd.v{LANES}f32", VECTOR, [VECTOR] * 3)
        return Vec(self.builder, self.builder.call(function, [self.value, self._other(factor), plus.value]))

    def at_least(self, low: Vec) -> Vec:
        """``max(self, low)`` in each lane; NaN stays NaN."""
        below = self.builder.fcmp_ordered("<", self.value, low.value)
        return Vec(self.builder, self.builder.select(below, low.value, self.value))

    def at_most(self, high: Vec) -> Vec:
        """``min(self, high)`` in each lane; NaN stays NaN."""
        above = self.builder.fcmp_ordered(">", self.value, high.value)
        return Vec(self.builder, self.builder.select(above, high.value, self.value))

    def sum_of_lanes(self) -> Vec:
        """The sum of all lanes, in the first lane."""
        name = f"llvm.vector.reduce.fadd.v{LANES}f32"
        reduce = _declare(self.builder, name, FLOAT, [FLOAT, VECTOR])
        total = self.builder.call(reduce, [ir.Constant(FLOAT, 0.0), self.value], fastmath=["reassoc"])
        return Vec(self.builder, self.builder.insert_element(self.value, total, ir.Constant(INT32, 0)))


def lane_sums(vectors: list[Vec]) -> Vec:
    """The sums of the lanes of four vectors, in the first four lanes."""
    builder = vectors[0].builder

    def shuffled(a: Vec, b: Vec, lanes: list[int]) -> Vec:
        mask = ir.Constant(ir.VectorType(INT32, LANES), lanes)
        return Vec(builder, builder.shuffle_vector(a.value, b.value, mask))

    def folded(a: Vec, b: Vec, *quarters: list[int]) -> Vec:
        """The sum of two mixtures of both, alike in every four lanes; lanes of the second count from 4."""
        mixed = [
            shuffled(a, b, [four + lane % 4 + lane // 4 * LANES for four in range(0, LANES, 4) for lane in quarter])
            for quarter in quarters
        ]
        return mixed[0] + mixed[1]

    halves = [folded(a, b, [0, 4, 1, 5], [2, 6, 3, 7]) for a, b in (vectors[:2], vectors[2:])]
    sums = folded(*halves, [0, 1, 4, 5], [2, 3, 6, 7])
    width = LANES
    while width > 4:
        width //= 2
        sums = sums + shuffled(sums, sums, [(lane + width) % LANES for lane in range(LANES)])
    return sums


def transposed(rows: list[Vec]) -> list[Vec]:
    """``LANES`` vectors as rows of a square matrix; returns its columns.

    Squares of 2x2 blocks, of single lanes first and then of blocks twice as wide, swap their off-diagonal blocks.
    """
    builder, rows = rows[0].builder, list(rows)
    width = 1
    while width < LANES:
        upper = [lane if not lane & width else LANES + lane - width for lane in range(LANES)]
        lower = [lane + width if not lane & width else LANES + lane for lane in range(LANES)]
        for i in range(LANES):
            if not i & width:
                pair = rows[i].value, rows[i + width].value
                for row, lanes in ((i, upper), (i + width, lower)):
                    mask = ir.Constant(ir.VectorType(INT32, LANES), lanes)
                    rows[row] = Vec(builder, builder.shuffle_vector(*pair, mask))
        width *= 2
    return rows


class Pointer:
    """An address of floats; ``pointer + n`` is the address of the float ``n`` places on."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def __add__(self, offset: Int | int) -> Pointer:
        place = offset.value if isinstance(offset, Int) else ir.Constant(INT64, offset)
        return Pointer(self.builder, self.builder.gep(self.value, [place]))

    def load(self, mask: ir.Value | None = None) -> Vec:
        """``LANES`` neighbouring floats; lanes outside the mask are not read and hold zero."""
        if mask is not None:
            masked = _declare(
                self.builder, f"llvm.masked.load.v{LANES}f32.p0", VECTOR, [FLOAT_POINTER, INT32, MASK, VECTOR]
            )
            args = [self.value, ir.Constant(INT32, 4), mask, ir.Constant(VECTOR, [0.0] * LANES)]
            return Vec(self.builder, self.builder.call(masked, args))
        value = self.builder.load(self.builder.bitcast(self.value, VECTOR.as_pointer()))
        value.align = 4
        return Vec(self.builder, value)

    def store(self, vec: Vec, mask: ir.Value | None = None) -> None:
        """Write ``LANES`` neighbouring floats, or those in the mask."""
        if mask is not None:
            masked = _declare(
                self.builder, f"llvm.masked.store.v{LANES}f32.p0", ir.VoidType(), [VECTOR, FLOAT_POINTER, INT32, MASK]
            )
            self.builder.call(masked, [vec.value, self.value, ir.Constant(INT32, 4), mask])
            return
        self.builder.store(vec.value, self.builder.bitcast(self.value, VECTOR.as_pointer())).align = 4

    def stream(self, vec: Vec) -> None:
        """Write ``LANES`` neighbouring floats past the caches; the address must be a multiple of a vector's size.

        A line that is not in cache is otherwise read before it is overwritten. Afterwards comes :meth:`Emitter.fence`.
        """
        store = self.builder.store(vec.value, self.builder.bitcast(self.value, VECTOR.as_pointer()))
        store.align = 4 * LANES
        store.set_metadata("nontemporal", self.builder.module.add_metadata([ir.Constant(INT32, 1)]))

    def store_first(self, vec: Vec) -> None:
        """Write the first lane."""
        first = self.builder.extract_element(vec.value, ir.Constant(INT32, 0))
        self.builder.store(first, self.value).align = 4

    def store_four(self, vec: Vec) -> None:
        """Write the first four lanes."""
        four = ir.VectorType(FLOAT, 4)
        lanes = ir.Constant(ir.VectorType(INT32, 4), [0, 1, 2, 3])
        part = self.builder.shuffle_vector(vec.value, vec.value, lanes)
        self.builder.store(part, self.builder.bitcast(self.value, four.as_pointer())).align = 4

    def broadcast(self) -> Vec:
        """One float in every lane."""
        return Vec(self.builder, _splat(self.builder, self._scalar(), VECTOR))

    def gather(self, step: Int | int) -> Vec:
        """``LANES`` floats that lie ``step`` apart, loaded one by one."""
        value = ir.Constant(VECTOR, ir.Undefined)
        for lane in range(LANES):
            value = self.builder.insert_element(value, (self + step * lane)._scalar(), ir.Constant(INT32, lane))
        return Vec(self.builder, value)

    def scatter(self, vec: Vec, step: Int | int) -> None:
        """Write the lanes ``step`` floats apart."""
        for lane in range(LANES):
            scalar = self.builder.extract_element(vec.value, ir.Constant(INT32, lane))
            self.builder.store(scalar, (self + step * lane).value).align = 4

    def prefetch(self, level: int, write: bool = False) -> None:
        """Ask for the cache line in the L1 or L2 cache. Any address is allowed, but it is slow where no memory is.

        To ``write`` is to want it alone: a line that others may have too must be asked for once more before a store.
        """
        function = _declare(self.builder, "llvm.prefetch.p0", ir.VoidType(), [FLOAT_POINTER, INT32, INT32, INT32])
        arguments = [ir.Constant(INT32, n) for n in (int(write), 4 - level, 1)]
        self.builder.call(function, [self.value, *arguments])

    def _scalar(self) -> ir.Value:
        value = self.builder.load(self.value)
        value.align = 4
        return value


T = TypeVar("T", Int, Vec, Pointer)


class Emitter:
    """What belongs to no single value: constants, masks, tables and loops."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.builder = builder

    def zero(self) -> Vec:
        return Vec(self.builder, ir.Constant(VECTOR, [0.0] * LANES))

    def minimum(self, a: Int, b: int) -> Int:
        other = ir.Constant(INT64, b)
        return Int(self.builder, self.builder.select(self.builder.icmp_signed("<", a.value, other), a.value, other))

    def where(self, number: Int, limit: int, yes: T, no: T) -> T:
        """``yes`` if ``number > limit``, else ``no``."""
        above = self.builder.icmp_signed(">", number.value, ir.Constant(INT64, limit))
        return type(yes)(self.builder, self.builder.select(above, yes.value, no.value))

    def int(self, value: int) -> Int:
        return Int(self.builder, value)

    def mask(self, count: Int) -> ir.Value:
        """The first ``count`` lanes; all of them if ``count`` is ``LANES`` or more."""
        lanes = ir.VectorType(INT64, LANES)
        return self.builder.icmp_signed(
            "<", ir.Constant(lanes, list(range(LANES))), _splat(self.builder, count.value, lanes)
        )

    def fence(self) -> None:
        """Let other threads see what was streamed before what follows."""
        self.builder.fence("seq_cst")

    def address_in(self, table: Int, index: Int | int) -> Pointer:
        """The address that stands at ``index`` in an array of addresses."""
        return Pointer(self.builder, self.builder.inttoptr(self.int_in(table, index).value, FLOAT_POINTER))

    def int_in(self, table: Int, index: Int | int) -> Int:
        """The integer that stands at ``index`` in an array of int64."""
        builder = self.builder
        place = builder.inttoptr((table + (Int(builder, 0) + index) * 8).value, INT64.as_pointer())
        return Int(builder, builder.load(place))

    def loop(self, count: Int, start: list, body: Callable[[Int, list], list], unroll: int = 1) -> list:
        """Run ``values = body(i, values)`` for ``i = 0 .. count - 1`` and return the last values.

        The values (``Vec``, ``Int`` or ``Pointer``) are carried from one turn to the next in registers. With ``unroll``
        a turn runs the body so many times; what is left over has a loop of its own.
        """
        if unroll > 1:
            turns = count.quotient(unroll)
            done = turns * unroll

            def several(i: Int, values: list) -> list:
                for k in range(unroll):
                    values = body(i * unroll + k, values)
                return values

            return self.loop(count - done, self.loop(turns, start, several), lambda i, values: body(done + i, values))
        builder = self.builder
        entry, top = builder.block, builder.append_basic_block("top")
        turn, done = builder.append_basic_block("turn"), builder.append_basic_block("done")
        builder.branch(top)
        builder.position_at_end(top)
        index = builder.phi(INT64)
        phis = [builder.phi(v.value.type) for v in start]
        carried = [type(v)(builder, phi) for v, phi in zip(start, phis, strict=True)]
        builder.cbranch(builder.icmp_signed("<", index, count.value), turn, done)
        builder.position_at_end(turn)
        values = body(Int(builder, index), carried)
        index.add_incoming(ir.Constant(INT64, 0), entry)
        index.add_incoming(builder.add(index, ir.Constant(INT64, 1)), builder.block)
        for phi, first, last in zip(phis, start, values, strict=True):
            phi.add_incoming(first.value, entry)
            phi.add_incoming(last.value, builder.block)
        builder.branch(top)
        builder.position_at_end(done)
        return carried

    def choose(self, number: Int, cases: dict[int, Callable[[], None]]) -> None:
        """Run the case of this number, or nothing."""
        builder = self.builder
        done = builder.append_basic_block("chosen")
        switch = builder.switch(number.value, done)
        for case, body in cases.items():
            block = builder.append_basic_block(f"case{case}")
            switch.add_case(ir.Constant(INT64, case), block)
            builder.position_at_end(block)
            body()
            builder.branch(done)
        builder.position_at_end(done)


_serial = itertools.count()


def parameters_of(function: Callable[..., None]) -> tuple[str, ...]:
    """The names of what an emitting function takes behind the emitter."""
    return function.__code__.co_varnames[1 : function.__code__.co_argcount]


def emitted(module: ir.Module, name: str, function: Callable[..., None]) -> ir.Function:
    """What ``function(emitter, *arguments)`` emits, as a function of 64-bit integers in the module; made once."""
    body = module.globals.get(name)
    if body is None:
        parameters = parameters_of(function)
        body = ir.Function(module, ir.FunctionType(ir.VoidType(), [INT64] * len(parameters)), name)
        body.linkage = "internal"
        inner = ir.IRBuilder(body.append_basic_block("entry"))
        values = [
            Pointer(inner, inner.inttoptr(argument, FLOAT_POINTER))
            if function.__annotations__[parameter] in (Pointer, "Pointer")
            else Int(inner, argument)
            for argument, parameter in zip(body.args, parameters, strict=True)
        ]
        function(Emitter(inner), *values)
        inner.ret_void()
    return body


def vector_kernel(function: Callable[..., None]) -> Any:
    """Make ``function(emitter, *arguments)`` a word that Numba kernels can call.

    Each parameter is annotated ``Pointer`` or ``Int``; the caller passes integers, which are addresses for a Pointer.
    The code is emitted once for each kernel that uses it, as a function that LLVM may inline.
    """
    parameters = parameters_of(function)
    name = f"{function.__name__}.{next(_serial)}"  # a factory makes many kernels of one name

    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, args: list) -> Any:
        builder.call(emitted(builder.module, name, function), args)
        return context.get_dummy_value()

    # Numba looks at the parameter names of an intrinsic, so it needs a function that really has them.
    scope: dict[str, Any] = {"generate": generate, "signature": types.void(*[types.intp] * len(parameters))}
    exec(f"def {function.__name__}(typingctx, {', '.join(parameters)}):\n    return signature, generate", scope)
    word = scope[function.__name__]
    word.__doc__ = function.__doc__
    return intrinsic(word)


@intrinsic
def take(typingctx, counter):
    """Add 1 to the int64 at an address and return what it was, so that threads take work as they come free."""

    def generate(context: Any, builder: ir.IRBuilder, _signature: Any, args: list) -> ir.Value:
        place = builder.inttoptr(args[0], INT64.as_pointer())
        return builder.atomic_rmw("add", place, ir.Constant(INT64, 1), "monotonic")

    return types.intp(types.intp), generate


def _splat(builder: ir.IRBuilder, scalar: ir.Value, kind: ir.VectorType) -> ir.Value:
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(INT32, kind.count), [0] * kind.count))


def _declare(builder: ir.IRBuilder, name: str, result: ir.Type, arguments: list) -> ir.Function:
    """One of LLVM's own functions."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)
