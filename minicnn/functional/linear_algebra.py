"""Products of matrices and their generalisation: matmul and einsum."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.engine import long_sum
from minicnn.functional.arithmetic import result_dtype
from minicnn.tensor import Tensor, as_tensor, make_result


def matmul(input: Any, other: Any) -> Tensor:
    """The matrix product over the last two axes; the axes before them broadcast; a vector acts as a row or a column.

    Raises ValueError, with both shapes, if the inner sizes differ.
    """
    tensors = [as_tensor(input), as_tensor(other)]
    dtype = result_dtype(input, other)
    a, b = (np.asarray(tensor.data, dtype=dtype) for tensor in tensors)
    if not a.ndim or not b.ndim:
        raise ValueError(f"matmul needs at least one axis on each side, but the shapes are {a.shape} and {b.shape}")
    if a.shape[-1] != (b.shape[-2] if b.ndim > 1 else b.shape[0]):
        raise ValueError(
            f"matmul: {a.shape} @ {b.shape}: the last size of the first, {a.shape[-1]}, must equal the "
            f"{'second-last' if b.ndim > 1 else 'only'} size of the second, {b.shape[-2] if b.ndim > 1 else b.shape[0]}"
        )
    # Vectors become matrices of one row or one column, so that one rule serves all cases.
    rows = a if a.ndim > 1 else a[None, :]
    columns = b if b.ndim > 1 else b[:, None]
    needs = [tensor.requires_grad for tensor in tensors]
    a_shape, b_shape = a.shape, b.shape
    kept_rows, kept_columns = (rows if needs[1] else None), (columns if needs[0] else None)

    def backward(gradient: np.ndarray):  # keeps each factor if the other one requires a gradient
        full = gradient
        if len(b_shape) == 1:
            full = full[..., None]
        if len(a_shape) == 1:
            full = full[..., None, :]
        to_a = None if kept_columns is None else full @ np.swapaxes(kept_columns, -1, -2)
        to_b = None if kept_rows is None else np.swapaxes(kept_rows, -1, -2) @ full
        if to_a is not None and len(a_shape) == 1:
            to_a = long_sum(to_a.reshape(-1, a_shape[0]), (0,))
        if to_b is not None and len(b_shape) == 1:
            to_b = long_sum(to_b.reshape(-1, b_shape[0]), (0,))
        return to_a, to_b

    return make_result(a @ b, tensors, backward, "matmul")


def einsum(equation: str, *operands: Any) -> Tensor:
    """The sum of products that `equation` describes, such as "nchw,kc->nkhw" (Einstein's convention, as numpy.einsum).

    "..." stands for axes that broadcast; a letter twice in one operand takes its diagonal; without "->" the result has
    the letters that occur once, in alphabetical order. Raises ValueError for an equation that doesn't fit the shapes.
    """
    tensors = [as_tensor(operand) for operand in operands]
    dtype = result_dtype(*operands)
    arrays = [np.asarray(tensor.data, dtype=dtype) for tensor in tensors]
    inputs, output = _parse(equation, arrays)
    try:
        result = _summed(inputs, output, arrays)
    except ValueError as error:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"einsum {equation!r} does not fit operands of shape {shapes}: {error}") from None
    needs = [tensor.requires_grad for tensor in tensors]

    def backward(gradient: np.ndarray):  # keeps every operand
        gradients: list[np.ndarray | None] = []
        for position, letters in enumerate(inputs):
            if not needs[position]:
                gradients.append(None)
                continue
            others = [k for k in range(len(inputs)) if k != position]
            gradients.append(
                _gradient_of(
                    letters,
                    arrays[position].shape,
                    [output, *(inputs[k] for k in others)],
                    [gradient, *(arrays[k] for k in others)],
                )
            )
        return gradients

    return make_result(result, tensors, backward, "einsum")


def _summed(inputs: list[str], output: str, arrays: list[np.ndarray]) -> np.ndarray:
    """np.einsum, with sums of float32 taken in float64, block by block: a float32 total would stop growing."""
    wide = np.float64 if arrays[0].dtype.kind == "f" else None
    return np.einsum(f"{','.join(inputs)}->{output}", *arrays, dtype=wide, casting="same_kind").astype(
        arrays[0].dtype, copy=False
    )


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _parse(equation: str, arrays: list[np.ndarray]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with letters of their own in place of "..."."""
    left, arrow, output = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(arrays):
        raise ValueError(f"einsum {equation!r} names {len(inputs)} operands, but {len(arrays)} were given")
    reach = max(
        (
            array.ndim - len(term.replace("...", ""))
            for term, array in zip(inputs, arrays, strict=True)
            if "..." in term
        ),
        default=0,
    )
    spare = [letter for letter in _LETTERS if letter not in equation][-reach:] if reach > 0 else []
    broadcast = "".join(spare)
    expanded = []
    for term, array in zip(inputs, arrays, strict=True):
        count = array.ndim - len(term.replace("...", ""))
        if count < 0 or (count > 0 and "..." not in term):
            raise ValueError(f"einsum {equation!r}: {term!r} does not fit an operand of shape {array.shape}")
        expanded.append(term.replace("...", broadcast[len(broadcast) - count :]))
    if arrow:
        return expanded, output.replace("...", broadcast)
    letters = "".join(expanded)
    return expanded, broadcast + "".join(sorted(x for x in set(letters) - set(broadcast) if letters.count(x) == 1))


def _gradient_of(
    letters: str, shape: tuple[int, ...], other_letters: list[str], others: list[np.ndarray]
) -> np.ndarray:
    """The gradient of one operand: the result's gradient times the other operands, summed to this one's letters."""
    unique = "".join(dict.fromkeys(letters))
    available = set("".join(other_letters))
    # Letters that only this operand has were summed over: their gradient is the same along them.
    present = "".join(letter for letter in unique if letter in available)
    # An axis of size 1 that was broadcast against a longer one is summed here.
    partial = _summed(other_letters, present, others)
    sizes = dict(zip(letters, shape, strict=True))
    for axis, letter in enumerate(present):
        if sizes[letter] == 1 and partial.shape[axis] != 1:
            partial = long_sum(partial, (axis,), keepdims=True)
    for axis, letter in enumerate(unique):
        if letter not in available:
            partial = np.expand_dims(partial, axis)
    partial = np.broadcast_to(partial, tuple(sizes[letter] for letter in unique))
    if unique == letters:
        return partial
    result = np.zeros(shape, partial.dtype)  # a repeated letter took a diagonal; all else got no weight
    positions = np.indices(partial.shape)
    result[tuple(positions[unique.index(letter)] for letter in letters)] = partial
    return result
