"""Vector registers as values: a small matrix that lives in the processor's registers while a kernel adds to it.

A processor multiplies and adds whole vectors: 16 float32 numbers at once with AVX-512, 8 with AVX2, 4 elsewhere. Plain
Numba loops reach those instructions only if LLVM finds them, and even then the sums go out to memory and come back at
every step. Here the sums are one Numba value, a *register tile* of ROWS x columns numbers that LLVM keeps in registers:

                    columns: one vector ("narrow") or two ("wide")
                  +-----------------------------+
     scalar 0  -> |  sums of row 0              |
     scalar 1  -> |  sums of row 1              |      multiply_add: every row gets
        ...       |      ...                    |      row += its scalar * the vectors
     scalar 7  -> |  sums of row 7              |
                  +-----------------------------+
                     ^ the vectors, shared by all rows

One step loads 8 scalars and 2 vectors and makes 16 vector multiply-adds: that ratio is the whole trick, as a processor
can load no more vectors in a cycle than it can multiply and add.

Each operation stands here twice. The Python function defines the operation, and runs under NUMBA_DISABLE_JIT=1: a
tile is then a small NumPy array that a debugger can show, and every offset is checked. Below stands its form in a
compiled kernel: a few LLVM instructions, which check *nothing*. Offsets count elements from the start of a C-contiguous
array of any shape.
"""

import platform

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import lower_builtin, models, register_model, type_callable

ROWS = 8  # eight sums in flight hide the four cycles that a multiply-add takes, on two units


def _host_registers() -> tuple[int, int]:
    """How many bytes a vector register of this machine holds, and how many vectors wide a tile can be."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 2
    if features.get("avx2"):
        return 32, 1  # 16 registers only: a tile of 8 x 2 vectors would not leave any for its operands
    return 16, 2 if platform.machine().lower() in ("aarch64", "arm64") else 1


VECTOR_BYTES, _WIDE_VECTORS = _host_registers()


def narrow_columns(dtype) -> int:
    """How many numbers of `dtype` one vector holds: the columns of a narrow tile."""
    return VECTOR_BYTES // np.dtype(dtype).itemsize


def wide_columns(dtype) -> int:
    """The columns of a wide tile: two vectors where the machine has 32 registers, else one."""
    return _WIDE_VECTORS * narrow_columns(dtype)


# ---------------------------------------------------------------------------------------------------------------------
# What a tile is to Numba: an LLVM array of ROWS * vectors vectors. LLVM takes the array apart, one register a vector.


class Tile(types.Type):
    """The Numba type of a tile: the element type and how many vectors a row has."""

    def __init__(self, dtype, vectors):
        self.dtype = dtype
        self.vectors = vectors
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        self.columns = self.lanes * vectors
        super().__init__(name=f"Tile({dtype}, {ROWS} x {vectors} x {self.lanes})")


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager, tile):
        vector = ir.VectorType(manager[tile.dtype].get_value_type(), tile.lanes)
        super().__init__(manager, tile, ir.ArrayType(vector, ROWS * tile.vectors))


_ROW_OFFSETS = types.UniTuple(types.intp, ROWS)


def element_pointer(context, builder, array_type, array, offset):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


def _vector_pointer(context, builder, array_type, array, offset, tile, vector):
    """The address of vector number `vector` of a row of the tile that begins at `offset`."""
    offset = builder.add(offset, offset.type(vector * tile.lanes))
    element = element_pointer(context, builder, array_type, array, offset)
    return builder.bitcast(element, context.get_value_type(tile).element.as_pointer())


def element_bytes(array_type):
    return array_type.dtype.bitwidth // 8  # the alignment that is certain: a vector may begin at any element


# ---------------------------------------------------------------------------------------------------------------------


def narrow_tile(array: np.ndarray, offset: int) -> np.ndarray:
    """A tile one vector wide, every row of which is the vector that begins at `offset` in `array`."""
    return np.tile(read(array, offset, narrow_columns(array.dtype)), (ROWS, 1))


def wide_tile(array: np.ndarray, offset: int) -> np.ndarray:
    """A wide tile, every row of which is the `wide_columns` numbers that begin at `offset` in `array`."""
    return np.tile(read(array, offset, wide_columns(array.dtype)), (ROWS, 1))


@type_callable(narrow_tile)
def _type_narrow_tile(context):
    return lambda array, offset: Tile(array.dtype, 1)


@type_callable(wide_tile)
def _type_wide_tile(context):
    return lambda array, offset: Tile(array.dtype, _WIDE_VECTORS)


@lower_builtin(narrow_tile, types.Array, types.intp)
@lower_builtin(wide_tile, types.Array, types.intp)
def _lower_tile(context, builder, signature, arguments):
    tile, array_type = signature.return_type, signature.args[0]
    array, offset = arguments
    result = ir.Constant(context.get_value_type(tile), ir.Undefined)
    for vector in range(tile.vectors):
        pointer = _vector_pointer(context, builder, array_type, array, offset, tile, vector)
        value = builder.load(pointer, align=element_bytes(array_type))
        for row in range(ROWS):
            result = builder.insert_value(result, value, row * tile.vectors + vector)
    return result


# ---------------------------------------------------------------------------------------------------------------------


def multiply_add(tile, scalars, rows, step, vectors, place):
    """The tile with `scalars[rows[r] + step]` times the numbers that begin at `vectors[place]` added to each row r."""
    columns = read(vectors, place, tile.shape[1])
    return np.stack([sums + read(scalars, row + step, 1) * columns for sums, row in zip(tile, rows, strict=True)])


@type_callable(multiply_add)
def _type_multiply_add(context):
    return lambda tile, scalars, rows, step, vectors, place: tile


@lower_builtin(multiply_add, Tile, types.Array, _ROW_OFFSETS, types.intp, types.Array, types.intp)
def _lower_multiply_add(context, builder, signature, arguments):
    tile, scalars_type, _, _, vectors_type, _ = signature.args
    result, scalars, rows, step, vectors, place = arguments
    # Nothing may be loaded for this step before the last one is over. Otherwise LLVM unrolls the loop around a step,
    # loads for two steps at once, runs out of registers and keeps numbers on the stack in the innermost loop; in some
    # processes, and we do not know why only in some, that loop then took 2.5 times as long.
    builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], side_effect=True)
    vector_type = context.get_value_type(tile).element
    # llvmlite's declare_intrinsic knows no vector types, so the instruction is declared by its full name. fmuladd is
    # one instruction where the machine has a fused one, and two (not a library call) where it has none.
    name = f"llvm.fmuladd.v{tile.lanes}f{tile.dtype.bitwidth}"
    function_type = ir.FunctionType(vector_type, [vector_type] * 3)
    fused = cgutils.get_or_insert_function(builder.module, function_type, name)
    columns = [
        builder.load(
            _vector_pointer(context, builder, vectors_type, vectors, place, tile, vector),
            align=element_bytes(vectors_type),
        )
        for vector in range(tile.vectors)
    ]
    for row in range(ROWS):
        start = element_pointer(context, builder, scalars_type, scalars, builder.extract_value(rows, row))
        scalar = builder.load(builder.gep(start, [step]))
        repeated = repeat(builder, scalar, vector_type)
        for vector, column in enumerate(columns):
            index = row * tile.vectors + vector
            total = builder.call(fused, [repeated, column, builder.extract_value(result, index)])
            result = builder.insert_value(result, total, index)
    return result


def repeat(builder, scalar, vector_type):
    """A vector with `scalar` in every lane."""
    nothing = ir.Constant(vector_type, ir.Undefined)
    lane_0 = builder.insert_element(nothing, scalar, ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), vector_type.count), [0] * vector_type.count)
    return builder.shuffle_vector(lane_0, nothing, lanes)


# ---------------------------------------------------------------------------------------------------------------------


def store(tile, target, rows, columns):
    """Write the first `columns` numbers of row r of the tile to `target[rows[r] :]`, for every r."""
    for sums, row in zip(tile, rows, strict=True):
        read(target, row, columns)[:] = sums[:columns]


def add(tile, target, rows):
    """Add row r of the tile to the numbers at `target[rows[r] :]`, for every r."""
    for sums, row in zip(tile, rows, strict=True):
        read(target, row, len(sums))[:] += sums


@type_callable(store)
def _type_store(context):
    return lambda tile, target, rows, columns: types.none


@type_callable(add)
def _type_add(context):
    return lambda tile, target, rows: types.none


@lower_builtin(store, Tile, types.Array, _ROW_OFFSETS, types.intp)
def _lower_store(context, builder, signature, arguments):
    tile, align = signature.args[0], element_bytes(signature.args[1])
    columns = arguments[3]
    whole = builder.icmp_signed("==", columns, columns.type(tile.columns))
    with builder.if_else(whole, likely=True) as (all_columns, some):
        with all_columns:
            for sums, pointer, _ in _vectors(context, builder, signature, arguments):
                builder.store(sums, pointer, align=align)
        with some:
            for sums, pointer, first in _vectors(context, builder, signature, arguments):
                _store_lanes(builder, sums, pointer, builder.sub(columns, columns.type(first)), align)
    return context.get_dummy_value()


@lower_builtin(add, Tile, types.Array, _ROW_OFFSETS)
def _lower_add(context, builder, signature, arguments):
    align = element_bytes(signature.args[1])
    for sums, pointer, _ in _vectors(context, builder, signature, arguments):
        builder.store(builder.fadd(builder.load(pointer, align=align), sums), pointer, align=align)
    return context.get_dummy_value()


def _vectors(context, builder, signature, arguments):
    """Each vector of the tile, the address of its place in the target, and the number of its first column."""
    tile, target_type = signature.args[:2]
    result, target, rows = arguments[:3]
    # A tile wants nearly all registers: its function must not be inlined where other values want them too.
    builder.function.attributes.add("noinline")
    for row in range(ROWS):
        start = builder.extract_value(rows, row)
        for vector in range(tile.vectors):
            pointer = _vector_pointer(context, builder, target_type, target, start, tile, vector)
            yield builder.extract_value(result, row * tile.vectors + vector), pointer, vector * tile.lanes


def _store_lanes(builder, vector, pointer, count, align):
    """Write the first `count` lanes of a vector, none if it is negative and all if it is large, and nothing else."""
    vector_type, i1, i32 = vector.type, ir.IntType(1), ir.IntType(32)
    numbers = ir.Constant(ir.VectorType(count.type, vector_type.count), list(range(vector_type.count)))
    mask = builder.icmp_signed("<", numbers, repeat(builder, count, numbers.type))
    name = f"llvm.masked.store.v{vector_type.count}f{align * 8}.p0v{vector_type.count}f{align * 8}"
    arguments = [vector_type, pointer.type, i32, ir.VectorType(i1, vector_type.count)]
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), arguments), name)
    builder.call(function, [vector, pointer, i32(align), mask])


def positive(tile):
    """The tile with 0 in place of every negative number; NaN stays NaN."""
    return np.where(tile < 0, tile.dtype.type(0), tile)


@type_callable(positive)
def _type_positive(context):
    return lambda tile: tile


@lower_builtin(positive, Tile)
def _lower_positive(context, builder, signature, arguments):
    (tile,), (result,) = signature.args, arguments
    for index in range(ROWS * tile.vectors):
        value = builder.extract_value(result, index)
        zero = ir.Constant(value.type, [0.0] * tile.lanes)
        negative = builder.fcmp_ordered("<", value, zero)
        result = builder.insert_value(result, builder.select(negative, zero, value), index)
    return result


# ---------------------------------------------------------------------------------------------------------------------


def row_offsets(table, first, last, base):
    """`base + table[first : first + ROWS]` as a tuple, with `table[last]` in place of all that comes after it.

    A tile at the end of the work repeats its last row instead of needing a case of its own.
    """
    return tuple(base + int(read(table, min(first + row, last), 1)[0]) for row in range(ROWS))


@type_callable(row_offsets)
def _type_row_offsets(context):
    return lambda table, first, last, base: _ROW_OFFSETS


@lower_builtin(row_offsets, types.Array, types.intp, types.intp, types.intp)
def _lower_row_offsets(context, builder, signature, arguments):
    table, first, last, base = arguments
    result = ir.Constant(context.get_value_type(_ROW_OFFSETS), ir.Undefined)
    for row in range(ROWS):
        index = builder.add(first, first.type(row))
        index = builder.select(builder.icmp_signed("<", index, last), index, last)
        value = builder.load(element_pointer(context, builder, signature.args[0], table, index))
        result = builder.insert_value(result, builder.add(base, value), row)
    return result


def element(array, offset):
    """The number at `offset`. Plain indexing would first ask whether the index is negative, at half the speed."""
    return read(array, offset, 1)[0]


@type_callable(element)
def _type_element(context):
    return lambda array, offset: array.dtype


@lower_builtin(element, types.Array, types.intp)
def _lower_element(context, builder, signature, arguments):
    return builder.load(element_pointer(context, builder, signature.args[0], *arguments))


# ---------------------------------------------------------------------------------------------------------------------


def copy(source, first, target, offset, count):
    """Copy `count` numbers from `first` on in `source` to `offset` in `target`, an array of the same type."""
    read(target, offset, count)[:] = read(source, first, count)


@type_callable(copy)
def _type_copy(context):
    return lambda source, first, target, offset, count: types.none


@lower_builtin(copy, types.Array, types.intp, types.Array, types.intp, types.intp)
def _lower_copy(context, builder, signature, arguments):
    source_type, _, target_type, _, _ = signature.args
    source, first, target, offset, count = arguments
    source_pointer = element_pointer(context, builder, source_type, source, first)
    target_pointer = element_pointer(context, builder, target_type, target, offset)
    cgutils.raw_memcpy(builder, target_pointer, source_pointer, count, element_bytes(source_type))
    return context.get_dummy_value()


def clear(target, offset, count):
    """Set the `count` numbers that begin at `offset` to zero."""
    read(target, offset, count)[:] = 0


@type_callable(clear)
def _type_clear(context):
    return lambda target, offset, count: types.none


@lower_builtin(clear, types.Array, types.intp, types.intp)
def _lower_clear(context, builder, signature, arguments):
    target, offset, count = arguments
    written = element_pointer(context, builder, signature.args[0], target, offset)
    size = builder.mul(count, count.type(element_bytes(signature.args[0])))
    cgutils.memset(builder, written, size, 0)
    return context.get_dummy_value()


# ---------------------------------------------------------------------------------------------------------------------


def read(array: np.ndarray, offset: int, count: int) -> np.ndarray:
    """A view of `count` elements from `offset`; raises IndexError if any of them lies outside the array."""
    if not array.flags.c_contiguous:
        raise ValueError("array must be C-contiguous: offsets count elements in memory order")
    if offset < 0 or offset + count > array.size:
        raise IndexError(
            f"offset: elements {offset} to {offset + count - 1} of an array of {array.size} (shape {array.shape})"
        )
    return array.reshape(-1)[offset : offset + count]
