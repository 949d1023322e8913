"""Exercise 08b: how wide may the map between two 3x3 kernels be? Checked by `minicnn lesson check 8`."""


def widest_middle(in_channels: int, out_channels: int) -> int:
    """The largest number of channels between two 3x3 convolutions that have no more weights than one 5x5 convolution.

    Both lead from `in_channels` to `out_channels`; biases don't count. Write down the number of weights of either, with
    m channels in the middle. For which largest whole number m do the two 3x3 convolutions not have more?
    """
    raise NotImplementedError
