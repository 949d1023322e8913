"""Exercise 08b: how wide may the map between two 3x3 kernels be? `minicnn lesson check 8` checks it."""


def widest_middle(in_channels: int, out_channels: int) -> int:
    """The most channels between two 3x3 convolutions that have no more weights than one 5x5 convolution.

    Both ways lead from `in_channels` to `out_channels`; biases don't count. Write down the weights of either way with
    m channels in the middle, and ask for which whole number m the two 3x3 are still not the larger ones.
    """
    raise NotImplementedError
