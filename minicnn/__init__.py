"""minicnn: convolutional networks written to be read, stepped through and measured."""

from minicnn import autograd, functional, nn, optim, random
from minicnn.anomaly import detect_anomaly
from minicnn.creation import from_numpy, ones, randn, zeros
from minicnn.figures.graph import draw_graph
from minicnn.gradcheck import gradcheck
from minicnn.kernels.algorithm import use_algorithm
from minicnn.kernels.compile import set_num_threads
from minicnn.random import manual_seed
from minicnn.tensor import Tensor, is_grad_enabled, no_grad
from minicnn.weights import load, save

__version__ = "0.1.0"

__all__ = [
    "Tensor",
    "autograd",
    "detect_anomaly",
    "draw_graph",
    "from_numpy",
    "functional",
    "gradcheck",
    "is_grad_enabled",
    "load",
    "manual_seed",
    "nn",
    "no_grad",
    "ones",
    "optim",
    "randn",
    "random",
    "save",
    "set_num_threads",
    "use_algorithm",
    "zeros",
]
