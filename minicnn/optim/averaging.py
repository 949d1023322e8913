"""An exponential moving average of a model's weights: smoother than the last step, and often better.

Source: Polyak and Juditsky 1992; the form with a constant decay is that of Tarvainen and Valpola 2017, equation 2.
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
    """A copy of `model`, in `.module`, whose weights are the average of those that `model` had at every update.

        average = decay * average + (1 - decay) * weights         (the first update copies)

    `.module` is frozen and in evaluation mode. With `use_buffers` the running statistics of batch norm are averaged
    too, else copied; integers are always copied. Raises ValueError unless 0 <= decay < 1.
    """

    def __init__(self, model: Module, decay: float = 0.999, use_buffers: bool = True):
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in [0, 1), but is {decay}")
        self.module = copy.deepcopy(model).freeze()
        self.decay, self.use_buffers, self.n_averaged = decay, use_buffers, 0

    def update_parameters(self, model: Module) -> None:
        """Take in the present weights of `model`; call it after every step of the optimiser."""
        buffers = {id(buffer) for buffer in self.module.buffers()}
        for average, present in self._pairs(model):
            copied = average.dtype.kind != "f" or (not self.use_buffers and id(average) in buffers)
            if copied or self.n_averaged == 0:
                average.data[...] = present.data
            else:
                average.data += (1 - self.decay) * (present.data - average.data)
        self.n_averaged += 1

    @contextlib.contextmanager
    def swapped_in(self, model: Module) -> Iterator[Module]:
        """While this is open, `model` has the averaged weights; afterwards its own again, bit for bit."""
        pairs = self._pairs(model)
        _swap(pairs)
        try:
            yield model
        finally:
            _swap(pairs)

    def state_dict(self) -> dict[str, Any]:
        """The averages and how many updates they hold, as copies."""
        return {"n_averaged": self.n_averaged, "module": self.module.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what state_dict() returned. Raises ValueError if it is of another model."""
        self.module.load_state_dict(state["module"])
        self.n_averaged = int(state["n_averaged"])

    def _pairs(self, model: Module) -> list[tuple[Tensor, Tensor]]:
        """(average, present value) of every parameter and buffer; raises ValueError for another model."""
        averages, present = ([*m.named_parameters(), *m.named_buffers()] for m in (self.module, model))
        if [(name, tensor.shape) for name, tensor in averages] != [(name, tensor.shape) for name, tensor in present]:
            raise ValueError("the model's parameters are not those of the model that the average was made for")
        return [(average, value) for (_, average), (_, value) in zip(averages, present, strict=True)]


def _swap(pairs: list[tuple[Tensor, Tensor]]) -> None:
    for average, present in pairs:
        kept: np.ndarray = average.data
        average.data, present.data = present.data, kept
