"""minicnn: convolutional networks written to be read, stepped through and measured."""

from minicnn import autograd, backbones, data, functional, nn, optim, random, training
from minicnn.anomaly import detect_anomaly
from minicnn.creation import from_numpy, ones, randn, zeros
from minicnn.figures.graph import draw_graph
from minicnn.functional import argmax, concat, einsum, matmul, maximum, minimum, stack, where
from minicnn.grad_mode import enable_grad, is_grad_enabled, no_grad
from minicnn.gradcheck import gradcheck
from minicnn.kernels.compiling.compile import set_num_threads
from minicnn.kernels.convolution.algorithm import use_algorithm
from minicnn.random import manual_seed
from minicnn.tensor import Tensor
from minicnn.trace import trace_window
from minicnn.weights import load, save

__version__ = "0.1.0"

__all__ = [
    "Tensor",
    "argmax",
    "autograd",
    "backbones",
    "concat",
    "data",
    "detect_anomaly",
    "draw_graph",
    "einsum",
    "enable_grad",
    "from_numpy",
    "functional",
    "gradcheck",
    "is_grad_enabled",
    "load",
    "manual_seed",
    "matmul",
    "maximum",
    "minimum",
    "nn",
    "no_grad",
    "ones",
    "optim",
    "randn",
    "random",
    "save",
    "set_num_threads",
    "stack",
    "trace_window",
    "training",
    "use_algorithm",
    "where",
    "zeros",
]
