"""Optimisers, learning-rate schedules, clipping and weight averaging; names, settings and update rules as in torch.optim."""

from minicnn.optim.optimizer import Optimizer as Optimizer
from minicnn.optim.sgd import SGD as SGD
