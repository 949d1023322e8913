"""One vector register as a number: loaded, added, scaled and stored, with + - * as for any other number.

vector.py keeps a whole matrix of sums in registers. Here one register is a value of its own, for arithmetic that does
the same thing to each of 16 neighbouring channels (8 with AVX2, 4 elsewhere). A function of single numbers, such as

    def middle(left, right):
        return 0.5 * (left + right)

then works on vectors too, in Python (a vector is a NumPy array there) and in compiled kernels (a few instructions),
and on whole numbers and fractions, which is how tests prove the formulas of transforms.py.

As in vector.py, offsets count elements from the start of a C-contiguous array, and compiled code checks nothing.
"""

import operator

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import lower_builtin, models, register_model, type_callable

from minicnn.kernels.registers.vector import VECTOR_BYTES, element_bytes, element_pointer, narrow_columns, read, repeat

_CONTRACT = ("contract",)  # a product and a sum may become one multiply-add


class Vector(types.Type):
    """The Numba type of one vector register full of numbers of type `dtype`."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype} x {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, ir.VectorType(manager[vector.dtype].get_value_type(), vector.lanes))


def vector_pointer(context, builder, array_type, array, offset, vector):
    """The address of the numbers from `offset` on, as that of a register of the Numba type `vector`."""
    element = element_pointer(context, builder, array_type, array, offset)
    return builder.bitcast(element, context.get_value_type(vector).as_pointer())


# ---------------------------------------------------------------------------------------------------------------------


def load(array, offset):
    """The vector that begins at `offset` in `array`."""
    return read(array, offset, narrow_columns(array.dtype)).copy()


@type_callable(load)
def _type_load(context):
    return lambda array, offset: Vector(array.dtype)


@lower_builtin(load, types.Array, types.intp)
def _lower_load(context, builder, signature, arguments):
    array_type = signature.args[0]
    array, offset = arguments
    pointer = vector_pointer(context, builder, array_type, array, offset, signature.return_type)
    return builder.load(pointer, align=element_bytes(array_type))


def save(vector, array, offset):
    """Write the vector to `array[offset :]`; an array of integers gets the whole parts of the numbers."""
    read(array, offset, len(vector))[:] = vector


@type_callable(save)
def _type_save(context):
    return lambda vector, array, offset: types.none


@lower_builtin(save, Vector, types.Array, types.intp)
def _lower_save(context, builder, signature, arguments):
    vector_type, array_type, _ = signature.args
    vector, array, offset = arguments
    pointer = element_pointer(context, builder, array_type, array, offset)
    if isinstance(array_type.dtype, types.Integer):
        vector = builder.fptosi(vector, ir.VectorType(pointer.type.pointee, vector_type.lanes))
    builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer()), align=element_bytes(array_type))
    return context.get_dummy_value()


def if_larger(value, best, new, old):
    """In each lane the number of `new` if `value` is larger than `best` there, or NaN, else that of `old`."""
    return np.where((value > best) | (value != value), new, old)


@type_callable(if_larger)
def _type_if_larger(context):
    return lambda value, best, new, old: value if value == best == new == old else None


@lower_builtin(if_larger, Vector, Vector, Vector, Vector)
def _lower_if_larger(context, builder, signature, arguments):
    value, best, new, old = arguments
    larger, nan = builder.fcmp_ordered(">", value, best), builder.fcmp_unordered("uno", value, value)
    return builder.select(builder.or_(larger, nan), new, old)


def at_least(vector, bound):
    """The vector with `bound` in place of every number below it."""
    return np.where(vector < bound, vector.dtype.type(bound), vector)


@type_callable(at_least)
def _type_at_least(context):
    return lambda vector, bound: vector


@lower_builtin(at_least, Vector, types.Float)
def _lower_at_least(context, builder, signature, arguments):
    vector, bound = arguments[0], _in_every_lane(context, builder, signature.args[1], arguments[1], signature.args[0])
    return builder.select(builder.fcmp_ordered("<", vector, bound), bound, vector)


# ---------------------------------------------------------------------------------------------------------------------


@type_callable(operator.add)
@type_callable(operator.sub)
def _type_sum(context):
    return lambda left, right: left if isinstance(left, Vector) and left == right else None


@lower_builtin(operator.add, Vector, Vector)
def _lower_add(context, builder, signature, arguments):
    return builder.fadd(*arguments, flags=_CONTRACT)


@lower_builtin(operator.sub, Vector, Vector)
def _lower_subtract(context, builder, signature, arguments):
    return builder.fsub(*arguments, flags=_CONTRACT)


@type_callable(operator.mul)
def _type_scaled(context):
    return lambda factor, vector: vector if isinstance(factor, types.Float) and isinstance(vector, Vector) else None


@lower_builtin(operator.mul, types.Float, Vector)
def _lower_scale(context, builder, signature, arguments):
    factor_type, vector_type = signature.args
    factor, vector = arguments
    return builder.fmul(_in_every_lane(context, builder, factor_type, factor, vector_type), vector, flags=_CONTRACT)


def stay_apart():
    """Keep LLVM from copying the function that calls this into its callers: it would be compiled again in each."""


@type_callable(stay_apart)
def _type_stay_apart(context):
    return lambda: types.none


@lower_builtin(stay_apart)
def _lower_stay_apart(context, builder, signature, arguments):
    builder.function.attributes.add("noinline")
    return context.get_dummy_value()


# ---------------------------------------------------------------------------------------------------------------------


def _in_every_lane(context, builder, number_type, number, vector_type):
    """A vector with `number`, rounded to the vector's type, in every lane."""
    number = context.cast(builder, number, number_type, vector_type.dtype)
    return repeat(builder, number, context.get_value_type(vector_type))
