"""Exercise 15b: mend a race. Checked by `minicnn lesson check 15`, watched, and compiled on all threads.

This loop gives wrong sums on several threads:

    sums = np.zeros(x.shape[1], x.dtype)
    for m in prange(x.shape[0]):
        for c in range(x.shape[1]):
            sums[c] += x[m, c]
    return sums
"""

import numpy as np
from numba import prange


def mended_sums(x: np.ndarray) -> np.ndarray:
    """The sums (C,) over the rows of x (M, C), by a prange loop whose turns may run at the same time.

    The result must have the same bits on one thread and on many. So neither the number of threads nor the order of the
    turns may decide which numbers are added to which. x may have any number of rows, even one. The sums have x's type.

    Two ways lead there. Ask which loop's turns could own the cells that they write. Or cut the rows into a fixed number
    of parts, such as 8; give each part a row of sums of its own in an array (8, C); and add up these 8 rows afterwards.
    """
    raise NotImplementedError
