"""Exercise 04a: how far does one output see? Checked by `minicnn lesson check 4`."""


def receptive_field(windows: list[tuple[int, int]]) -> int:
    """The side, in pixels, of the receptive field of one output after a row of windows, each a pair (kernel, stride).

    The windows stand in the order in which a picture passes through them. A pooling counts like a convolution, with its
    kernel and stride. Remember two numbers on the way: how many pixels one place sees, and how many pixels lie between
    one place and the next. A pixel sees itself.
    """
    raise NotImplementedError
