"""Data sets, loaders and transforms: NumPy arrays in, NumPy arrays out."""

from minicnn.data import transforms
from minicnn.data.catalogue import create, list
from minicnn.data.cifar import CIFAR10, CIFAR100
from minicnn.data.dataset import ConcatDataset, Dataset, Subset, TensorDataset, collate
from minicnn.data.folder import ImageFolder, Imagenette, read_image
from minicnn.data.image_set import channel_statistics
from minicnn.data.loader import DataLoader, ImageBatches
from minicnn.data.mixing import cutmix, mixup
from minicnn.data.mnist import KMNIST, MNIST, FashionMNIST
from minicnn.data.partworld import PartWorld, PartWorldScenes
from minicnn.data.sampling import (
    KPerClassSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    WeightedRandomSampler,
    class_balanced_weights,
)
from minicnn.data.split import k_per_class, stratified_split

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "KMNIST",
    "MNIST",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "FashionMNIST",
    "ImageBatches",
    "ImageFolder",
    "Imagenette",
    "KPerClassSampler",
    "PartWorld",
    "PartWorldScenes",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "TensorDataset",
    "WeightedRandomSampler",
    "channel_statistics",
    "class_balanced_weights",
    "collate",
    "create",
    "cutmix",
    "k_per_class",
    "list",
    "mixup",
    "read_image",
    "stratified_split",
    "transforms",
]
