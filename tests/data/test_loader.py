"""DataLoader: the same bits whatever the prefetch, the place of a resume or what else drew; and threads that end."""

import _thread
import itertools
import threading
import time
import traceback

import numpy as np
import pytest

from minicnn.data import DataLoader, Dataset, Subset, TensorDataset, WeightedRandomSampler
from minicnn.kernels import layout
from minicnn.random import manual_seed, next_stream


def numbered(count=37):
    images = np.zeros((count, 3, 4, 6), np.float32)
    images += np.arange(count).reshape(-1, 1, 1, 1)
    return TensorDataset(images, np.arange(count))


def noisy(images, generator):
    return images + generator.standard_normal(images.shape, np.float32)


def labels_of(batches):
    return [labels.tolist() for _, labels in batches]


def assert_same_bits(first, second):
    first, second = list(first), list(second)
    assert len(first) == len(second)
    for (images, labels), (other_images, other_labels) in zip(first, second, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


def prefetch_threads():
    return [thread for thread in threading.enumerate() if thread.name == "minicnn-prefetch"]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    assert prefetch_threads() == []


# What comes out


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("transform", [None, noisy, lambda images, generator: np.ascontiguousarray(images)])
def test_batches_are_float32_channels_last_pictures_and_int64_labels(prefetch, transform):
    for images, labels in DataLoader(numbered(), 8, transform=transform, prefetch=prefetch):
        assert images.dtype == np.float32
        assert labels.dtype == np.int64
        assert layout.is_channels_last(images)
        assert images.shape == (len(labels), 3, 4, 6)


def test_loading_counts_no_layout_conversion():
    before = layout.conversions()
    list(DataLoader(numbered(), 8, transform=lambda images, generator: np.ascontiguousarray(images)))
    assert layout.conversions() == before


def test_without_shuffle_the_order_is_that_of_the_data_set():
    assert labels_of(DataLoader(numbered(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_drop_last_leaves_out_the_small_batch():
    loader = DataLoader(numbered(7), 3, drop_last=True)
    assert len(loader) == 2
    assert labels_of(loader) == [[0, 1, 2], [3, 4, 5]]
    assert len(DataLoader(numbered(6), 3, drop_last=True)) == 2
    assert len(DataLoader(numbered(7), 3)) == 3


def test_shuffle_visits_every_picture_once_and_keeps_labels_with_pictures():
    batches = list(DataLoader(numbered(), 8, shuffle=True, seed=5))
    assert sorted(itertools.chain(*labels_of(batches))) == list(range(37))
    for images, labels in batches:
        np.testing.assert_array_equal(images[:, 1, 2, 3], labels)


def test_a_row_of_indices_is_a_sampler():
    assert labels_of(DataLoader(numbered(), 2, sampler=[5, 5, 9])) == [[5, 5], [9]]


def test_a_sampler_decides_how_long_an_epoch_is():
    loader = DataLoader(numbered(), 4, sampler=WeightedRandomSampler(np.arange(37) < 3, 10), seed=0)
    assert len(loader) == 3
    assert set(itertools.chain(*labels_of(loader))) <= {0, 1, 2}


def test_collate_fn_makes_batches_of_what_arrays_cannot_hold():
    loader = DataLoader(numbered(5), 2, collate_fn=lambda items: ([x[0, 0, 0] for x, _ in items], {"n": len(items)}))
    assert [(pictures, target["n"]) for pictures, target in loader] == [([0, 1], 2), ([2, 3], 2), ([4], 1)]


# The same bits


@pytest.mark.parametrize("prefetch", [1, 2, 7])
def test_prefetch_changes_no_bit(prefetch):
    def make(depth):
        return DataLoader(numbered(), 4, shuffle=True, transform=noisy, seed=3, prefetch=depth)

    assert_same_bits(make(0), make(prefetch))


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("start", [0, 1, 5, 10])
def test_a_resume_in_mid_epoch_gives_the_rest_of_that_epoch(start, prefetch):
    def make():
        return DataLoader(numbered(), 4, shuffle=True, transform=noisy, seed=3, prefetch=prefetch)

    whole = make()
    whole.set_epoch(6)
    resumed = make()
    resumed.set_epoch(6)
    assert_same_bits(list(whole)[start:], resumed.iterate(start_batch=start))


def test_epochs_differ_in_order_and_in_augmentation():
    loader = DataLoader(numbered(), 37, shuffle=True, seed=0)
    loader.set_epoch(0)
    (_, first), (_, second) = next(iter(loader.iterate())), _first_of_epoch(loader, 1)
    assert not np.array_equal(first, second)
    plain = DataLoader(numbered(), 37, transform=noisy, seed=0)
    assert not np.array_equal(_first_of_epoch(plain, 0)[0], _first_of_epoch(plain, 1)[0])


def _first_of_epoch(loader, epoch):
    loader.set_epoch(epoch)
    return next(iter(list(loader)))


def test_two_batches_of_an_epoch_are_augmented_differently():
    dataset = Subset(numbered(), [0, 0])
    (first, _), (second, _) = DataLoader(dataset, 1, transform=noisy, seed=0)
    assert not np.array_equal(first, second)


def test_the_seed_is_that_of_manual_seed_unless_given():
    manual_seed(8)
    from_global = labels_of(DataLoader(numbered(), 5, shuffle=True))
    assert from_global == labels_of(DataLoader(numbered(), 5, shuffle=True, seed=8))
    assert from_global != labels_of(DataLoader(numbered(), 5, shuffle=True, seed=9))
    manual_seed(0)


def test_draws_elsewhere_change_nothing():
    def make():
        return DataLoader(numbered(), 4, shuffle=True, transform=noisy)

    manual_seed(2)
    undisturbed = list(make())
    manual_seed(2)
    disturbed = []
    for batch in make():
        next_stream("dropout").random(100)
        manual_seed(77)  # what was begun with seed 2 goes on with seed 2
        disturbed.append(batch)
    assert_same_bits(undisturbed, disturbed)
    manual_seed(0)


def test_every_iterator_has_an_epoch_of_its_own():
    loader = DataLoader(numbered(), 10, shuffle=True, seed=1)
    peeked = next(iter(loader))
    assert loader.epoch == 1  # also after a loop that was left early
    assert not np.array_equal(peeked[1], next(iter(loader))[1])
    assert not any(np.array_equal(one[1], other[1]) for one, other in zip(loader, loader, strict=True))
    assert loader.epoch == 4


def test_a_pass_moves_on_to_the_next_epoch():
    loader = DataLoader(numbered(), 10, shuffle=True, seed=1)
    first = list(loader)
    assert loader.epoch == 1
    second = list(loader)
    assert loader.epoch == 2
    assert labels_of(first) != labels_of(second)
    loader.set_epoch(0)
    assert_same_bits(first, loader)


# Threads


def test_an_iteration_that_is_left_early_ends_its_thread():
    loader = DataLoader(numbered(), 2, prefetch=3)
    for _ in loader:
        assert len(prefetch_threads()) == 1
        break
    assert prefetch_threads() == []


def test_an_error_in_the_training_step_ends_the_thread():
    def step():
        for _ in DataLoader(numbered(), 2, prefetch=1):
            raise KeyboardInterrupt  # what Ctrl-C raises

    with pytest.raises(KeyboardInterrupt):
        step()
    assert prefetch_threads() == []


def test_ctrl_c_interrupts_the_wait_for_a_slow_batch():
    entered, released = threading.Event(), threading.Event()

    def slow(images, generator):
        entered.set()
        released.wait(10)
        return images

    def interrupt():
        entered.wait(10)
        time.sleep(0.1)
        _thread.interrupt_main()
        time.sleep(0.1)
        released.set()  # closing waits for the batch in the making, so let it be made

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(DataLoader(numbered(), 2, transform=slow))
    assert time.monotonic() - began < 5
    interrupter.join()


def test_an_iteration_that_never_began_has_no_thread():
    iterator = iter(DataLoader(numbered(), 2))
    assert prefetch_threads() == []
    del iterator


def test_batches_are_made_ahead_but_no_further_than_asked():
    made = []

    def note(images, generator):
        made.append(int(images[0, 0, 0, 0]))
        return images

    iterator = iter(DataLoader(numbered(20), 1, transform=note, prefetch=3))
    next(iterator)
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3, 4]  # one taken, three in the queue, one waiting for room
    iterator.close()


class BrokenAtFive(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 5:
            raise OSError("picture 5 is unreadable")
        return np.zeros((1, 2, 2), np.float32), index


@pytest.mark.parametrize("prefetch", [0, 1, 4])
def test_an_error_in_the_data_set_reaches_the_caller_in_its_place_with_its_traceback(prefetch):
    seen = []
    with pytest.raises(OSError, match="picture 5 is unreadable") as caught:
        seen.extend(int(labels[0]) for _, labels in DataLoader(BrokenAtFive(), 1, prefetch=prefetch))
    assert seen == [0, 1, 2, 3, 4]
    assert "__getitem__" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_an_epoch_that_ended_in_an_error_can_be_repeated():
    loader = DataLoader(BrokenAtFive(), 1)
    for _ in range(2):
        loader.set_epoch(0)
        with pytest.raises(OSError, match="picture 5"):
            list(loader)
    assert loader.epoch == 1


def test_two_iterations_of_one_loader_do_not_mix():
    loader = DataLoader(numbered(9), 2, shuffle=True, seed=4)
    alone = [labels_of(loader), labels_of(loader)]  # epochs 0 and 1
    loader.set_epoch(0)
    pairs = list(zip(loader, loader, strict=True))
    assert [first[1].tolist() for first, _ in pairs] == alone[0]
    assert [second[1].tolist() for _, second in pairs] == alone[1]


# Bad input


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be 1 or more, but is 0"),
        ({"batch_size": -3}, ValueError, "batch_size must be 1 or more"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be a whole number"),
        ({"batch_size": True}, TypeError, "batch_size must be a whole number"),
        ({"prefetch": -1}, ValueError, "prefetch must be 0 or more"),
        ({"shuffle": True, "sampler": [0]}, ValueError, "either shuffle=True or a sampler"),
        ({"batch_size": 38, "drop_last": True}, ValueError, "no batch is left: 37 pictures, batch_size 38"),
        ({"sampler": []}, ValueError, "no batch is left: 0 pictures"),
    ],
)
def test_impossible_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        DataLoader(numbered(), **{"batch_size": 4, **arguments})


@pytest.mark.parametrize("wrong", [np.zeros((8, 1, 4, 4)), (np.zeros((8, 1, 4, 4)), np.zeros(8)), [1, 2]])
def test_what_is_no_data_set_is_refused_with_advice(wrong):
    with pytest.raises(
        TypeError, match=r"needs a Dataset, but got \w+; put arrays into TensorDataset\(images, labels\)"
    ):
        DataLoader(wrong, 4)


def test_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match="the data set is empty"):
        DataLoader(Subset(numbered(), []), 4)


def test_a_sampler_that_leaves_the_data_set_is_refused():
    with pytest.raises(ValueError, match=r"indices in 0\.\.36.* from 3 to 37"):
        list(DataLoader(numbered(), 2, sampler=[3, 37]))


def test_a_start_outside_the_epoch_is_refused():
    loader = DataLoader(numbered(), 10)
    assert list(loader.iterate(start_batch=4)) == []
    for start in (-1, 5):
        with pytest.raises(ValueError, match="start_batch"):
            loader.iterate(start_batch=start)
    with pytest.raises(ValueError, match="epoch must be 0 or more"):
        loader.set_epoch(-1)
