"""What is known of weights travels with them, and images are prepared as it says."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.data.download import RemoteFile
from minicnn.weights import (
    WeightsInformation,
    information_of,
    load_metadata,
    obtain_pretrained,
    open_weights,
    pretrained,
    save,
    torchvision_files,
)

numbers = st.floats(0.125, 10)
informations = st.builds(
    WeightsInformation,
    name=st.text(max_size=5),
    resize=st.none() | st.integers(1, 999),
    crop=st.none() | st.integers(1, 999),
    interpolation=st.sampled_from(["bilinear", "bicubic", "nearest"]),
    mean=st.tuples(numbers, numbers),
    std=st.tuples(numbers, numbers),
    categories=st.lists(st.text(max_size=3), max_size=3).map(tuple),
    metrics=st.dictionaries(st.text(max_size=3), numbers, max_size=2),
    void=st.lists(st.text(min_size=1, max_size=3), max_size=2).map(tuple),
)


@given(informations, st.sampled_from([".safetensors", ".npz"]))
def test_it_comes_back_from_a_file(tmp_path_factory, information, suffix):
    path = tmp_path_factory.mktemp("files") / ("a" + suffix)
    save({"a": np.zeros(2)}, path, information.as_metadata() | {"epoch": 3})
    with open_weights(path) as file:
        assert information_of(file) == information
    assert load_metadata(path)["epoch"] == 3


def test_a_file_of_which_nothing_is_known_says_so(tmp_path):
    save({"a": np.zeros(2)}, tmp_path / "a.npz")
    with open_weights(tmp_path / "a.npz") as file:
        assert information_of(file) is None


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"resize": "large"}, "resize must be"),
        ({"crop": 10**9}, "crop must be"),
        ({"resize": True}, "resize must be"),
        ({"interpolation": "best"}, "interpolation must be one of"),
        ({"mean": [0.5]}, "must have the same length"),
        ({"std": [1, 1, 0]}, "every std above 0"),
        ({"std": [1, 1, 1e400]}, "finite"),
        ({"std": [1, 1, 10**400]}, "too large"),
        ({"mean": [0.5, 0.5, float("nan")]}, "finite"),
        ({"resize": 1_000_000}, "from 1 to 2000 pixels"),
        ({"mean": ["a", "b", "c"]}, "mean must be a tuple of numbers"),
        ({"categories": 3}, "categories must be"),
        ({"metrics": [1]}, "metrics must be"),
        ({"name": 7}, "name must be text"),
        (["resize"], "has no attribute"),
    ],
)
def test_metadata_of_a_stranger_are_checked(tmp_path, metadata, complaint):
    save({"a": np.zeros(2)}, tmp_path / "a.npz", {"weights": metadata})
    with open_weights(tmp_path / "a.npz") as file, pytest.raises(ValueError, match=rf"a\.npz.*{complaint}"):
        information_of(file)


def test_entries_of_a_newer_version_are_passed_over(tmp_path):
    save({"a": np.zeros(2)}, tmp_path / "a.npz", {"weights": {"crop": 50, "colour_space": "other"}})
    with open_weights(tmp_path / "a.npz") as file:
        assert information_of(file) == WeightsInformation(crop=50)


def test_images_are_resized_cropped_and_normalised():
    """A picture of one colour keeps it; a bright frame outside of the crop is cut away."""
    information = WeightsInformation(resize=16, crop=8, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0))
    image = np.full((3, 32, 48), 51, np.uint8)  # 51 / 255 = 0.2
    image[:, :4], image[:, -4:], image[:, :, :12], image[:, :, -12:] = 255, 255, 255, 255
    prepared = information.transforms()(image)
    assert prepared.shape == (3, 8, 8)
    assert prepared.dtype == np.float32
    for channel, expected in enumerate([(0.2 - 0.5) / 0.5, (0.2 - 0.25) / 0.25, 0.2 / 2]):
        np.testing.assert_allclose(prepared[channel], expected, atol=1e-6)
    assert information.transforms()(np.stack([image, image])).shape == (2, 3, 8, 8)
    as_it_is = WeightsInformation(resize=None, crop=None, mean=(0.0,) * 3, std=(1.0,) * 3)
    np.testing.assert_allclose(as_it_is.transforms()(image), image / 255, rtol=1e-6)


def test_the_preparation_is_pillows_as_torchvisions_is():
    image_module = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    ours = pretrained("resnet50").transforms()(pixels.transpose(2, 0, 1))
    resized = image_module.fromarray(pixels).resize((341, 256), image_module.Resampling.BILINEAR)
    left, top = round((341 - 224) / 2), 16
    cut = np.asarray(resized.crop((left, top, left + 224, top + 224)), np.float64) / 255
    expected = (cut - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    # Pillow rounds to 8 bits, twice: that is worth 1 / 255 / 0.224 = 0.018.
    np.testing.assert_allclose(ours.transpose(1, 2, 0), expected, atol=0.02)


# torchvision's files


def test_every_known_file_has_a_name_that_ends_in_its_hash():
    known = torchvision_files._known().values()
    assert len(known) == 18
    for information in known:
        name = information.url.rpartition("/")[2]
        assert name.endswith(f"-{information.sha256}.pth")
        assert len(information.sha256) == 8
        assert int(information.sha256, 16) >= 0
        assert torchvision_files.known_by_file_name(name) is information
        assert len(information.categories) == (0 if information.void else 1000)
    assert torchvision_files.known_by_file_name("resnet50.pth") is None


def test_some_known_values():
    first, second = pretrained("resnet50"), pretrained("resnet50", "IMAGENET1K_V2")
    assert (first.resize, second.resize, first.crop, second.crop) == (256, 232, 224, 224)
    assert first.metrics["ImageNet acc@1"] == 76.130
    assert first.categories[0] == "tench"
    assert first.categories[281] == "tabby"
    assert first.categories[999] == "toilet tissue"
    features = pretrained("vgg16", "IMAGENET1K_FEATURES")
    image = np.full((3, 256, 256), 128, np.uint8)
    expected = 128 - 255 * np.array([0.48235, 0.45882, 0.40784])  # the mean of the pictures, in grey levels
    np.testing.assert_allclose(features.transforms()(image)[:, 5, 5], expected, rtol=1e-4)


def test_an_unknown_set_names_those_that_there_are():
    with pytest.raises(
        ValueError, match=r"'IMAGENET1K_V9' for 'resnet50': there are \['IMAGENET1K_V1', 'IMAGENET1K_V2"
    ):
        pretrained("resnet50", "IMAGENET1K_V9")
    with pytest.raises(ValueError, match=r"for 'lenet5': only for \['googlenet', 'resnet101'"):
        pretrained("lenet5")


@pytest.fixture
def served(server):
    """Bytes on the local server under the name of a file that is made up for them."""
    content = bytes(range(256)) * 100
    head = hashlib.sha256(content).hexdigest()[:8]
    information = dataclasses.replace(pretrained("resnet18"), sha256=head, url=f"https://example.org/net-{head}.pth")
    server.files[f"net-{head}.pth"] = content
    return information, content


def test_weights_are_downloaded_into_the_cache_once(server, unplugged, served):
    information, content = served
    path = obtain_pretrained(information, sources=[server.source("well")])
    assert path == unplugged / "weights" / Path(information.url).name
    assert path.read_bytes() == content
    assert obtain_pretrained(information, sources=[server.source("well")]) == path
    assert len(server.requests) == 1


def test_weights_are_found_where_minicnn_data_says(server, unplugged, served, monkeypatch, tmp_path):
    information, content = served
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / Path(information.url).name).write_bytes(content)
    assert obtain_pretrained(information, sources=[server.source("well")]).parent == tmp_path / "weights"
    assert server.requests == []


@pytest.mark.parametrize("behaviour", ["corrupt", "cut", "404"])
def test_a_download_that_is_not_what_it_should_be_is_not_kept(server, unplugged, served, behaviour):
    information, _ = served
    with pytest.raises(FileNotFoundError, match=rf"resnet18\.IMAGENET1K_V1 needs net-{information.sha256}\.pth"):
        obtain_pretrained(information, sources=[server.source(behaviour)])
    assert not any(path.is_file() for path in unplugged.rglob("*"))
    with pytest.raises(FileNotFoundError, match="download=False"):
        obtain_pretrained(information, download=False, sources=[server.source("well")])


def test_the_addresses_are_torchvisions():
    asked = []

    def obtain(file, folders, purpose, download):
        asked.append(file)
        return Path("there")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torchvision_files, "obtain", obtain)
        assert obtain_pretrained(pretrained("vgg11_bn")) == Path("there")
    sources = ("https://download.pytorch.org/models/",)
    assert asked == [RemoteFile("vgg11_bn-6002323d.pth", "sha256:6002323d", sources, "weights")]
