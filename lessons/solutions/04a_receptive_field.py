"""A solution of exercise 04a."""


def receptive_field(windows: list[tuple[int, int]]) -> int:
    """The side of the receptive field, in pixels, after a row of windows, each a pair (kernel, stride)."""
    side, step = 1, 1
    for kernel, stride in windows:
        side += (kernel - 1) * step  # each further place of the window adds one step
        step *= stride
    return side
