"""The kernels: arrays in, arrays out. All loops that cost time are here, and nothing here knows of Tensor.

The map. Within a folder, read the files in this order:

    convolution/          geometry.py       stride, padding, dilation, groups: made once, handed down to every loop
                          reference.py      seven plain loops, forward and backward: read this first of all
                          algorithm.py      use_algorithm("reference"), and which one is in force
                          dispatch.py       the one place that chooses an algorithm
                          im2col.py         the matrix of patches, built, times the weights (depthwise.py: groups of 1)
                          direct.py         the same product without building the matrix
                          direct_plan.py      its tables: which numbers each window reads
                          direct_weights.py   its weight gradient
      winograd/           transforms.py     where the matrices come from
                          plain.py          the algorithm in a few lines of NumPy
                          winograd.py       the fast form; units.py, tiles.py, outputs.py and weights.py are its loops
    registers/            plain.py          the contents of a register tile, in NumPy
                          vector.py         a tile of sums as a Numba value; arithmetic.py: one vector as a number
                          microkernel.py    sums of products in a tile; transposition.py packs weights for it
    pooling/              the largest number or the mean of each window
    pointwise/            element by element: ReLU, sums of two, the steps of the optimisers
    normalization.py      sums and scales of channels        softmax.py, resize.py, matrix.py     as they are called
    layout.py             (N, C, H, W) outside, channels last in memory; shapes.py: sizes of results
    memory.py             large arrays are used again
    compiling/            the one way a kernel is compiled and cached, and its threads

One convolution, forward through the rung `direct`:

    functional.conv2d -> dispatch.conv2d -> direct.conv2d -> direct_plan.plan        tables, kept for the next call
                                                          -> _convolve -> convolve_units         compiled, all threads
                                                               -> _pack_weights                  once
                                                               -> _convolve_block                a unit, a block
                                                                    -> microkernel.products_in_runs -> multiply_add

and backward: the input gradient is direct.conv2d_input_gradient, the same path with other tables; the weight gradient
is direct.conv2d_weight_gradient -> direct_weights.sum_weight_gradient -> weight_gradient_parts -> _sum_pieces
-> microkernel.outer_products. docs/kernels.md walks along this path with a 4x4 image in numbers, and docs/glossary.md
has the words.

A kernel is a plain function, compiled on the line below it; with NUMBA_DISABLE_JIT=1 all of them run as Python.
"""
