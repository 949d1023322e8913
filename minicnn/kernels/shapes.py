"""How large the result of a convolution or of a pooling is, along one axis."""


def convolution_output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """The number of places along one axis where a dilated kernel fits into a padded input; may be zero or negative.

    A kernel of `kernel` taps, `dilation` apart, covers dilation * (kernel - 1) + 1 pixels. The caller raises if the
    result is not positive, because the caller knows the names of the arguments.
    """
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def pooling_output_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """The number of pooling windows along one axis; may be zero or negative.

    With `ceil_mode` a last window may reach over the padded end, but it must start inside the input or its left
    padding: a window that would start in the right padding is dropped, as PyTorch does.
    """
    if not ceil_mode:
        return convolution_output_size(size, kernel, stride, padding, dilation)
    windows = (size + 2 * padding - dilation * (kernel - 1) - 1 + stride - 1) // stride + 1
    if (windows - 1) * stride >= size + padding:
        windows -= 1
    return windows
