"""PartWorld: generated pictures that come with their edges, textures, parts and objects.

composition.py has the table of families and classes. separation.json, beside it, records over three seeds which models
can learn them and which can't; `minicnn partworld --measure` makes this file.
"""

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
