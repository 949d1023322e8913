"""ImageFolder finds classes and pictures, fits them, keeps them, and names what is wrong with which file."""

import hashlib
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from minicnn.data import DataLoader, ImageFolder, Imagenette, read_image
from minicnn.kernels import layout

COLOURS = {"cat": (200, 30, 10), "dog": (10, 180, 60), "emu": (0, 0, 250)}


def save(path, colour, size=(12, 9), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, **options)


@pytest.fixture
def root(tmp_path):
    for name, colour in COLOURS.items():
        for place in range(10):
            save(tmp_path / "set" / name / f"{place}.png", (*colour[:2], place), size=(12 + place, 9))
    return tmp_path / "set"


def test_folders_are_classes_in_alphabetical_order_and_files_their_pictures(root):
    dataset = ImageFolder(root, size=8)
    assert dataset.classes == ("cat", "dog", "emu")
    assert dataset.labels.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    image, label = dataset[13]
    assert label == 1
    assert image.shape == (3, 8, 8)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image[:, 4, 4] * 255, (10, 180, 3), atol=1e-4)


def test_a_batch_is_channels_last_and_equals_its_items(root):
    dataset = ImageFolder(root, size=(6, 10))
    images, labels = dataset.batch([29, 0, 13])
    assert images.shape == (3, 3, 6, 10)
    assert layout.is_channels_last(images)
    assert labels.tolist() == [2, 0, 1]
    for place, index in enumerate([29, 0, 13]):
        np.testing.assert_array_equal(images[place], dataset[index][0])


def test_without_a_size_pictures_keep_theirs_and_a_mixed_batch_says_so(root):
    dataset = ImageFolder(root)
    assert dataset[0][0].shape == (3, 9, 12)
    assert dataset[9][0].shape == (3, 9, 21)
    assert dataset.batch([0, 10])[0].shape == (2, 3, 9, 12)
    with pytest.raises(ValueError, match=r"\(3, 9, 12\) and \(3, 9, 13\).*ImageFolder\(size=\.\.\.\)"):
        list(DataLoader(dataset, 30))


def test_fitting_resizes_the_shorter_side_and_cuts_the_middle(tmp_path):
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, 8:16] = 255  # the middle third is white: what is left of a wide picture made square
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert (read_image(tmp_path / "wide.png", 8) == 255).all()
    halved = read_image(tmp_path / "wide.png", (4, 12))
    assert halved[:, 5:7].min() == 255
    assert halved[:, :3].max() == 0


def test_a_picture_is_read_once(root):
    dataset = ImageFolder(root, size=8)
    first = dataset[3][0]
    dataset.paths[3].unlink()
    np.testing.assert_array_equal(dataset[3][0], first)
    with pytest.raises(FileNotFoundError):
        ImageFolder(root, size=8).paths[3] and read_image(dataset.paths[3])


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("RGBA", "png"), ("P", "gif"), ("1", "bmp"), ("CMYK", "jpg"), ("RGB", "webp")]
)
def test_other_kinds_of_picture_become_rgb(tmp_path, mode, suffix):
    save(tmp_path / f"x.{suffix}", (250, 250, 250), mode=mode)
    pixels = read_image(tmp_path / f"x.{suffix}")
    assert pixels.shape == (9, 12, 3)
    assert pixels.dtype == np.uint8
    assert pixels.mean() > 240


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_grey_of_16_bits_keeps_its_shades(tmp_path, suffix):
    shades = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(shades).save(tmp_path / f"x.{suffix}")
    pixels = read_image(tmp_path / f"x.{suffix}")
    np.testing.assert_array_equal(pixels[..., 0], np.arange(256).reshape(16, 16))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_without_a_known_white_are_refused(tmp_path, dtype):
    Image.fromarray(np.ones((4, 4), dtype)).save(tmp_path / "x.tif")
    with pytest.raises(ValueError, match=r"x\.tif.*white is not known; save it with 8 or 16 bits"):
        read_image(tmp_path / "x.tif")


def test_a_photo_is_turned_as_its_camera_says(tmp_path):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0] = 255  # the upper edge
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = 6  # "turn by 90 degrees clockwise to view"
    picture.save(tmp_path / "x.png", exif=exif)
    turned = read_image(tmp_path / "x.png")
    assert turned.shape == (6, 4, 3)
    assert (turned[:, -1] == 255).all()  # the upper edge is now the right one


# Splits


def test_without_split_folders_val_is_a_fixed_share_of_every_class(root):
    train, val = ImageFolder(root, "train", held_out=0.3), ImageFolder(root, "val", held_out=0.3)
    assert np.bincount(val.labels).tolist() == [3, 3, 3]
    assert np.bincount(train.labels).tolist() == [7, 7, 7]
    assert sorted(train.paths + val.paths) == ImageFolder(root).paths
    with pytest.raises(ValueError, match="split 'test' needs folders"):
        ImageFolder(root, "test")


def test_split_folders_are_the_splits(tmp_path):
    for split, count in (("train", 5), ("valid", 2), ("test", 3)):
        for name, colour in COLOURS.items():
            for place in range(count):
                save(tmp_path / split / name / f"{place}.png", colour)
    assert [len(ImageFolder(tmp_path, split)) for split in ("train", "val", "test")] == [15, 6, 9]
    assert len(ImageFolder(tmp_path / "train")) == 15


def test_train_without_val_gives_a_share_of_itself(tmp_path):
    for split, count in (("train", 5), ("test", 3)):
        for name, colour in COLOURS.items():
            for place in range(count):
                save(tmp_path / split / name / f"{place}.png", colour)
    assert [len(ImageFolder(tmp_path, split)) for split in ("train", "val", "test")] == [12, 3, 9]


@pytest.mark.filterwarnings("ignore:.*holds one class only")
def test_splits_with_other_classes_are_refused(tmp_path):
    save(tmp_path / "train" / "cat" / "0.png", (0, 0, 0))
    save(tmp_path / "val" / "dog" / "0.png", (0, 0, 0))
    with pytest.raises(ValueError, match=r"classes \['dog'\] in .*val differ from those in .*train"):
        ImageFolder(tmp_path, "val")


def test_an_unknown_split_names_those_there_are(root):
    with pytest.raises(ValueError, match="'train', 'val', 'test', but is 'all'"):
        ImageFolder(root, "all")


@pytest.mark.filterwarnings("ignore:.*holds one class only")
def test_a_share_that_leaves_nothing_is_refused(tmp_path):
    save(tmp_path / "cat" / "0.png", (0, 0, 0))
    with pytest.raises(ValueError, match=r"split 'val' .* would be empty: 1 pictures"):
        ImageFolder(tmp_path, "val")
    with pytest.raises(ValueError, match="between 0 and 1, but is 1"):
        ImageFolder(tmp_path, "val", held_out=1)


# Bad input


def test_a_missing_root_and_a_root_without_classes_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
        ImageFolder(tmp_path / "nowhere")
    save(tmp_path / "loose.png", (0, 0, 0))
    with pytest.raises(ValueError, match="one folder per class"):
        ImageFolder(tmp_path)


def test_other_files_are_passed_over_with_a_count(root):
    (root / "dog" / "notes.txt").write_text("good dog")
    (root / "dog" / "boxes.mat").write_bytes(b"MATLAB")
    (root / "emu" / "sizes.txt").write_text("1 2")
    with pytest.warns(UserWarning, match=r"3 files .*passed over \(2 \.txt, 1 \.mat\), such as .*dog/boxes\.mat"):
        assert len(ImageFolder(root)) == 30
    with pytest.warns(UserWarning, match="3 files"):
        assert len(ImageFolder(root, "train")) == 24


def test_a_class_of_other_files_only_says_what_is_there(root):
    (root / "fox").mkdir()
    (root / "fox" / "0.heic").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"fox holds no pictures, but 1 \.heic; pictures end in \.jpg"):
        ImageFolder(root)


@pytest.mark.parametrize("name", ["x.jfif", "x.jpe", "x.JPG", "x.avif", "x.pbm", "x.jp2", "x.tga"])
def test_less_frequent_endings_are_pictures(root, name):
    kinds = {"jfif": "JPEG", "jpe": "JPEG", "jpg": "JPEG", "avif": "AVIF", "pbm": "PPM", "jp2": "JPEG2000"}
    ending = name.partition(".")[2].lower()
    mode = "1" if ending == "pbm" else "RGB"
    save(root / "fox" / name, (250, 250, 250), size=(40, 40), mode=mode, format=kinds.get(ending, "TGA"))
    dataset = ImageFolder(root, size=8)
    assert dataset.classes == ("cat", "dog", "emu", "fox")
    assert dataset[30][0].mean() > 0.9


@pytest.mark.parametrize("place", ["cat/9.png", "cat/more", "fox"])
def test_a_link_whose_target_is_missing_is_named(root, place):
    (root / place).unlink(missing_ok=True)
    (root / place).symlink_to(root / "gone")
    with pytest.raises(FileNotFoundError, match=rf"{place} is a link to .*gone, which does not exist"):
        ImageFolder(root)


def test_links_are_followed_but_never_into_a_folder_above(root, tmp_path):
    save(tmp_path / "elsewhere" / "0.png", (0, 0, 0))
    (root / "cat" / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "fox").symlink_to(tmp_path / "elsewhere")
    assert np.bincount(ImageFolder(root).labels).tolist() == [11, 10, 10, 1]
    for target in (root, root / "dog", tmp_path):
        (root / "dog" / "loop").symlink_to(target)
        with pytest.raises(ValueError, match=r"loop is a link to .*, a folder that contains the link; remove"):
            ImageFolder(root)
        (root / "dog" / "loop").unlink()


def test_a_table_of_labels_beside_the_pictures_is_named_with_its_columns(tmp_path):
    save(tmp_path / "a" / "images" / "0.png", (0, 0, 0))
    (tmp_path / "a" / "train.csv").write_text("id,breed\n0,boxer\n")
    with pytest.raises(ValueError, match=r"one folder of pictures only, 'images'.*train\.csv \(columns 'id, breed'\)"):
        ImageFolder(tmp_path / "a")
    save(tmp_path / "b" / "0.png", (0, 0, 0))
    (tmp_path / "b" / "labels.tsv").write_text("file\tclass\n")
    with pytest.raises(ValueError, match=r"holds no folders.*labels\.tsv \(columns 'file, class'\).*CLASS/PICTURE"):
        ImageFolder(tmp_path / "b")
    save(tmp_path / "c" / "train" / "0.png", (0, 0, 0))
    (tmp_path / "c" / "train.csv").write_text("id,breed\n")
    with pytest.raises(ValueError, match=r"holds no folders.*c/train\.csv"):
        ImageFolder(tmp_path / "c" / "train")


def test_the_flat_val_of_tiny_imagenet_is_refused_with_its_list(tmp_path):
    for name in ("n01", "n02"):
        save(tmp_path / "train" / name / "images" / "0.JPEG", (0, 0, 0))
    save(tmp_path / "val" / "images" / "val_0.JPEG", (0, 0, 0))
    (tmp_path / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn01\n")
    with pytest.raises(ValueError, match=r"\['images'\] in .*val differ .*\['n01', 'n02'\].*val_annotations\.txt"):
        ImageFolder(tmp_path, "val")


def test_pictures_and_their_masks_are_not_classes(tmp_path):
    for name in ("images", "annotations"):
        save(tmp_path / name / "0.png", (0, 0, 0))
    with pytest.raises(ValueError, match=r"annotations, images in .* have names of kinds of files, not of classes"):
        ImageFolder(tmp_path)


def test_what_file_managers_leave_is_passed_over(root):
    (root / "dog" / ".DS_Store").write_bytes(b"x")
    (root / "dog" / "Thumbs.db").write_bytes(b"x")
    (root / ".git").mkdir()
    (root / "README.txt").write_text("beside the classes anything may lie")
    assert len(ImageFolder(root)) == 30


def test_an_empty_class_is_named(root):
    (root / "fox").mkdir()
    with pytest.raises(ValueError, match="fox holds no pictures"):
        ImageFolder(root)


@pytest.mark.parametrize("damage", [lambda b: b"not a picture", lambda b: b[: len(b) // 2], lambda b: b""])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_broken_picture_is_named_when_it_is_read(root, damage, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path = root / "emu" / f"broken.{suffix}"
    Image.fromarray(noise).save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"broken\.{suffix} is a broken picture"):
        list(DataLoader(ImageFolder(root, size=8), 8))


@pytest.mark.parametrize("size", [0, (8, -1)])
def test_an_impossible_size_is_refused(root, size):
    with pytest.raises(ValueError, match="size must be 1 or more"):
        ImageFolder(root, size=size)


# Imagenette: a stand-in of two classes


def imagenette_archive():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for part, count in (("train", 6), ("val", 2)):
            for name in ("n03888257", "n01440764"):
                for place in range(count):
                    picture = io.BytesIO()
                    Image.new("RGB", (20, 16), (place * 20, 0, 0)).save(picture, "JPEG")
                    info = tarfile.TarInfo(f"imagenette2-160/{part}/{name}/{place}.JPEG")
                    info.size = len(picture.getvalue())
                    tar.addfile(info, io.BytesIO(picture.getvalue()))
    return buffer.getvalue()


def test_imagenette_is_fetched_unpacked_and_split(server, unplugged):
    content = server.files["imagenette2-160.tgz"] = imagenette_archive()

    class Small(Imagenette):
        archive = ("imagenette2-160.tgz", hashlib.md5(content).hexdigest())
        held_out_count = 4

    sources = [server.source("short"), server.source("well")]
    sets = {split: Small(split, size=8, sources=sources) for split in ("train", "val", "trainval", "test")}
    assert {split: len(dataset) for split, dataset in sets.items()} == {"train": 8, "val": 4, "trainval": 12, "test": 4}
    assert len(server.requests) == 2
    assert sets["val"].classes == ("tench", "parachute")
    assert np.bincount(sets["val"].labels).tolist() == [2, 2]
    assert sorted(sets["train"].paths + sets["val"].paths) == sets["trainval"].paths
    assert all("/val/" in path.as_posix() for path in sets["test"].paths)
    assert [path.name for path in unplugged.iterdir()] == ["imagenette2-160"]
    assert sets["test"].batch([0, 1])[0].shape == (2, 3, 8, 8)


# Folders as people have them


def cats_and_dogs(folder, count=5):
    for name in ("cat", "dog"):
        for place in range(count):
            save(folder / name / f"{place}.png", COLOURS[name])


@pytest.mark.parametrize(
    "names", [("Train", "Val", "Test"), ("TRAIN", "VALID", "TEST"), ("training", "validation", "testing")]
)
def test_names_of_splits_in_capitals_and_other_forms_are_understood(tmp_path, names):
    for name, count in zip(names, (5, 2, 3), strict=True):
        cats_and_dogs(tmp_path / name, count)
    datasets = [ImageFolder(tmp_path, split) for split in ("train", "val", "test")]
    assert [len(dataset) for dataset in datasets] == [10, 4, 6]
    assert {dataset.classes for dataset in datasets} == {("cat", "dog")}


@pytest.mark.parametrize("names", [("seg_train", "seg_test"), ("train_images", "val-images"), ("train", "test")])
def test_splits_are_never_taken_for_classes(tmp_path, names):
    for name in names:
        cats_and_dogs(tmp_path / name)
    with pytest.raises(ValueError, match=r"have names of splits, not of classes.*split='train'"):
        ImageFolder(tmp_path)
    if names[0] != "train":
        with pytest.raises(ValueError, match=f"{min(names)}, {max(names)} in .* have names of splits"):
            ImageFolder(tmp_path, "train")


def test_pictures_of_trains_are_a_class(tmp_path):
    for name in ("car", "train"):
        save(tmp_path / name / "0.png", (0, 0, 0))
    assert ImageFolder(tmp_path).classes == ("car", "train")
    assert ImageFolder(tmp_path, "train", held_out=0.5).classes == ("car", "train")


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", "@eaDir", "__MACOSX", ".git"])
def test_hidden_folders_are_passed_over_at_every_depth(tmp_path, hidden):
    cats_and_dogs(tmp_path)
    for place in (tmp_path, tmp_path / "cat", tmp_path / "cat" / "siamese"):
        save(place / hidden / "deeper" / "0.png", (0, 0, 0))
    save(tmp_path / "cat" / "siamese" / "1.png", (0, 0, 0))
    dataset = ImageFolder(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert np.bincount(dataset.labels).tolist() == [6, 5]


def test_one_class_is_warned_of_and_the_folder_below_is_named(tmp_path):
    cats_and_dogs(tmp_path / "set")
    with pytest.warns(UserWarning, match=r"one class only, 'set'.*if cat, dog in it are the classes, give .*set"):
        ImageFolder(tmp_path)
    save(tmp_path / "kaggle" / "images" / "0.png", (0, 0, 0))
    with pytest.warns(UserWarning, match=r"one class only, 'images'.*give a folder per class"):
        ImageFolder(tmp_path / "kaggle")
