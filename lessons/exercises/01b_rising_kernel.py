"""Exercise 01b: choose nine weights. `minicnn lesson check 1` checks them."""

import numpy as np


def rising_kernel() -> np.ndarray:
    """A kernel (3, 3) that answers most to rising edges, as in /, and not at all to falling ones, as in \\.

    A plain picture, all of one grey, must get the answer 0.
    """
    raise NotImplementedError
