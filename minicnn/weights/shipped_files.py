"""The weights that come with minicnn: a trained network is at hand without a download.

They lie in the folder `shipped` beside this file, MODEL.SET.safetensors. Each tells in its metadata with which command
it was made, what it reached, and how images are prepared for it. Its windows are stored in half precision, which takes
half the place and leaves the accuracy as it was.
"""

from pathlib import Path

FOLDER = Path(__file__).parent / "shipped"


def shipped() -> list[str]:
    """The names of the weights that come with minicnn, such as "resnet20.PARTWORLD_V1": a backbone's, and the set's."""
    return sorted(path.name.removesuffix(".safetensors") for path in FOLDER.glob("*.safetensors"))


def shipped_path(model: str, variant: str) -> Path | None:
    """The file of the set `variant` for a backbone; None if minicnn has no such set."""
    return FOLDER / f"{model}.{variant}.safetensors" if f"{model}.{variant}" in shipped() else None
