"""The processor's limit: a loop of multiply-adds that touches registers only, on all threads.

A multiply-add takes about four cycles until its result can be used, and a processor begins one or two in each. Only
many that don't wait for each other keep it busy: here CHAINS vectors, each multiplied by the same factor and added to,
again and again. No memory is read in the loop, so no program of multiply-adds is faster.
"""

# Numba infers the types of compiled functions; llvmlite has none.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import prange
from numba.core import cgutils, types
from numba.extending import intrinsic

from minicnn.kernels.compiling.compile import compile
from minicnn.kernels.registers.vector import narrow_columns, wide_columns

LANES = narrow_columns(np.float32)
CHAINS = 24 if wide_columns(np.float32) > LANES else 12  # of 32 registers, or of 16: two hold the factor and the addend
STEPS = 1_000_000


@intrinsic
def multiply_add_chains(typing_context, values, first, steps):
    """Do `steps` times: each of the CHAINS vectors that begin at `values[first]` becomes itself * 0.5 + 1."""
    signature = types.none(values, types.intp, types.intp)

    def generate(context, builder, signature, arguments):
        array, first, steps = arguments
        vector = ir.VectorType(ir.FloatType(), LANES)
        fused = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{LANES}f32"
        )
        data = context.make_array(signature.args[0])(context, builder, array).data
        start = builder.bitcast(builder.gep(data, [first]), vector.as_pointer())
        places = [builder.gep(start, [first.type(chain)]) for chain in range(CHAINS)]
        chains = [cgutils.alloca_once_value(builder, builder.load(place, align=4)) for place in places]
        factor, addend = ir.Constant(vector, [0.5] * LANES), ir.Constant(vector, [1.0] * LANES)
        with cgutils.for_range(builder, steps):
            for chain in chains:  # LLVM turns these stack slots into registers
                builder.store(builder.call(fused, [builder.load(chain), factor, addend]), chain)
        for place, chain in zip(places, chains, strict=True):
            builder.store(builder.load(chain), place, align=4)
        return context.get_dummy_value()

    return signature, generate


def _run_chains(values, steps):
    """Run the chains of every row of `values` (threads, CHAINS * LANES), one row a thread."""
    length = values.shape[1]
    for row in prange(values.shape[0]):
        multiply_add_chains(values, row * length, steps)  # type: ignore[call-arg]  # the context is Numba's to give


_run_chains_compiled = compile(_run_chains, parallel=True)


def run_peak(threads: int) -> np.ndarray:
    """The chains' values (threads, CHAINS * LANES) after STEPS steps; `flop(threads)` says how much that was."""
    values = np.arange(threads * CHAINS * LANES, dtype=np.float32).reshape(threads, CHAINS * LANES)
    _run_chains_compiled(values, STEPS)
    return values


def flop(threads: int) -> float:
    """The operations of one `run_peak`, a multiply-add counted as two."""
    return 2.0 * threads * STEPS * CHAINS * LANES
