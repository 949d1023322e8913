"""MyGrad in the measurements: convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad
import numpy as np
from mygrad.nnet.layers import conv_nd

from minicnn.bench.cases import BOTH, Convolution


def start(threads: int) -> None:
    """NumPy's BLAS takes its threads from the environment."""


def variants(case: Any) -> list[str]:
    """Every square convolution whose windows end at the edge: MyGrad refuses to leave pixels over."""
    if isinstance(case, Convolution) and (case.side + 2 * case.padding - case.kernel) % case.stride == 0:
        return ["mygrad"]
    return []


def prepare(case: Convolution, variant: str) -> dict[str, Callable[[], Any]]:
    """Forward and backward, on arrays in C order."""
    pixels, weight, gradient = case.arrays(case.batch)
    image, output_gradient = (np.ascontiguousarray(array.transpose(0, 3, 1, 2)) for array in (pixels, gradient))

    def both() -> None:
        result = conv_nd(mygrad.tensor(image), mygrad.tensor(weight), stride=case.stride, padding=case.padding)
        result.backward(output_gradient)

    return {BOTH: both}
