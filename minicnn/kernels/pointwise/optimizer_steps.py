"""The update rules of the optimisers, element by element: one pass over memory for each parameter.

In NumPy each line of a rule is a pass of its own, over arrays that no cache holds. All arrays here are flat, (M,), and
of one dtype, and so are the settings, lest float32 be widened: a running mean that keeps the share beta of itself gets
the `share` 1 - beta of what is new. `sign` is -1 to maximise. The formulas, with their sources, stand in optim/.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from minicnn.kernels.compiling.compile import compile


def sgd(parameter, gradient, velocity, first, lr, momentum, share, weight_decay, nesterov, sign):
    """One step of SGD; `velocity` is written if `momentum` is not 0, and read too unless this is the `first` step."""
    for i in prange(parameter.size):
        step = sign * gradient[i]
        if weight_decay != 0:
            step += weight_decay * parameter[i]
        if momentum != 0:
            velocity[i] = step if first else momentum * velocity[i] + share * step
            step = step + momentum * velocity[i] if nesterov else velocity[i]
        parameter[i] -= lr * step


sgd_compiled = compile(sgd, parallel=True)


class AdamSettings(NamedTuple):
    """The settings of one step of Adam, all of the parameter's dtype."""

    lr: np.floating  # divided by the first mean's correction
    share1: np.floating  # 1 - beta1
    share2: np.floating  # 1 - beta2
    root_correction: np.floating  # the square root of the second mean's correction
    eps: np.floating
    weight_decay: np.floating
    shrink: np.floating  # lr * weight_decay, by which AdamW shrinks a parameter
    sign: np.floating


def adam(parameter, gradient, mean, square, largest, settings):
    """One step of Adam; `largest` is empty without amsgrad."""
    lr, share1, share2, root_correction, eps, weight_decay, shrink, sign = settings
    for i in prange(parameter.size):
        step = sign * gradient[i]
        if weight_decay != 0:
            step += weight_decay * parameter[i]
        mean[i] += share1 * (step - mean[i])
        square[i] += share2 * (step * step - square[i])
        scale = square[i]
        if largest.size != 0:
            largest[i] = max(largest[i], scale)
            scale = largest[i]
        parameter[i] -= shrink * parameter[i]
        parameter[i] -= lr * mean[i] / (np.sqrt(scale) / root_correction + eps)


adam_compiled = compile(adam, parallel=True)


class RMSpropSettings(NamedTuple):
    """The settings of one step of RMSprop, all of the parameter's dtype."""

    lr: np.floating
    share: np.floating  # 1 - alpha
    eps: np.floating
    weight_decay: np.floating
    momentum: np.floating
    sign: np.floating


def rmsprop(parameter, gradient, square, mean, velocity, settings):
    """One step of RMSprop; `mean` is empty unless it is centred, and `velocity` counts if `momentum` is not 0."""
    lr, share, eps, weight_decay, momentum, sign = settings
    for i in prange(parameter.size):
        step = sign * gradient[i]
        if weight_decay != 0:
            step += weight_decay * parameter[i]
        square[i] += share * (step * step - square[i])
        variance = square[i]
        if mean.size != 0:
            mean[i] += share * (step - mean[i])
            variance -= mean[i] * mean[i]
        step /= np.sqrt(variance) + eps
        if momentum != 0:
            velocity[i] = momentum * velocity[i] + step
            step = velocity[i]
        parameter[i] -= lr * step


rmsprop_compiled = compile(rmsprop, parallel=True)
