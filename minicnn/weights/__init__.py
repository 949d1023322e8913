"""Files of weights: what is written and read, how they get into a network, and what is known of them."""

from minicnn.weights.atomic import check_writable, make_folder, write_atomically
from minicnn.weights.files import load, load_metadata, load_with_metadata, open_weights, save
from minicnn.weights.information import WeightsInformation
from minicnn.weights.loading import adapt_input_channels, information_of, load_weights
from minicnn.weights.nested import flatten, unflatten
from minicnn.weights.stored import WeightFile
from minicnn.weights.torchvision_files import obtain_pretrained, pretrained

__all__ = [
    "WeightFile",
    "WeightsInformation",
    "adapt_input_channels",
    "check_writable",
    "flatten",
    "information_of",
    "load",
    "load_metadata",
    "load_weights",
    "load_with_metadata",
    "make_folder",
    "obtain_pretrained",
    "open_weights",
    "pretrained",
    "save",
    "unflatten",
    "write_atomically",
]
