"""A solution of exercise 09b."""


def layers_and_weights(blocks: int, width: int, classes: int) -> tuple[int, int]:
    """(layers, weights) of a residual network for small colour pictures: layers, and trainable numbers."""
    layers, weights, channels = 1, 9 * 3 * width + 2 * width, width
    for out_channels in (width, 2 * width, 4 * width):
        for _ in range(2 * blocks):
            layers += 1
            weights += 9 * channels * out_channels + 2 * out_channels
            channels = out_channels
    return layers + 1, weights + channels * classes + classes
