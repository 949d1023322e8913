"""Data sets hand out the right pictures with the right labels, one by one and in batches alike."""

import numpy as np
import pytest

from minicnn.data import ConcatDataset, Dataset, Subset, TensorDataset, collate
from minicnn.kernels import layout


def numbered(count, first=0, shape=(3, 4, 5)):
    """uint8 pictures whose every pixel is their number, labelled with their number modulo 3."""
    numbers = np.arange(first, first + count)
    images = np.broadcast_to(numbers.astype(np.uint8).reshape(-1, 1, 1, 1), (count, *shape))
    return TensorDataset(images, numbers % 3)


class Squares(Dataset):
    """A data set with nothing but the two methods that it must have."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index >= 6:
            raise IndexError(index)
        return np.full((2, 3, 4), index**2, np.float64), index


def test_an_item_is_a_float_picture_in_0_to_1_and_an_int():
    image, label = TensorDataset(np.full((2, 3, 4, 5), 255, np.uint8), [7, 8])[1]
    assert image.dtype == np.float32
    assert image.shape == (3, 4, 5)
    assert (image == 1.0).all()
    assert type(label) is int
    assert label == 8


def test_every_uint8_value_becomes_its_255th():
    images = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    image, _ = TensorDataset(images, [0])[0]
    np.testing.assert_array_equal(image, images[0].astype(np.float32) / np.float32(255))


def test_pictures_stay_uint8_inside_and_come_out_channels_last():
    dataset = numbered(5)
    assert dataset.images.dtype == np.uint8
    images, labels = dataset.batch([3, 0])
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    assert layout.is_channels_last(images)
    assert images[0, 0, 0, 0] == np.float32(3 / 255)


@pytest.mark.parametrize(
    "dataset",
    [
        numbered(7),
        Subset(numbered(9), [8, 1, 1, 4]),
        ConcatDataset([numbered(3), numbered(4, 3), numbered(2, 7)]),
        Subset(ConcatDataset([numbered(3), Subset(numbered(9), [7, 5])]), [4, 0, 3]),
        Squares(),
    ],
    ids=["arrays", "subset", "concat", "subset of concat", "two methods only"],
)
def test_a_batch_holds_what_the_items_hold(dataset):
    indices = [len(dataset) - 1, 0, 2, 0]
    images, labels = dataset.batch(indices)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    for place, index in enumerate(indices):
        image, label = dataset[index]
        np.testing.assert_array_equal(images[place], image)
        assert labels[place] == label
    np.testing.assert_array_equal(dataset.labels, [dataset[index][1] for index in range(len(dataset))])


def test_concat_goes_on_where_the_first_set_ends():
    dataset = ConcatDataset([numbered(3), numbered(4, 3)])
    assert len(dataset) == 7
    assert [round(float(image[0, 0, 0] * 255)) for image, _ in dataset] == [0, 1, 2, 3, 4, 5, 6]


def test_a_subset_keeps_the_order_of_its_indices():
    dataset = Subset(numbered(9), [5, 2, 2])
    assert [round(float(image[0, 0, 0] * 255)) for image, _ in dataset] == [5, 2, 2]


def test_negative_indices_count_from_the_end_and_others_end_a_loop():
    dataset = numbered(4)
    for data in (dataset, Subset(dataset, [3, 1]), ConcatDataset([dataset, numbered(3, 4)])):
        for back in range(1, len(data) + 1):
            np.testing.assert_array_equal(data[-back][0], data[len(data) - back][0])
        with pytest.raises(IndexError, match=f"outside this data set of {len(data)} items"):
            data[len(data)]
        assert len([item for item in data]) == len(data)  # noqa: C416  a loop that ends by IndexError


def test_other_arrays_become_float32_or_int64():
    dataset = TensorDataset(np.ones((4, 6)), np.ones(4, np.uint8), np.ones((4, 5, 5), np.int16))
    features, labels, masks = dataset.batch([0, 1])
    assert (features.dtype, labels.dtype, masks.dtype) == (np.float32, np.int64, np.int64)
    assert features.shape == (2, 6)


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"equal lengths, but have \[4, 3\]"):
        TensorDataset(np.zeros((4, 1, 2, 2)), np.zeros(3, int))
    with pytest.raises(ValueError, match="at least one array"):
        TensorDataset()


@pytest.mark.parametrize("wrong", [-1, 3, 255])
def test_a_label_outside_the_classes_is_named(wrong):
    with pytest.raises(ValueError, match=rf"0\.\.2 for 3 classes, but label 1 is {wrong} \(1 of 4"):
        TensorDataset(np.zeros((4, 1, 2, 2)), [0, wrong, 2, 1], classes=("a", "b", "c"))


def test_text_and_scalars_are_no_data():
    with pytest.raises(TypeError, match="array 1 of a TensorDataset must hold numbers"):
        TensorDataset(np.zeros((2, 3)), np.array(["a", "b"]))
    with pytest.raises(TypeError, match="at least one axis"):
        TensorDataset(np.float32(1))


def test_one_array_has_no_labels():
    dataset = TensorDataset(np.zeros((2, 1, 3, 3)))
    assert len(dataset.batch([0, 1])) == 1
    with pytest.raises(ValueError, match="no labels"):
        _ = dataset.labels


@pytest.mark.parametrize("indices", [[0, 9], [-1]])
def test_a_subset_refuses_places_outside(indices):
    with pytest.raises(ValueError, match=r"must be in 0\.\.8"):
        Subset(numbered(9), indices)


def test_concat_refuses_other_classes_and_nothing():
    first = TensorDataset(np.zeros((1, 1, 2, 2)), [0], classes=("cat", "dog"))
    second = TensorDataset(np.zeros((1, 1, 2, 2)), [0], classes=("dog", "cat"))
    with pytest.raises(ValueError, match="same classes"):
        ConcatDataset([first, second])
    with pytest.raises(ValueError, match="at least one"):
        ConcatDataset([])
    assert ConcatDataset([first, first]).classes == ("cat", "dog")


def test_concat_refuses_pictures_of_two_sizes_in_one_batch():
    with pytest.raises(ValueError, match="differ in the shape"):
        ConcatDataset([numbered(2), numbered(2, shape=(3, 5, 4))]).batch([0, 3])


def test_collate_refuses_what_has_no_common_shape():
    with pytest.raises(ValueError, match="different shapes"):
        collate([(np.zeros((3, 4, 4)), 0), (np.zeros((3, 4, 5)), 1)])
    with pytest.raises(TypeError, match=r"field 1 of the items \(dict\).*collate_fn"):
        collate([(np.zeros((3, 4, 4)), {"boxes": 1})])


@pytest.mark.parametrize("values", [(1, 2.5, 0.5), (2.5, 1, 0.5), (np.int64(1), np.float32(2.5), True)])
def test_a_batch_keeps_the_fractions_of_every_item(values):
    (stacked,) = collate([(value,) for value in values])
    assert stacked.dtype == np.float32
    assert stacked.tolist() == [float(value) for value in values]


def test_whole_numbers_stay_whole():
    (labels,) = collate([(1,), (np.uint8(200),), (True,)])
    assert labels.dtype == np.int64
    assert labels.tolist() == [1, 200, 1]


def test_uint8_pictures_of_ones_own_arrive_as_a_tensor_datasets_do():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2) * 10
    images, masks = collate([(picture, picture[0]) for picture in pixels])
    np.testing.assert_array_equal(images, TensorDataset(pixels).batch([0, 1])[0])
    assert masks.dtype == np.int64  # (H, W) are labels, one a pixel
    assert masks.max() == 150


def test_uint8_and_float_pictures_mix_on_one_scale():
    images, _ = collate([(np.full((1, 2, 2), 51, np.uint8), 0), (np.full((1, 2, 2), 0.5, np.float32), 1)])
    np.testing.assert_allclose(images[:, 0, 0, 0], [0.2, 0.5], rtol=1e-6)
