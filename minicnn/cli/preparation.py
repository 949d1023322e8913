"""How pictures are prepared for a network: as its weights want them, with the network's channels."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from minicnn.backbones.backbone import Backbone
from minicnn.weights import WeightsInformation

MOST_TIMES_LONGER = 50  # one side of a picture than the other: the longer one grows with the shorter
STRIP = 2**22  # pixels of a picture that are numbers of 32 bits at one time: 48 MiB of three channels
_REC_601 = (0.299, 0.587, 0.114)  # the weights of red, green and blue in grey, as Pillow's


def preparation(model: Backbone, weights: str, image_size: int | None) -> WeightsInformation:
    """The preparation of images for `model`, with another size if `image_size` is given.

    A preparation that the weights do not tell is assumed, and the error output says so. Raises ValueError if the
    network does not take pictures, or if its weights contradict the network.
    """
    channels = model.input_size[0]
    if channels not in (1, 3):
        raise ValueError(f"the network takes images of {channels} channels, but pictures have 3, or 1 if they are grey")
    information = model.weights or _assumed(model)
    if len(information.mean) != channels:
        raise ValueError(
            f"{weights} tells the mean of {len(information.mean)} channels, but its network takes images of {channels}"
        )
    if image_size is None:
        return information
    resize, crop = information.resize, information.crop
    margin = 1.0 if resize is None or crop is None else resize / crop
    return replace(information, resize=round(image_size * margin), crop=image_size)


def described_preparation(information: WeightsInformation) -> str:
    """One line: size, mean and standard deviation."""
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (information.mean, information.std))
    resized = "size as it is" if information.resize is None else f"shorter side to {information.resize}"
    cut = "" if information.crop is None else f", centre of {information.crop}x{information.crop} cut out"
    return f"{resized} ({information.interpolation}){cut}, mean {mean}, std {std}"


def with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """(..., C, H, W) with 1 or 3 channels -> (..., channels, H, W): grey by the weights of Rec. 601, or repeated."""
    there = images.shape[-3]
    if there == channels:
        return images
    if there == 3 and channels == 1:
        grey = np.einsum("c,...chw->...hw", np.array(_REC_601), images)
        if images.dtype == np.uint8:
            grey = np.rint(grey)
        images = grey[..., None, :, :].astype(images.dtype)
    return np.repeat(images, channels, axis=-3)


def prepared_picture(path: Path, information: WeightsInformation, channels: int) -> np.ndarray:
    """(C, crop, crop) float32 of the picture file at `path`, as `information.transforms()` prepares it.

    A large picture is shrunk along its width strip by strip, so that only a strip at a time takes 4 bytes a number.
    Raises ValueError, naming the path, for a file that is broken or not a picture, and for a picture whose sides differ
    too much.
    """
    from minicnn.data.folder import open_image
    from minicnn.data.transforms import CenterCrop, Compose, Normalize, Resize, ToFloat

    picture = open_image(path)
    width, height = picture.size
    if max(height, width) > MOST_TIMES_LONGER * min(height, width):
        raise ValueError(
            f"{path} has {width}x{height} pixels, one side more than {MOST_TIMES_LONGER} times the other: scaled by "
            "its shorter side it would be enormous; cut out the part that matters"
        )

    def rows(top: int, bottom: int) -> np.ndarray:
        strip = np.asarray(picture.crop((0, top, width, bottom)))
        return with_channels(strip.transpose(2, 0, 1), channels)  # (rows, W, 3) -> (C, rows, W)

    if height * width <= STRIP or information.resize is None:
        return information.transforms()(rows(0, height))
    resize = Resize(information.resize, information.interpolation)
    new_height, new_width = resize.output_size(height, width)
    each, strips = max(1, STRIP // width), []
    for top in range(0, height, each):
        strip = ToFloat()(rows(top, min(top + each, height)))
        strips.append(Resize((strip.shape[1], new_width), information.interpolation)(strip))
    narrow = np.concatenate(strips, axis=1)  # (C, H, OW)
    resized = Resize((new_height, new_width), information.interpolation)(narrow)  # (C, H, OW) -> (C, OH, OW)
    cut = [] if information.crop is None else [CenterCrop(information.crop)]
    return Compose([*cut, Normalize(information.mean, information.std)])(resized)


def _assumed(model: Backbone) -> WeightsInformation:
    """The preparation that is taken for granted where a file tells neither preparation nor classes."""
    from minicnn.weights.torchvision_files import imagenet_categories

    channels, side, _ = model.input_size
    resize, crop = (256, 224) if side == 224 else (side, side)
    mean, std = WeightsInformation().mean, WeightsInformation().std
    if channels == 1:
        mean, std = (round(sum(mean) / 3, 3),), (round(sum(std) / 3, 3),)
    names = imagenet_categories() if side == 224 and model.num_classes == 1000 else ()
    print(
        "minicnn: the file does not say how images were prepared, nor which classes there are; assuming "
        f"resize {resize}, crop {crop}, mean {mean}, std {std}{', and the classes of ImageNet' if names else ''}",
        file=sys.stderr,
    )
    return WeightsInformation(resize=resize, crop=crop, mean=mean, std=std, categories=names)
