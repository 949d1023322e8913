"""Every public function of data and transforms over odd arrays: right values, or an error that names the argument."""

import numpy as np
import pytest

from minicnn.data import (
    DataLoader,
    Dataset,
    TensorDataset,
    channel_statistics,
    collate,
    cutmix,
    k_per_class,
    mixup,
    stratified_split,
)
from minicnn.data import transforms as T

pytestmark = pytest.mark.filterwarnings("error")

PICTURES = np.random.default_rng(0).random((4, 3, 6, 8)).astype(np.float16).astype(np.float32)  # exact in 16 bits
LABELS = np.array([0, 1, 2, 1])


def draws():
    return np.random.Generator(np.random.Philox(1))


TRANSFORMS = {
    repr(transform)[:24]: lambda images, transform=transform: transform(images, draws())
    for transform in (
        T.RandomHorizontalFlip(),
        T.RandomCrop(5, padding=1),
        T.CenterCrop(4),
        T.CenterCrop(10),
        T.Resize(3),
        T.Resize((9, 9), "bicubic"),
        T.Resize(4, "nearest"),
        T.Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.1)),
        T.ColorJitter(0.4, 0.4, 0.4, 0.1),
        T.Cutout(3),
        T.RandomErasing(1, value="random"),
        T.ToFloat(),
    )
}
MIXING = {
    "mixup": lambda images: mixup(images, LABELS, 3, generator=draws())[0],
    "cutmix": lambda images: cutmix(images, LABELS, 3, generator=draws())[0],
}
SETS = {
    "TensorDataset": lambda images: TensorDataset(images, np.arange(len(images))).batch([0, 2, 1])[0],
    "collate": lambda images: collate([(picture, 1) for picture in images])[0],
    "DataLoader": lambda images: next(iter(DataLoader(TensorDataset(images), 4)))[0],
    "channel_statistics": lambda images: np.array(channel_statistics(TensorDataset(images))),
}
ALL = {**TRANSFORMS, **MIXING, **SETS}


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array):
    wide = np.full((8, 3, 6, 16), np.nan, array.dtype)
    wide[::2, :, :, ::2] = array
    return wide[::2, :, :, ::2]


def unaligned(array):
    return np.frombuffer(b"x" + array.tobytes(), array.dtype, offset=1).reshape(array.shape)


FORMS = {
    "Fortran order": np.asfortranarray,
    "channels last": lambda array: np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
    "float64": lambda array: array.astype(np.float64),
    "other byte order, float64": lambda array: array.astype(np.dtype(np.float64).newbyteorder()),
    "float16": lambda array: array.astype(np.float16),
    "longdouble": lambda array: array.astype(np.longdouble),
    "read-only": read_only,
    "strided": strided,
    "negative strides": lambda array: array[::-1, :, :, ::-1].copy()[::-1, :, :, ::-1],
    "unaligned": unaligned,
    "lists": lambda array: array.tolist(),
    "a subclass": lambda array: array.view(np.ma.MaskedArray),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_an_array_changes_neither_the_result_nor_the_argument(name, form):
    expected = ALL[name](PICTURES.copy())
    given = FORMS[form](PICTURES.copy())
    result = ALL[name](given)
    assert type(result) is np.ndarray
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, atol=2e-6)
    np.testing.assert_array_equal(np.asarray(given, np.float64), PICTURES)


BAD = {
    "one axis too few": PICTURES[0, 0],
    "one axis too many": PICTURES[np.newaxis],
    "without pixels": np.zeros((4, 3, 0, 8), np.float32),
    "without channels": np.zeros((4, 0, 6, 8), np.float32),
    "int64": (PICTURES * 255).astype(np.int64),
    "bool": PICTURES > 0.5,
    "complex": PICTURES.astype(np.complex64),
    "objects": PICTURES.astype(object),
    "dates": np.zeros((4, 3, 6, 8), "M8[s]"),
    "text": np.array(["a"]),
    "None": None,
    "a number": 3.0,
    "a dictionary": {"a": 1},
    "uneven lists": [[1, 2], [3]],
}


@pytest.mark.parametrize("name", [*TRANSFORMS, *MIXING])
@pytest.mark.parametrize("bad", BAD)
def test_what_is_not_pictures_is_refused_by_name(name, bad):
    function = name.partition("(")[0]
    with pytest.raises((TypeError, ValueError), match=rf"{function}|images must be"):
        ALL[name](BAD[bad])


@pytest.mark.parametrize("name", TRANSFORMS)
def test_an_empty_batch_stays_empty(name):
    result = TRANSFORMS[name](PICTURES[:0])
    assert result.shape[:2] == (0, 3)
    assert result.dtype == np.float32


@pytest.mark.parametrize("name", [*TRANSFORMS, *MIXING])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_a_pixel_that_is_not_finite_costs_no_warning_and_no_other_picture(name, value):
    broken = PICTURES.copy()
    broken[0, :, 2, 3] = value
    result, expected = ALL[name](broken), ALL[name](PICTURES.copy())
    if name in TRANSFORMS:
        np.testing.assert_allclose(result[1:], expected[1:], atol=1e-6)
    assert result.shape == expected.shape


def test_statistics_name_the_picture_that_is_not_finite():
    broken = PICTURES.copy()
    broken[2, 1, 0, 0] = np.inf
    with pytest.raises(ValueError, match="picture 2 of dataset has a pixel that is NaN or infinite"):
        channel_statistics(TensorDataset(broken))
    with pytest.raises(ValueError, match=r"dataset must hold pictures \(C, H, W\).*its first has \(6,\)"):
        channel_statistics(TensorDataset(PICTURES[0, 0, :, :6]))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.0, 1.0, 2.0, 1.0], "labels must be integers, but are float64"),
        ([True, False, True, True], "labels must be integers, but are bool"),
        ([0, 1], r"labels must be \(4,\)"),
        ([[0], [1], [2, 3], [1]], "labels must be an array"),
        ([0, 1, 3, 1], r"labels must be in 0\.\.2 for 3 classes, but label 2 is 3"),
        (None, r"labels must be \(4,\)"),
    ],
)
@pytest.mark.parametrize("function", [mixup, cutmix])
def test_odd_labels_are_refused_by_name(function, labels, message):
    with pytest.raises((TypeError, ValueError), match=message):
        function(PICTURES, labels, 3)


@pytest.mark.parametrize("dtype", [">i8", np.uint8, np.int16, ">u2"])
def test_labels_of_any_integer_type_mix_alike(dtype):
    expected = mixup(PICTURES, LABELS, 3, generator=draws())[1]
    for labels in (LABELS.astype(dtype), LABELS.tolist()):
        np.testing.assert_array_equal(mixup(PICTURES, labels, 3, generator=draws())[1], expected)


class Items(Dataset):
    """A data set of the given items."""

    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ((PICTURES[0], None), r"field 1 of the items \(NoneType\).*item 2"),
        ((PICTURES[0], "cat"), r"field 1 of the items \(str\).*item 2"),
        ((PICTURES[0], 1j), r"field 1 of the items \(complex\).*item 2"),
        ((PICTURES[0], [[1], [2, 3]]), "field 1 of item 2 must be an array"),
        ((PICTURES[0], [1, 2]), r"field 1 has items of different shapes, \(\) and \(2,\).*items 1 and 2"),
        ((PICTURES[0][:1], 1), r"field 0 .* shapes, \(3, 6, 8\) and \(1, 6, 8\).*items 1 and 2"),
        ((PICTURES[0], np.uint64(2**63)), r"field 1 of item 2 must be below 2\*\*63"),
        (PICTURES[0], r"item 2 must be a tuple such as \(image, label\), but is ndarray"),
        (None, "item 2 must be a tuple"),
        ((PICTURES[0], 1, 2), "item 2 has 3 fields, but item 1 has 2"),
    ],
)
def test_an_item_that_makes_no_batch_is_named_by_its_place_in_the_data_set(item, message):
    good = (PICTURES[0], 1)
    loader = DataLoader(Items(good, good, item), sampler=[1, 2], batch_size=2)
    with pytest.raises((TypeError, ValueError), match=message):
        list(loader)


def test_labels_beyond_int64_are_refused_and_not_turned_negative():
    with pytest.raises(ValueError, match=r"array 1 of a TensorDataset must be below 2\*\*63, but holds 92233"):
        TensorDataset(PICTURES, np.array([0, 1, 2, 2**63], np.uint64))
    with pytest.raises(ValueError, match="array 0 of a TensorDataset must be an array, or lists of equal lengths"):
        TensorDataset([[1, 2], [3]])
    with pytest.raises(ValueError, match="items must hold at least one item"):
        collate([])


@pytest.mark.parametrize("labels", [[0.5, 1], "abc", None, [[1], [2, 3]]])
def test_splits_refuse_what_is_not_labels(labels):
    for call in (lambda: stratified_split(labels, [1]), lambda: k_per_class(labels, 1)):
        with pytest.raises(ValueError, match="labels"):
            call()


def test_sizes_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match=r"sizes must be 0 or more, but are \[nan\]"):
        stratified_split(LABELS, [float("nan")])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: T.RandomCrop("5"), "size must be a whole number"),
        (lambda: T.RandomCrop(None), "size must be a whole number"),
        (lambda: T.RandomCrop(5.0), "size must be a whole number"),
        (lambda: T.Resize(True), "size must be a whole number"),
        (lambda: T.RandomHorizontalFlip("often"), "p must be a number"),
        (lambda: T.RandomHorizontalFlip(float("nan")), "p is a probability"),
        (lambda: T.Normalize(float("nan"), 1), "mean must be finite"),
        (lambda: T.Normalize(0, float("inf")), "std must be above 0 in every channel, and finite"),
        (lambda: mixup(PICTURES, LABELS, 3, alpha=float("inf")), "alpha must be above 0, and finite"),
        (lambda: mixup(PICTURES, LABELS, 3, alpha=float("nan")), "alpha must be above 0"),
    ],
)
def test_odd_settings_are_refused_by_name(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()
