"""A product x P of few rows with a wide matrix, computed in registers, block by block (Goto and van de Geijn, 2008,
"Anatomy of high-performance matrix multiplication").

A block is ROWS rows of x and one panel of P, VECTORS vectors wide: its sums stay in registers while the inner axis is
walked once. P is packed, so that this walk reads one panel from its first number to its last. A sum has the same order
whatever the block it is in: a row's product does not depend on the rows beside it.
"""

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from rnnjax.gradients.fused.vectors import FLOAT, INT, LANES, REGISTER, loaded, of_llvm, repeated, stored

VECTORS = 4
"""Vectors in the width of a panel: one for each gate of an LSTM."""

WIDTH = VECTORS * LANES

ROWS = 6 if LANES == 16 else 2
"""Rows of a block, so that its sums, a row of the panel and one number fit in the 32 registers of AVX-512, or in 16."""


def block(rows: int):
    """Makes the product of so many rows: sums[r, :] = x[r, :] P, added to the sums where `add` is not zero."""

    @intrinsic
    def product(context, x, stride, panel, length, sums, add):
        def code(context, builder, signature, given):
            x, stride, panel, length, sums, add = given
            number, zero = lambda n: ir.Constant(INT, n), ir.Constant(REGISTER, [0.0] * LANES)
            adds = builder.icmp_signed("!=", add, number(0))
            starts = [builder.mul(stride, number(r)) for r in range(rows)]
            before, body, after = builder.block, *(builder.append_basic_block(name) for name in ("step", "end"))
            builder.branch(body)
            builder.position_at_end(body)
            k = builder.phi(INT)
            held = [[builder.phi(REGISTER) for _ in range(VECTORS)] for _ in range(rows)]
            first = builder.mul(k, number(WIDTH))
            row = [loaded(builder, panel, builder.add(first, number(v * LANES))) for v in range(VECTORS)]
            new = []
            for r in range(rows):
                factor = repeated(builder, loaded(builder, x, builder.add(starts[r], k), FLOAT))
                new.append([of_llvm(builder, "fma", [factor, row[v], held[r][v]]) for v in range(VECTORS)])
            following = builder.add(k, number(1))
            k.add_incoming(number(0), before)
            k.add_incoming(following, body)
            for r in range(rows):
                for v in range(VECTORS):
                    held[r][v].add_incoming(zero, before)
                    held[r][v].add_incoming(new[r][v], body)
            builder.cbranch(builder.icmp_signed("<", following, length), body, after)
            builder.position_at_end(after)
            for r in range(rows):
                for v in range(VECTORS):
                    index = number(r * WIDTH + v * LANES)
                    before = builder.select(adds, loaded(builder, sums, index), zero)
                    stored(builder, sums, index, builder.fadd(before, new[r][v]))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6), code

    return product


one, two, three, four, five, six = (block(rows) for rows in range(1, 7))


CHUNK = 128
"""Numbers of the inner axis that are summed one after the other; the sums of chunks are added, for less rounding."""


@njit
def product(rows, x, stride, panel, length, sums):
    """sums[r, :] = Σₖ x[r·stride + k] panel[k, :] for rows of x, from 1 to ROWS.

    Args:
      x: address of the rows, float32.
      panel: address of [length, WIDTH], float32.
      sums: address of [ROWS, WIDTH], float32.
    """
    for k in range(0, length, CHUNK):
        here, below, numbers = x + 4 * k, panel + 4 * k * WIDTH, min(CHUNK, length - k)
        if rows == 6:
            six(here, stride, below, numbers, sums, k)
        elif rows == 5:
            five(here, stride, below, numbers, sums, k)
        elif rows == 4:
            four(here, stride, below, numbers, sums, k)
        elif rows == 3:
            three(here, stride, below, numbers, sums, k)
        elif rows == 2:
            two(here, stride, below, numbers, sums, k)
        else:
            one(here, stride, below, numbers, sums, k)
