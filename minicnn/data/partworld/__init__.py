"""PartWorld: generated pictures that come with their edges, textures, parts and objects."""

from minicnn.data.partworld.composition import FAMILIES, HUES, ORIENTATIONS, PARTS, SPLITS, TEXTURES, Family
from minicnn.data.partworld.dataset import PartTruth, PartWorld
from minicnn.data.partworld.scenes import PartWorldScenes

__all__ = [
    "FAMILIES",
    "HUES",
    "ORIENTATIONS",
    "PARTS",
    "SPLITS",
    "TEXTURES",
    "Family",
    "PartTruth",
    "PartWorld",
    "PartWorldScenes",
]
