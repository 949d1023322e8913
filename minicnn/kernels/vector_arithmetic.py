"""One vector register as a number: loaded, added, scaled and stored, with + - * as for any other number.

vector.py keeps a whole matrix of sums in registers. Here one register is a value of its own, for arithmetic that does
the same thing to each of 16 neighbouring channels (8 with AVX2, 4 elsewhere). What is written for single numbers,

    def middle(left, right):
        return 0.5 * (left + right)

then works on vectors too, in Python (a vector is a NumPy array there) and in compiled kernels (a few instructions),
and on whole numbers and fractions, which is how tests prove the formulas of winograd_transforms.py.

As in vector.py, offsets count elements from the start of a C-contiguous array, and compiled code checks nothing.
"""

import operator

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import lower_builtin, models, register_model, type_callable

from minicnn.kernels.vector import VECTOR_BYTES, narrow_columns

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


def _pointer(context, builder, array_type, array, offset, vector):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), context.get_value_type(vector).as_pointer())


# ---------------------------------------------------------------------------------------------------------------------


def load(array, offset):
    """The vector that begins at `offset` in `array`."""
    return _lanes(array, offset).copy()


@type_callable(load)
def _type_load(context):
    return lambda array, offset: Vector(array.dtype)


@lower_builtin(load, types.Array, types.intp)
def _lower_load(context, builder, signature, arguments):
    array_type = signature.args[0]
    array, offset = arguments
    pointer = _pointer(context, builder, array_type, array, offset, signature.return_type)
    return builder.load(pointer, align=array_type.dtype.bitwidth // 8)


def save(vector, array, offset):
    """Write the vector to `array[offset :]`."""
    _lanes(array, offset)[:] = vector


@type_callable(save)
def _type_save(context):
    return lambda vector, array, offset: types.none


@lower_builtin(save, Vector, types.Array, types.intp)
def _lower_save(context, builder, signature, arguments):
    vector_type, array_type, _ = signature.args
    vector, array, offset = arguments
    pointer = _pointer(context, builder, array_type, array, offset, vector_type)
    builder.store(vector, pointer, align=array_type.dtype.bitwidth // 8)
    return context.get_dummy_value()


def at_least(vector, bound):
    """The vector with `bound` in place of every number below it."""
    return np.where(vector < bound, vector.dtype.type(bound), vector)


@type_callable(at_least)
def _type_at_least(context):
    return lambda vector, bound: vector


@lower_builtin(at_least, Vector, types.Float)
def _lower_at_least(context, builder, signature, arguments):
    vector, bound = arguments[0], _repeat(context, builder, signature.args[1], arguments[1], signature.args[0])
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
    return builder.fmul(_repeat(context, builder, factor_type, factor, vector_type), vector, flags=_CONTRACT)


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


def _repeat(context, builder, number_type, number, vector_type):
    """A vector with `number`, rounded to the vector's type, in every lane."""
    number = context.cast(builder, number, number_type, vector_type.dtype)
    nothing = ir.Constant(context.get_value_type(vector_type), ir.Undefined)
    lane_0 = builder.insert_element(nothing, number, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector_type.lanes), [0] * vector_type.lanes)
    return builder.shuffle_vector(lane_0, nothing, lanes)


def _lanes(array: np.ndarray, offset: int) -> np.ndarray:
    """A view of one vector from `offset` on; raises IndexError if any of it lies outside the array."""
    count = narrow_columns(array.dtype)
    if not array.flags.c_contiguous:
        raise ValueError("array must be C-contiguous: offsets count elements in memory order")
    if offset < 0 or offset + count > array.size:
        raise IndexError(f"offset: elements {offset} to {offset + count - 1} of an array of {array.size}")
    return array.reshape(-1)[offset : offset + count]
