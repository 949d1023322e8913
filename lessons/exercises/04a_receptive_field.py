"""Exercise 04a: how far does one output see? `minicnn lesson check 4` checks it."""


def receptive_field(windows: list[tuple[int, int]]) -> int:
    """The side, in pixels, of the field of one output behind a row of windows, each a pair (kernel, stride).

    The windows stand in the order in which a picture goes through them; poolings count as they are, with their kernel
    and stride. Two numbers must be remembered on the way: how many pixels a place sees, and how many pixels lie from
    one place to the next. A pixel sees itself.
    """
    raise NotImplementedError
