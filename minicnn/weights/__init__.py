"""Files of weights: writing, reading, loading into a network, and the information about them.

    load, save                  arrays by name in .safetensors and .npz; load reads PyTorch's .pth too (files.py)
    open_weights                the table of contents of a file, whose arrays are read later (stored.py)
    load_weights                a file into a network, with renaming, adaptation and a report (loading.py)
    WeightsInformation          the preparation of images, the classes, the licence (information.py)
    pretrained, downloadable    the table of torchvision's sets of weights (torchvision_files.py)
    shipped                     the weights that come with minicnn (shipped_files.py)
    flatten, unflatten          nested states, such as an optimiser's, as arrays and JSON (nested.py)

A file may be malicious: nothing in a file is run, and its memory is bounded. Most users need only `load` and `save`:
create(name, weights="file.pth"), which makes a network by its name, does the rest.
"""

from minicnn.weights.files import load, load_metadata, load_with_metadata, open_weights, save
from minicnn.weights.information import WeightsInformation
from minicnn.weights.loading import adapt_input_channels, information_of, load_weights
from minicnn.weights.nested import flatten, unflatten
from minicnn.weights.shipped_files import shipped, shipped_path
from minicnn.weights.stored import WeightFile
from minicnn.weights.torchvision_files import downloadable, obtain_pretrained, pretrained

__all__ = [
    "WeightFile",
    "WeightsInformation",
    "adapt_input_channels",
    "downloadable",
    "flatten",
    "information_of",
    "load",
    "load_metadata",
    "load_weights",
    "load_with_metadata",
    "obtain_pretrained",
    "open_weights",
    "pretrained",
    "save",
    "shipped",
    "shipped_path",
    "unflatten",
]
