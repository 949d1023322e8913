"""Stopping where numbers went wrong: a loss, or weights, that are not finite any more."""

import numpy as np

from minicnn.nn import Module
from minicnn.optim import Optimizer
from minicnn.tensor import Tensor

_ADVICE = (
    "try a smaller learning rate, a warm-up or max_gradient_norm=1.0; to see where it begins, run the step inside "
    "minicnn.detect_anomaly()"
)


def check_loss(value: Tensor, epoch: int, batch: int, optimizer: Optimizer) -> float:
    """The loss as a float. Raises FloatingPointError if the loss is not finite, ValueError if `value` is not a single
    number."""
    if value.data.size != 1:
        raise ValueError(f"the loss must be one number, but has the shape {value.shape}; use reduction='mean'")
    loss = float(value.data)
    if not np.isfinite(loss):
        rates = ", ".join(f"{group['lr']:g}" for group in optimizer.param_groups)
        raise FloatingPointError(
            f"the loss is {loss} in epoch {epoch + 1}, batch {batch + 1} (learning rate {rates}); {_ADVICE}"
        )
    return loss


def check_weights(model: Module, epoch: int) -> None:
    """Raises FloatingPointError, with its name, if a parameter or buffer is not finite: no checkpoint may hold such
    values."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.dtype.kind == "f" and not np.isfinite(tensor.data).all():
            raise FloatingPointError(
                f"{name} holds values that are not finite in epoch {epoch + 1}, and was not saved; {_ADVICE}"
            )
