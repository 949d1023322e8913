"""A tile of vector registers: the compiled instructions do what their Python twins say, and the twins check offsets."""

import os
import platform
import re
import subprocess
import sys

import numba
import numpy as np
import pytest

from minicnn.kernels.compiling.compile import compile
from minicnn.kernels.memory import aligned
from minicnn.kernels.registers import vector
from minicnn.kernels.registers.vector import (
    ROWS,
    add,
    clear,
    copy,
    element,
    multiply_add,
    narrow_columns,
    narrow_tile,
    positive,
    row_offsets,
    store,
    wide_columns,
    wide_tile,
)


def two_steps_wide(start, scalars, table, vectors, target, columns):
    rows = row_offsets(table, 1, 6, 2)
    tile = wide_tile(start, 2)
    tile = multiply_add(tile, scalars, rows, 3, vectors, 0)
    tile = multiply_add(tile, scalars, rows, element(table, 0), vectors, 5)
    store(positive(tile), target, row_offsets(table, 0, 99, 4), columns)
    add(tile, target, row_offsets(table, 0, 99, 4))


two_steps_wide_compiled = compile(two_steps_wide)


def two_steps_narrow(start, scalars, table, vectors, target, columns):
    rows = row_offsets(table, 1, 6, 2)
    tile = narrow_tile(start, 2)
    tile = multiply_add(tile, scalars, rows, 3, vectors, 0)
    tile = multiply_add(tile, scalars, rows, element(table, 0), vectors, 5)
    store(positive(tile), target, row_offsets(table, 0, 99, 4), columns)
    add(tile, target, row_offsets(table, 0, 99, 4))


two_steps_narrow_compiled = compile(two_steps_narrow)


def copy_and_clear(source, target):
    copy(source, 2, target, 1, 5)
    clear(target, 3, 2)
    clear(target, 0, 0)


copy_and_clear_compiled = compile(copy_and_clear)


def operands(dtype):
    rng = np.random.default_rng(7)
    table = np.arange(100) * 40 + 7  # 40: more than a row of any tile, so that stored rows stay apart
    scalars = rng.standard_normal(5000).astype(dtype)
    start, vectors = rng.standard_normal((2, 80)).astype(dtype)
    return start, scalars, table, vectors


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["wide", "narrow"])
def test_compiled_tile_and_its_python_twin_give_the_sums_of_the_definition(dtype, kind):
    start, scalars, table, vectors = operands(dtype)
    columns = (wide_columns if kind == "wide" else narrow_columns)(dtype)
    expected = np.full(5000, -1.0)
    for row in range(ROWS):
        place = table[min(1 + row, 6)]  # past number 6 of the table, its place is repeated
        for column in range(columns):
            total = np.float64(start[2 + column])
            total += np.float64(scalars[place + 2 + 3]) * np.float64(vectors[column])
            total += np.float64(scalars[place + 2 + table[0]]) * np.float64(vectors[5 + column])
            expected[table[row] + 4 + column] = max(total, 0) + total
    function = two_steps_wide if kind == "wide" else two_steps_narrow
    compiled = two_steps_wide_compiled if kind == "wide" else two_steps_narrow_compiled
    for run in (function, compiled):
        target = np.full(5000, -1, dtype)
        run(start, scalars, table, vectors, target, columns)
        np.testing.assert_allclose(target, expected, rtol=0, atol=10 * np.finfo(dtype).eps)
        assert (target[expected == -1] == -1).all(), "wrote outside its rows"


def first_columns(start, table, target, columns):
    store(wide_tile(start, 0), target, row_offsets(table, 0, 99, 0), columns)


first_columns_compiled = compile(first_columns)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("store_columns", [first_columns, first_columns_compiled])
def test_a_store_of_some_columns_leaves_what_lies_behind_them(dtype, store_columns):
    start, _, table, _ = operands(dtype)
    for columns in range(wide_columns(dtype) + 1):
        target = np.full(1000, -1, dtype)
        store_columns(start, table, target, columns)
        expected = np.full(1000, -1, dtype)
        for place in table[:ROWS]:
            expected[place : place + columns] = start[:columns]
        np.testing.assert_array_equal(target, expected)


def many_steps(start, scalars, rows, count, steps, depth, vectors, target, lines, base):
    for row in range(0, count, ROWS):
        places = row_offsets(rows, row, count - 1, 0)
        tile = wide_tile(start, 0)
        for step in range(depth):
            tile = multiply_add(tile, scalars, places, element(steps, step), vectors, step * 32)
        store(tile, target, row_offsets(lines, row, count - 1, base), 32)


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="reads x86 instructions")
@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="reads compiled code")
def test_the_innermost_loop_makes_one_step_and_leaves_the_stack_alone():
    numbers, table = np.zeros(4096, np.float32), np.zeros(64, np.int64)
    kernel = numba.njit(many_steps)
    kernel(numbers, numbers, table, 8, table, 4, numbers, numbers, table, 0)
    (assembly,) = kernel.inspect_asm().values()
    blocks = [b for b in re.split(r"\n(?=\.LBB)", assembly) if len(re.findall(r"vfmadd|mulps", b)) >= ROWS]
    blocks = [
        b[: max(m.end() for m in re.finditer(r"vfmadd|mulps", b))] for b in blocks
    ]  # without what follows the loop
    assert blocks
    vectors = wide_columns(np.float32) // narrow_columns(np.float32)
    for block in blocks:
        assert len(re.findall(r"vfmadd|mulps", block)) == ROWS * vectors
        assert not re.search(r"[xyz]mm\d+, -?\d*\(%r[sb]p\)", block)


def positive_tile(numbers, table, target, columns):
    store(positive(narrow_tile(numbers, 0)), target, row_offsets(table, 0, 7, 0), columns)


positive_tile_compiled = compile(positive_tile)


@pytest.mark.parametrize("run", [positive_tile, positive_tile_compiled])
def test_positive_keeps_nan_and_infinity_as_relu_does(run):
    numbers = np.resize(np.array([np.nan, -np.inf, np.inf, -1, 2, -np.nan, -1e-40, 0], np.float32), 64)
    target = np.full(8 * 64, -7, np.float32)
    run(numbers, np.arange(8) * 64, target, narrow_columns(np.float32))
    columns = narrow_columns(np.float32)
    wanted = np.resize(np.array([np.nan, 0, np.inf, 0, 2, np.nan, 0, 0], np.float32), columns)
    for row in target.reshape(8, 64):
        np.testing.assert_array_equal(row[:columns], wanted)
        assert (row[columns:] == -7).all()


def test_aligned_arrays_begin_at_a_cache_line():
    for shape, dtype in (((3, 5), np.float32), ((7,), np.float64), ((200, 300), np.float32), ((0,), np.float32)):
        array = aligned(shape, dtype)
        assert (array.shape, array.dtype) == (shape, dtype)
        assert array.size == 0 or array.ctypes.data % 64 == 0
        array[...] = 1


def test_copy_and_clear_touch_their_elements_only():
    for run in (copy_and_clear, copy_and_clear_compiled):
        target = np.full(9, -1, np.float32)
        run(np.arange(10, dtype=np.float32).reshape(2, 5), target)
        np.testing.assert_array_equal(target, [-1, 2, 3, 0, 0, 6, -1, -1, -1])


def test_a_vector_is_as_long_as_a_register_of_the_machine():
    assert narrow_columns(np.float32) == vector.VECTOR_BYTES // 4
    assert narrow_columns(np.float64) * 2 == narrow_columns(np.float32)
    assert wide_columns(np.float32) in (narrow_columns(np.float32), 2 * narrow_columns(np.float32))


@pytest.mark.parametrize(
    "use",
    [
        lambda a, table: narrow_tile(a, a.size - narrow_columns(a.dtype) + 1),
        lambda a, table: wide_tile(a, -1),
        lambda a, table: multiply_add(narrow_tile(a, 0), a, row_offsets(table, 0, 7, 0), a.size, a, 0),
        lambda a, table: multiply_add(narrow_tile(a, 0), a, row_offsets(table, 0, 7, 0), -8, a, 0),
        lambda a, table: multiply_add(narrow_tile(a, 0), a, row_offsets(table, 0, 7, 0), 0, a, a.size),
        lambda a, table: store(narrow_tile(a, 0), a, row_offsets(table, 0, 7, a.size), 1),
        lambda a, table: add(narrow_tile(a, 0), a, row_offsets(table, 0, 7, -8)),
        lambda a, table: row_offsets(table, 1, 8, 0),
        lambda a, table: row_offsets(table, -1, 7, 0),
        lambda a, table: element(a, a.size),
        lambda a, table: copy(a, 0, a[:5].copy(), 1, 5),
        lambda a, table: copy(a, a.size - 1, a.copy(), 0, 2),
        lambda a, table: clear(a, a.size, 1),
    ],
)
def test_every_twin_checks_its_offsets(use):
    table = np.arange(8)
    with pytest.raises(IndexError, match="offset: elements"):
        use(np.ones(64, np.float32), table)


def test_twins_refuse_an_array_whose_memory_order_is_not_its_own():
    with pytest.raises(ValueError, match="C-contiguous"):
        element(np.ones((8, 8), np.float32).T, 0)


def test_kernels_with_tiles_run_in_python_when_compilation_is_off():
    script = (
        "from tests_vector import *\n"
        "assert two_steps_wide_compiled is two_steps_wide\n"
        "start, scalars, table, vectors = operands(np.float32)\n"
        "target = np.zeros(5000, np.float32)\n"
        "two_steps_wide_compiled(start, scalars, table, vectors, target, wide_columns(np.float32))\n"
        "assert type(wide_tile(start, 0)) is np.ndarray and target.any()\n"
    )
    loader = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('tests_vector', {__file__!r})\n"
        "sys.modules['tests_vector'] = module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", loader + script], check=True, env=environment, timeout=120)
