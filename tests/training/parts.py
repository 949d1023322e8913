"""A run small enough to be repeated often, with everything that draws random numbers or keeps a state."""

import numpy as np

from minicnn import nn, optim
from minicnn.data import DataLoader, TensorDataset
from minicnn.data.transforms import RandomHorizontalFlip
from minicnn.random import manual_seed


def dataset(size=26, seed=0):
    """Pictures (size, 1, 6, 5) of three classes that differ in brightness and are easily told apart."""
    labels = np.arange(size) % 3
    noise = np.random.default_rng(seed).random((size, 1, 6, 5))
    return TensorDataset((0.2 * noise + labels[:, None, None, None] / 3).astype(np.float32), labels)


def loader(size=26, batch_size=4, **options):
    return DataLoader(dataset(size), batch_size, **{"shuffle": True, "transform": RandomHorizontalFlip(), **options})


def small_model(seed=0, channels=3):
    """Convolution, batch norm (buffers), dropout (random numbers) and a linear layer."""
    manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(4 * channels, 3),
    )


def sgd(model, lr=0.05, momentum=0.9):
    return optim.SGD(model.parameters(), lr=lr, momentum=momentum)


def bits(model):
    """All weights and buffers as bytes, by name."""
    return {name: array.tobytes() for name, array in model.state_dict().items()}


def without_seconds(records):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]
