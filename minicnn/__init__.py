"""minicnn: convolutional networks written to be read, stepped through and measured."""

from minicnn import autograd, functional, random
from minicnn.anomaly import detect_anomaly
from minicnn.gradcheck import gradcheck
from minicnn.random import manual_seed
from minicnn.tensor import Tensor, is_grad_enabled, no_grad

__version__ = "0.1.0"
