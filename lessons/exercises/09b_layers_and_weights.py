"""Exercise 09b: count the layers and weights of a residual network. Checked by `minicnn lesson check 9`."""


def layers_and_weights(blocks: int, width: int, classes: int) -> tuple[int, int]:
    """(layers, weights) of a residual network for small colour pictures: layers, and trainable numbers.

        a 3x3 convolution from 3 colours to `width` channels, and a batch norm
        stage 1: `blocks` blocks of `width` channels
        stage 2: `blocks` blocks of 2 * width channels
        stage 3: `blocks` blocks of 4 * width channels
        a linear layer with biases, from 4 * width to `classes`

    A block has two 3x3 convolutions, each with a batch norm; its shortcut has no weights. Convolutions have no biases.
    A batch norm trains a scale and a shift for each channel. Layers are counted as in the paper: convolutions and
    linear layers. The first block of stages 2 and 3 gets the channels of the stage before.
    """
    raise NotImplementedError
