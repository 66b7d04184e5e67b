"""Dot products of rows with rows, ``C = A B^T + bias``, read where they lie: nothing is packed.

The product of :mod:`.gemm` broadcasts single floats of A and needs B in panels. Where the rows of both are contiguous,
as in a linear layer, and A has so few that packing B would not pay, the lanes of a vector are neighbours *in the sum*::

                    b[j, k:], b[j + 1, k:], ... : 4 rows, a vector of each, loaded one after the other
                    +---------+
    a[i,     k:] -> | s s s s |     ROWS x 4 registers of sums
    a[i + 1, k:] -> | s s s s |
    a[i + 2, k:] -> | s s s s |
                    +---------+

A step loads ``ROWS + 4`` vectors for ``4 ROWS`` fused multiply-adds: 7 for 12 with AVX2, 10 for 24 with AVX-512. At the
end the lanes of each sum are added up, four sums at once: with rows of 512 floats that is 3 % of the work, with rows of
64 a fifth. Four rows of B stay in L1 while all tiles of A pass by, from L2.
"""

from __future__ import annotations

from typing import Any

from .vector import LANES, Emitter, Int, Pointer, Vec, lane_sums, vector_kernel

ROWS = 6 if LANES == 16 else 3
"""Rows of A in a tile: ``4 ROWS`` sums, ``ROWS`` vectors of A and one of B fill the registers."""

COLUMNS = 4
"""Rows of B in a tile."""


@vector_kernel
def row_products(
    emit: Emitter,
    a: Pointer,
    a_row: Int,
    b: Pointer,
    b_row: Int,
    bias: Pointer,
    c: Pointer,
    c_row: Int,
    rows: Int,
    columns: Int,
    length: Int,
) -> None:
    """``C[i, j] = sum(A[i] * B[j]) + bias[j]``, with rows of ``length`` floats in A and B.

    Of the bias, whole vectors are read.
    """
    whole = length.quotient(LANES)
    mask, has_rest = emit.mask(length - whole * LANES), emit.minimum(length - whole * LANES, 1)

    def tile(height: int, width: int, a: Pointer, b: Pointer, bias: Pointer, c: Pointer) -> None:
        def step(mask: Any) -> Any:
            def add(_: Int, values: list) -> list:
                a, b, *sums = values
                of_a = [(a + a_row * i).load(mask) for i in range(height)]
                for j in range(width):
                    of_b = (b + b_row * j).load(mask)
                    for i in range(height):
                        sums[i * width + j] = of_a[i] * of_b + sums[i * width + j]
                return [a + LANES, b + LANES, *sums]

            return add

        begin: list[Any] = [a, b, *[emit.zero()] * (height * width)]
        sums: list[Vec] = emit.loop(has_rest, emit.loop(whole, begin, step(None)), step(mask))[2:]
        for i in range(height):
            some, place = sums[i * width : (i + 1) * width], c + c_row * i
            if width == COLUMNS:
                place.store_four(lane_sums(some) + bias.load())
            else:
                for j, one in enumerate(some):
                    (place + j).store_first(one.sum_of_lanes() + (bias + j).load())

    def down(width: int, b: Pointer, bias: Pointer, c: Pointer) -> None:
        def full(_: Int, values: list) -> list:
            a, c = values
            tile(ROWS, width, a, b, bias, c)
            return [a + a_row * ROWS, c + c_row * ROWS]

        tiles = rows.quotient(ROWS)
        a_rest, c_rest = emit.loop(tiles, [a, c], full)
        cases = {n: lambda n=n: tile(n, width, a_rest, b, bias, c_rest) for n in range(1, ROWS)}
        emit.choose(rows - tiles * ROWS, cases)

    def across(_: Int, values: list) -> list:
        b, bias, c = values
        down(COLUMNS, b, bias, c)
        return [b + b_row * COLUMNS, bias + COLUMNS, c + COLUMNS]

    groups = columns.quotient(COLUMNS)
    rest = emit.loop(groups, [b, bias, c], across)
    emit.choose(columns - groups * COLUMNS, {n: lambda n=n: down(n, *rest) for n in range(1, COLUMNS)})
