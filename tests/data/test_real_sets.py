"""Real sets, on small stand-ins made here and served by a local server, and on the real files where they are."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

from minicnn.data import CIFAR10, CIFAR100, KMNIST, MNIST, FashionMNIST, Imagenette, channel_statistics

# Small stand-ins: 40 training pictures, 20 of the test, of four values of the label in turn


def small_mnist(labels=4):
    images = {
        "train": np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8),
        "t10k": np.full((20, 28, 28), 9, np.uint8),
    }
    files = {}
    for part, pictures in images.items():
        targets = (np.arange(len(pictures)) % labels).astype(np.uint8)
        for kind, array in (("images-idx3", pictures), ("labels-idx1", targets)):
            header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
            files[f"{part}-{kind}-ubyte.gz"] = gzip.compress(header + array.tobytes(), mtime=0)
    return files


def md5s(files):
    return {name: hashlib.md5(content).hexdigest() for name, content in files.items()}


class SmallMNIST(MNIST):
    counts = {"train": 40, "test": 20}  # noqa: RUF012
    held_out = 8
    md5 = md5s(small_mnist())


def cifar_batch(first, count, changes=()):
    data = np.zeros((count, 3072), np.uint8)
    data[:, :1024], data[:, 1024:2048], data[:, 2048:] = 50, 100, 150  # red, green and blue planes
    data[:, 0] = np.arange(first, first + count)
    contents = {b"data": data, b"labels": [place % 4 for place in range(count)]}
    contents.update(changes)
    return pickle.dumps(contents, protocol=4)


def small_cifar():
    names = [*(f"data_batch_{place}" for place in range(1, 6)), "test_batch"]
    return {name: cifar_batch(10 * place, 8) for place, name in enumerate(names)}


def tarball(files, folder):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class SmallCIFAR10(CIFAR10):
    counts = {"train": 40, "test": 8}  # noqa: RUF012
    held_out = 8


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.fixture
def mnist_root(tmp_path):
    write(tmp_path / "mnist", small_mnist())
    return tmp_path


@pytest.fixture
def cifar_root(tmp_path):
    write(tmp_path / "cifar-10-batches-py", small_cifar())
    return tmp_path


# Splits


@pytest.mark.parametrize("small", ["mnist", "cifar"])
def test_train_and_val_share_no_picture_and_are_together_trainval(small, request):
    made = SmallMNIST if small == "mnist" else SmallCIFAR10
    root = request.getfixturevalue(f"{small}_root")
    train, val, both, test = (made(split, root=root) for split in ("train", "val", "trainval", "test"))
    assert (len(train), len(val), len(both)) == (32, 8, 40)
    assert np.bincount(val.labels).tolist() == [2, 2, 2, 2]

    def pictures(dataset):
        return [image.tobytes() for image in np.ascontiguousarray(dataset.images)]

    assert not set(pictures(train)) & set(pictures(val))
    assert sorted(pictures(train) + pictures(val)) == sorted(pictures(both))
    assert not set(pictures(test)) & set(pictures(both))


def test_the_default_split_is_train_and_others_are_named(mnist_root):
    assert len(SmallMNIST(root=mnist_root)) == 32
    with pytest.raises(ValueError, match="'train', 'val', 'trainval', 'test', but is 'valid'"):
        SmallMNIST("valid", root=mnist_root)
    with pytest.raises(ValueError, match="split of Imagenette must be one of"):
        Imagenette("all", root=mnist_root)


def test_pictures_and_labels_keep_together(mnist_root):
    both = SmallMNIST("trainval", root=mnist_root)
    expected = np.random.default_rng(0).integers(0, 256, (40, 1, 28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(both.images, expected)
    assert both.labels.tolist() == [place % 4 for place in range(40)]
    assert both[5][1] == 1
    assert both.classes[5] == "5"
    assert "SmallMNIST(split='trainval': 40 pictures" in repr(both)


def test_cifar_planes_become_channels_and_batches_follow_each_other(cifar_root):
    both = SmallCIFAR10("trainval", root=cifar_root)
    assert both.images[:, :, 1, 1].tolist() == [[50, 100, 150]] * 40
    assert both.images[:, 0, 0, 0].tolist() == [10 * (place // 8) + place % 8 for place in range(40)]


def test_only_the_files_of_the_split_are_asked_for(cifar_root, mnist_root):
    (cifar_root / "cifar-10-batches-py" / "test_batch").unlink()
    for name in small_mnist():
        if name.startswith("t10k"):
            (mnist_root / "mnist" / name).unlink()
    assert len(SmallCIFAR10("val", root=cifar_root, download=False)) == 8
    assert len(SmallMNIST("train", root=mnist_root, download=False)) == 32
    with pytest.raises(FileNotFoundError, match=r"SmallCIFAR10 \(split 'test'\) needs cifar-10-batches-py.test_batch"):
        SmallCIFAR10("test", root=cifar_root, download=False)
    with pytest.raises(FileNotFoundError, match=r"SmallMNIST \(split 'test'\) needs t10k-images-idx3-ubyte.gz"):
        SmallMNIST("test", root=mnist_root, download=False)


# From a server


def test_files_come_from_the_server_then_from_the_cache(server, unplugged):
    server.files.update(small_mnist())
    sources = [server.source("403"), server.source("well")]
    assert len(SmallMNIST("test", sources=sources)) == 20
    assert sorted(os.listdir(unplugged / "mnist")) == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    asked = len(server.requests)
    assert len(SmallMNIST("test", sources=sources)) == 20
    assert len(server.requests) == asked


def test_minicnn_data_is_read_and_never_written(server, unplugged, monkeypatch, tmp_path):
    write(tmp_path / "given" / "mnist", {k: v for k, v in small_mnist().items() if k.startswith("train")})
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path / "given"))
    server.files.update(small_mnist())
    SmallMNIST("train", sources=[server.source("well")])
    assert server.requests == []
    SmallMNIST("test", sources=[server.source("well")])
    assert len(os.listdir(tmp_path / "given" / "mnist")) == 2
    assert len(os.listdir(unplugged / "mnist")) == 2


def small_cifar_class(content):
    class Served(SmallCIFAR10):
        archive = ("cifar-10-python.tar.gz", hashlib.md5(content).hexdigest())

    return Served


def test_an_archive_is_downloaded_unpacked_and_removed(server, unplugged):
    content = server.files["cifar-10-python.tar.gz"] = tarball(small_cifar(), "cifar-10-batches-py")
    made = small_cifar_class(content)
    assert len(made("test", sources=[server.source("corrupt"), server.source("well")])) == 8
    assert os.listdir(unplugged) == ["cifar-10-batches-py"]
    assert len(made("trainval", download=False)) == 40


def test_an_archive_put_there_by_hand_is_unpacked_into_the_cache_and_stays(unplugged, monkeypatch, tmp_path):
    write(tmp_path / "given", {"cifar-10-python.tar.gz": tarball(small_cifar(), "cifar-10-batches-py")})
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path / "given"))
    assert len(SmallCIFAR10("trainval", download=False)) == 40
    assert os.listdir(tmp_path / "given") == ["cifar-10-python.tar.gz"]
    assert len(os.listdir(unplugged / "cifar-10-batches-py")) == 6


def test_an_archive_without_the_batches_is_refused(tmp_path):
    write(tmp_path, {"cifar-10-python.tar.gz": tarball({"readme": b""}, "cifar-10-batches-py")})
    with pytest.raises(ValueError, match="lacks test_batch"):
        SmallCIFAR10("test", root=tmp_path, download=False)


@pytest.mark.parametrize("made", [MNIST, FashionMNIST, KMNIST, CIFAR10, CIFAR100, Imagenette])
def test_offline_and_absent_is_one_clear_error(made, unplugged):
    with pytest.raises(FileNotFoundError) as caught:
        made("test", sources=["http://127.0.0.1:9/"])
    message = str(caught.value)
    assert f"{made.__name__} (split 'test') needs" in message
    assert f"put it at {unplugged}" in message
    assert "MINICNN_DATA" in message
    assert "http://127.0.0.1:9/" in message


@pytest.mark.parametrize("made", [MNIST, FashionMNIST, KMNIST, CIFAR10, CIFAR100, Imagenette])
def test_sources_are_addresses_of_folders_and_hashes_are_md5s(made):
    assert all(source.startswith(("https://", "http://")) and source.endswith("/") for source in made.sources)
    hashes = list(made.md5.values()) if hasattr(made, "md5") else [made.archive[1]]
    assert all(len(value) == 32 and int(value, 16) >= 0 for value in hashes)


# Files that are not what they should be


def test_pictures_of_the_wrong_number_or_size_are_refused(mnist_root):
    with pytest.raises(
        ValueError, match=r"test files of MNIST should hold pictures \(10000, 1, 28, 28\).*but hold \(20,"
    ):
        MNIST("test", root=mnist_root, download=False)


@pytest.mark.parametrize("folder", ["mnist", "MNIST/raw"])
@pytest.mark.parametrize("dotted", [True, False])
@pytest.mark.parametrize("ending", [".gz", ""])
def test_mnist_is_found_under_its_other_names(tmp_path, folder, dotted, ending):
    files = small_mnist().items()
    renamed = {name.replace("-idx", ".idx") if dotted else name: content for name, content in files}
    write(tmp_path / folder, {name.removesuffix(".gz") + ending: content for name, content in renamed.items()})
    assert len(SmallMNIST("test", root=tmp_path, download=False)) == 20


def test_mnist_in_folders_named_like_its_files_is_found(tmp_path):
    for name, content in small_mnist().items():
        unpacked = name.removesuffix(".gz")
        write(tmp_path / "mnist" / unpacked, {unpacked: gzip.decompress(content)})
    assert len(SmallMNIST("test", root=tmp_path, download=False)) == 20


@pytest.mark.parametrize("folder", ["", "mnist"])
def test_mnist_is_read_from_the_npz_of_keras(tmp_path, folder):
    rng = np.random.default_rng(0)
    arrays = {
        **{f"x_{part}": rng.integers(0, 256, (n, 28, 28), np.uint8) for part, n in (("train", 40), ("test", 20))},
        **{f"y_{part}": np.arange(n, dtype=np.uint8) % 4 for part, n in (("train", 40), ("test", 20))},
    }
    (tmp_path / folder).mkdir(exist_ok=True)
    np.savez_compressed(tmp_path / folder / "mnist.npz", **arrays)
    dataset = SmallMNIST("test", root=tmp_path, download=False)
    np.testing.assert_array_equal(dataset.images[:, 0], arrays["x_test"])
    np.testing.assert_array_equal(dataset.labels, arrays["y_test"])
    del arrays["y_test"]
    np.savez_compressed(tmp_path / folder / "mnist.npz", **arrays)
    with pytest.raises(ValueError, match=r"mnist\.npz should hold a uint8 array 'y_test' with 1 axes, but holds \[\]"):
        SmallMNIST("test", root=tmp_path, download=False)


def test_labels_outside_the_classes_are_refused(tmp_path):
    write(tmp_path / "mnist", small_mnist(labels=12))
    with pytest.raises(ValueError, match=r"labels must be in 0\.\.9 for 10 classes, but label 10 is 10"):
        SmallMNIST(root=tmp_path)


def test_a_truncated_file_is_refused(mnist_root):
    path = mnist_root / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz is damaged or cut short"):
        SmallMNIST(root=mnist_root)


def test_unzipped_idx_files_are_read_too(tmp_path):
    write(tmp_path / "mnist", {name[:-3]: gzip.decompress(content) for name, content in small_mnist().items()})
    assert len(SmallMNIST("trainval", root=tmp_path, download=False)) == 40


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({b"labels": [0] * 7}, "holds 8 pictures, but 7 labels"),
        ({b"labels": [0.5] * 8}, "a list of integers"),
        ({b"labels": [11] * 8}, "label 0 is 11|label 8 is 11"),
        ({b"data": np.zeros((8, 3071), np.uint8)}, r"uint8 \(N, 3072\)"),
        ({b"data": np.zeros((8, 3072))}, r"uint8 \(N, 3072\)"),
        ({b"data": b"text"}, r"uint8 \(N, 3072\)"),
    ],
)
def test_a_batch_that_holds_something_else_is_refused(cifar_root, changes, message):
    (cifar_root / "cifar-10-batches-py" / "data_batch_2").write_bytes(cifar_batch(0, 8, changes))
    with pytest.raises(ValueError, match=message):
        SmallCIFAR10(root=cifar_root)


def test_cifar100_reads_its_fine_labels(tmp_path):
    class SmallCIFAR100(CIFAR100):
        counts = {"train": 8, "test": 8}  # noqa: RUF012

    fine = {b"fine_labels": [99, 0, 1, 2, 3, 4, 5, 6], b"coarse_labels": [0] * 8}
    write(tmp_path / "cifar-100-python", {"test": cifar_batch(0, 8, fine)})
    dataset = SmallCIFAR100("test", root=tmp_path, download=False)
    assert dataset.labels.tolist() == fine[b"fine_labels"]
    assert len(set(dataset.classes)) == 100
    assert dataset.classes[99] == "worm"


class SmallKMNIST(KMNIST):
    counts = {"train": 4, "test": 4}  # noqa: RUF012


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((4, 28, 28)), np.zeros(4, np.uint8), "one uint8 array with 3 axes, but holds .*float64"),
        (np.zeros((4, 28, 28), np.uint8), np.zeros(3, np.uint8), r"labels \(4,\), but hold"),
    ],
)
def test_npz_files_of_something_else_are_refused(tmp_path, images, labels, message):
    (tmp_path / "kmnist").mkdir()
    np.savez(tmp_path / "kmnist" / "kmnist-test-imgs.npz", images)
    np.savez(tmp_path / "kmnist" / "kmnist-test-labels.npz", labels)
    with pytest.raises(ValueError, match=message):
        SmallKMNIST("test", root=tmp_path, download=False)
    (tmp_path / "kmnist" / "kmnist-test-imgs.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(ValueError, match="damaged or no npz file"):
        SmallKMNIST("test", root=tmp_path, download=False)


# Mean and standard deviation


def test_channel_statistics_are_those_of_all_pixels(cifar_root):
    dataset = SmallCIFAR10("trainval", root=cifar_root)
    mean, std = channel_statistics(dataset, batch_size=7)
    values = dataset.images.astype(np.float64) / 255
    np.testing.assert_allclose(mean, values.mean(axis=(0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(std, values.std(axis=(0, 2, 3)), rtol=1e-4, atol=1e-7)


# The real files

real_files = pytest.mark.skipif("MINICNN_DATA" not in os.environ, reason="MINICNN_DATA is not set: no real data here")


@pytest.mark.slow
@real_files
@pytest.mark.parametrize("made", [MNIST, FashionMNIST, CIFAR10])
def test_the_real_training_pictures_have_the_stated_counts_and_statistics(made):
    both = made("trainval", download=False)
    assert both.images.shape == (made.counts["train"], *made.image_shape)
    counts = np.bincount(both.labels, minlength=10)
    if made is MNIST:  # counts as its authors' page has them
        assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    else:
        assert (counts == len(both) // 10).all()
    mean, std = channel_statistics(both)
    np.testing.assert_allclose(mean, made.mean, atol=6e-5)
    np.testing.assert_allclose(std, made.std, atol=6e-5)


@pytest.mark.slow
@real_files
@pytest.mark.parametrize("made", [MNIST, FashionMNIST, CIFAR10])
def test_the_real_val_is_5000_pictures_with_the_shares_of_the_whole(made):
    val, train = made("val", download=False), made("train", download=False)
    assert (len(val), len(train)) == (5000, made.counts["train"] - 5000)
    shares = np.bincount(np.concatenate([val.labels, train.labels])) * 5000 / made.counts["train"]
    assert (np.abs(np.bincount(val.labels) - shares) < 1).all()


@real_files
@pytest.mark.parametrize("made", [MNIST, FashionMNIST, KMNIST])
def test_the_real_test_pictures_are_there(made):
    test = made("test", download=False)
    assert test.images.shape == (10_000, 1, 28, 28)
    image, label = test[0]
    # The first of each test set, as its authors show it: a seven, an ankle boot, "su".
    assert label == {MNIST: 7, FashionMNIST: 9, KMNIST: 2}[made]
    assert 0.03 < image.mean() < 0.5


@real_files
def test_a_missing_real_batch_is_named():
    if os.path.exists(os.path.join(os.environ["MINICNN_DATA"], "cifar-10-batches-py", "test_batch")):
        pytest.skip("the test batch is here")
    with pytest.raises(FileNotFoundError, match="test_batch"):
        CIFAR10("test", root=os.environ["MINICNN_DATA"], download=False)
