"""An exponential moving average of a model's weights: smoother than the last step, and often better.

Source: Polyak and Juditsky 1992; Tarvainen and Valpola 2017, equation 2, for the form with a constant decay.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minicnn.nn.module import Module
from minicnn.tensor import Tensor


class ExponentialMovingAverage:
    """A copy of `model`, in `.module`, whose weights are the average of the weights of `model` at every update.

        average = decay * average + (1 - decay) * weights         (the first update copies)

    `.module` is frozen and in evaluation mode. With `use_buffers` the running statistics of batch norm are averaged
    too; otherwise they are copied. Integers are always copied. Raises ValueError unless 0 <= decay < 1.
    """

    def __init__(self, model: Module, decay: float = 0.999, use_buffers: bool = True):
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), but is {decay}")
        self.module = copy.deepcopy(model).freeze()
        self.decay, self.use_buffers, self.n_averaged = decay, use_buffers, 0
        self._swapped_in: Module | None = None

    def update_parameters(self, model: Module) -> None:
        """Add the present weights of `model` to the average; call this after every step of the optimiser.

        Raises RuntimeError inside `swapped_in`, where `model` holds the average itself.
        """
        if self._swapped_in is not None:
            raise RuntimeError("update_parameters() must not be called inside swapped_in(): the weights are swapped")
        buffers = {id(buffer) for buffer in self.module.buffers()}
        for average, present in self._pairs(model):
            copied = average.dtype.kind != "f" or (not self.use_buffers and id(average) in buffers)
            if copied or self.n_averaged == 0:
                average.copy_(present)
            else:
                average.data += (1 - self.decay) * (present.data - average.data)
        self.n_averaged += 1

    @contextlib.contextmanager
    def swapped_in(self, model: Module) -> Iterator[Module]:
        """While this is open, `model` has the averaged weights; afterwards its own weights again, bit for bit.

        Inside another `swapped_in` of the same model this changes nothing: the average is there already. Raises
        RuntimeError if another model has the average at present.
        """
        if self._swapped_in is model:
            yield model
            return
        if self._swapped_in is not None:
            raise RuntimeError("swapped_in: another model has the averaged weights; leave its block first")
        pairs = self._pairs(model)
        _swap(pairs)
        self._swapped_in = model
        try:
            yield model
        finally:
            _swap(pairs)
            self._swapped_in = None

    def state_dict(self) -> dict[str, Any]:
        """Copies of the averages, and the number of updates in them."""
        return {"n_averaged": self.n_averaged, "module": self.module.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that state_dict() returned. Raises ValueError if the state is of another model."""
        self.module.load_state_dict(state["module"])
        self.n_averaged = int(state["n_averaged"])

    def _pairs(self, model: Module) -> list[tuple[Tensor, Tensor]]:
        """(average, present value) of every parameter and buffer; raises ValueError for another model."""
        averages, present = ([*m.named_parameters(), *m.named_buffers()] for m in (self.module, model))
        if [(name, tensor.shape) for name, tensor in averages] != [(name, tensor.shape) for name, tensor in present]:
            raise ValueError(
                "model must have the parameters of the model that the average was made for, but names or shapes differ"
            )
        return [(average, value) for (_, average), (_, value) in zip(averages, present, strict=True)]


def _swap(pairs: list[tuple[Tensor, Tensor]]) -> None:
    for average, present in pairs:
        kept: np.ndarray = average.data
        average.data, present.data = present.data, kept
