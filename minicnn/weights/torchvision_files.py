"""The table of torchvision's files: names, addresses, first digits of their SHA-256, the preparation of their images.

Figures are torchvision's own, on the validation set of ImageNet. Source: https://pytorch.org/vision (BSD licence).
Users must judge for themselves whether ImageNet's terms apply to weights that were trained on ImageNet.
"""

import functools
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from minicnn.data.download import RemoteFile, data_folders, obtain
from minicnn.weights.information import WeightsInformation

SOURCES = ("https://download.pytorch.org/models/",)
LICENCE = "BSD 3-Clause (torchvision); trained on ImageNet, whose terms may apply"
SUBFOLDER = "weights"  # of the cache

# The first eight digits of the SHA-256 are part of each name.
#        model     set              file                resize  acc@1   acc@5
_FILES = (
    ("vgg11", "IMAGENET1K_V1", "vgg11-8a719046", 256, 69.020, 88.628),
    ("vgg11_bn", "IMAGENET1K_V1", "vgg11_bn-6002323d", 256, 70.370, 89.810),
    ("vgg13", "IMAGENET1K_V1", "vgg13-19584684", 256, 69.928, 89.246),
    ("vgg13_bn", "IMAGENET1K_V1", "vgg13_bn-abd245e5", 256, 71.586, 90.374),
    ("vgg16", "IMAGENET1K_V1", "vgg16-397923af", 256, 71.592, 90.382),
    ("vgg16_bn", "IMAGENET1K_V1", "vgg16_bn-6c64b313", 256, 73.360, 91.516),
    ("vgg19", "IMAGENET1K_V1", "vgg19-dcbb9e9d", 256, 72.376, 90.876),
    ("vgg19_bn", "IMAGENET1K_V1", "vgg19_bn-c79401a0", 256, 74.218, 91.842),
    ("resnet18", "IMAGENET1K_V1", "resnet18-f37072fd", 256, 69.758, 89.078),
    ("resnet34", "IMAGENET1K_V1", "resnet34-b627a593", 256, 73.314, 91.420),
    ("resnet50", "IMAGENET1K_V1", "resnet50-0676ba61", 256, 76.130, 92.862),
    ("resnet50", "IMAGENET1K_V2", "resnet50-11ad3fa6", 232, 80.858, 95.434),
    ("resnet101", "IMAGENET1K_V1", "resnet101-63fe2227", 256, 77.374, 93.546),
    ("resnet101", "IMAGENET1K_V2", "resnet101-cd907fc2", 232, 81.886, 95.780),
    ("resnet152", "IMAGENET1K_V1", "resnet152-394f9c45", 256, 78.312, 94.046),
    ("resnet152", "IMAGENET1K_V2", "resnet152-f82ba261", 232, 82.284, 96.002),
    ("googlenet", "IMAGENET1K_V1", "googlenet-1378be20", 256, 69.778, 89.530),
)

# Trained by VGG's authors, converted by ssd.pytorch: for features only, because its classifier holds no values.
# Images in [0, 1] minus the mean of the training pictures, times 255.
_VGG_FEATURES = WeightsInformation(
    name="vgg16.IMAGENET1K_FEATURES",
    mean=(0.48235, 0.45882, 0.40784),
    std=(1 / 255, 1 / 255, 1 / 255),
    licence=LICENCE,
    sha256="88682ab5",
    url=f"{SOURCES[0]}vgg16_features-amdegroot-88682ab5.pth",
    void=("classifier.",),
)


@functools.cache
def imagenet_categories() -> tuple[str, ...]:
    """The 1000 classes of ILSVRC 2012 in the order of torchvision's logits."""
    text = resources.files("minicnn.weights").joinpath("imagenet_categories.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


@functools.cache
def _known() -> dict[str, WeightsInformation]:
    """The information by name, such as "resnet50.IMAGENET1K_V1"."""
    known = {_VGG_FEATURES.name: _VGG_FEATURES}
    for model, variant, file, resize, top_1, top_5 in _FILES:
        known[f"{model}.{variant}"] = WeightsInformation(
            name=f"{model}.{variant}",
            resize=resize,
            categories=imagenet_categories(),
            licence=LICENCE,
            metrics={"ImageNet acc@1": top_1, "ImageNet acc@5": top_5},
            sha256=file.rpartition("-")[2],
            url=f"{SOURCES[0]}{file}.pth",
        )
    return known


def pretrained(model: str, variant: str = "IMAGENET1K_V1") -> WeightsInformation:
    """The information about torchvision's weights for a model. Raises ValueError, with the known sets, if unknown."""
    known = _known()
    if f"{model}.{variant}" not in known:
        of_model = [name.partition(".")[2] for name in known if name.partition(".")[0] == model]
        there_are = f"there are {of_model}" if of_model else f"only for {sorted({n.partition('.')[0] for n in known})}"
        raise ValueError(f"torchvision has no weights {variant!r} for {model!r}: {there_are}")
    return known[f"{model}.{variant}"]


def downloadable() -> list[str]:
    """The names of torchvision's sets that `pretrained` knows, such as "resnet50.IMAGENET1K_V1"."""
    return sorted(_known())


def known_by_file_name(name: str) -> WeightsInformation | None:
    """The information about a file of torchvision, such as "resnet50-0676ba61.pth"; None for another name."""
    return next((known for known in _known().values() if known.url.rpartition("/")[2] == name), None)


def obtain_pretrained(
    information: WeightsInformation,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    sources: Sequence[str] = SOURCES,
) -> Path:
    """The path of torchvision's file, downloaded if absent from `root` (None: the cache) and from MINICNN_DATA.

    A download gets its final name after a check of the first digits of its SHA-256. Raises FileNotFoundError, with the
    folder for a file that was downloaded by hand, if no source served the whole file.
    """
    name = information.url.rpartition("/")[2]
    file = RemoteFile(name, f"sha256:{information.sha256}", tuple(sources), SUBFOLDER)
    return obtain(file, data_folders(root), f"{information.name} needs {name}", download)
