"""The weights that come with minicnn: a trained network without a download.

The files are in the folder `shipped` beside this file, MODEL.SET.safetensors. The metadata of each file contain the
command that made the weights, the measured figures, and the preparation of images. Kernels are stored in half
precision, which halves the size and leaves the accuracy unchanged.
"""

from pathlib import Path

FOLDER = Path(__file__).parent / "shipped"


def shipped() -> list[str]:
    """The names of the weights that come with minicnn, such as "resnet20.PARTWORLD_V1": a backbone's, and the set's."""
    return sorted(path.name.removesuffix(".safetensors") for path in FOLDER.glob("*.safetensors"))


def shipped_path(model: str, variant: str) -> Path | None:
    """The file of the set `variant` for a backbone; None if minicnn has no such set."""
    return FOLDER / f"{model}.{variant}.safetensors" if f"{model}.{variant}" in shipped() else None
