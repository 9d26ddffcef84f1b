"""Vectors of float32 that fill a register of this processor, as a type of numba with its arithmetic.

LLVM vectorises a loop where it can prove that its arrays do not overlap; a kernel that is written in vectors is one by
itself. Memory is an address, an integer, and an index in numbers from there.
"""

import operator
from collections.abc import Callable

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8
"""Numbers in a vector."""

FLOAT, INT = ir.FloatType(), ir.IntType(64)
REGISTER = ir.VectorType(FLOAT, LANES)


class Vector(types.Type):
    """The type of a vector in numba."""


vector = Vector("vector")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """A vector is one value to LLVM."""

    def __init__(self, manager, kind):
        super().__init__(manager, kind, REGISTER)


def place(builder, address, index, kind):
    """Pointer to a value of a kind, so many floats after an address."""
    first = builder.inttoptr(address, FLOAT.as_pointer())
    return builder.bitcast(builder.gep(first, [index]), kind.as_pointer())


def loaded(builder, address, index, kind=REGISTER):
    """The value there, which need not be aligned to its size."""
    value = builder.load(place(builder, address, index, kind))
    value.align = 4
    return value


def stored(builder, address, index, value) -> None:
    """Writes a value there."""
    builder.store(value, place(builder, address, index, value.type)).align = 4


def repeated(builder, number):
    """The vector that holds a number in every lane."""
    nothing, index = ir.Constant(REGISTER, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(nothing, number, ir.Constant(index, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(index, LANES), [0] * LANES))


def of_llvm(builder, name: str, arguments):
    """Calls a function of vectors that LLVM has itself."""
    kind = ir.FunctionType(REGISTER, [REGISTER] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32"), arguments)


@intrinsic
def load(context, address, index):
    """The vector at an address."""
    return vector(types.int64, types.int64), lambda context, builder, signature, given: loaded(builder, *given)


@intrinsic
def store(context, address, index, value):
    """Writes a vector to an address."""

    def write(context, builder, signature, given):
        stored(builder, *given)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, vector), write


@intrinsic
def repeat(context, number):
    """The vector that holds a number in every lane."""
    return vector(types.float32), lambda context, builder, signature, given: repeated(builder, *given)


@intrinsic
def multiply_add(context, x, y, z):
    """x y + z, lane by lane, in one rounding."""
    code = lambda context, builder, signature, given: of_llvm(builder, "fma", given)
    return vector(vector, vector, vector), code


@intrinsic
def within(context, x, bound):
    """x, lane by lane, where it is below -bound or above bound replaced by these; nan stays nan."""

    def code(context, builder, signature, given):
        x, bound = given
        for limit, beyond in ((bound, ">"), (builder.fneg(bound), "<")):
            x = builder.select(builder.fcmp_ordered(beyond, x, limit), limit, x)
        return x

    return vector(vector, vector), code


def define(symbol: Callable, instruction: str) -> None:
    """Gives two vectors one of Python's operators."""
    code = lambda context, builder, signature, given: getattr(builder, instruction)(*given)
    call = intrinsic(lambda context, x, y: (vector(vector, vector), code))

    def of_vectors(x, y):
        return (lambda x, y: call(x, y)) if x is vector and y is vector else None

    overload(symbol, inline="always")(of_vectors)


define(operator.add, "fadd")
define(operator.sub, "fsub")
define(operator.mul, "fmul")
define(operator.truediv, "fdiv")
