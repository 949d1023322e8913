"""A solution of exercise 04b."""


def far_and_cheap() -> list[tuple[int, int, int]]:
    """Strides first, so that every later layer sees 8 pixels more for 1/16 of the price; channels at the end."""
    return [(3, 2, 8), (3, 2, 16), (3, 1, 16), (3, 1, 16), (3, 1, 16), (3, 1, 32)]
