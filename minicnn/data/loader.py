"""DataLoader: batches of a data set, in a seeded order, made a little ahead of time by one background thread.

A batch does not depend on the time when the batch is made: its pictures are keyed by (seed, "shuffle", epoch), its
augmentation by (seed, "augment", epoch, batch). Hence neither the depth of the prefetch nor a resume in mid-epoch
changes a bit.

The background thread runs data set, transform and collate_fn: NumPy, Pillow and serial code. Nothing in this package
calls a parallel Numba kernel from that thread, and neither should a transform of yours: kernels take turns (two Python
threads in Numba's own threads at once could abort the process), so the training step would wait for it.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from minicnn import random
from minicnn.data.dataset import Dataset, channels_last
from minicnn.data.sampling import RandomSampler, Sampler, SequentialSampler

Batch = tuple[Any, ...]


class ImageBatches(Protocol):
    """Batches (images (N, C, H, W), targets, ...) and their number: a DataLoader, or a list of such tuples."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


class DataLoader:
    """Batches (images float32 (N, C, H, W) in channels-last memory, labels int64 (N,)) of `dataset`.

    shuffle     every picture once an epoch, in an order keyed by (seed, epoch); else in the order of the data set
    sampler     the pictures to visit instead: a Sampler, or a row of indices; not together with shuffle
    drop_last   leave out a last batch that is smaller than batch_size
    transform   called as transform(images, generator) on each batch, float32 (B, C, H, W), before it is handed out
    collate_fn  makes a batch from a list of items, for items that are not arrays of one shape
    seed        of order and augmentation; None means the seed of `minicnn.manual_seed` when an epoch begins
    prefetch    how many batches to make ahead, in one background thread; 0 makes each when it is asked for

    `for images, labels in loader` runs epoch `loader.epoch`, and the next iteration is that of the next epoch: each
    iterator has an order of its own, also in zip(loader, loader) and after a loop that was left early. A training loop
    calls `loader.set_epoch(epoch)` first, and resumes in mid-epoch with `loader.iterate(start_batch=k)`, which leaves
    `loader.epoch` as it is. Leaving an iteration early ends its thread.

    Raises TypeError unless `dataset` is a Dataset; ValueError for an empty data set, batch_size or prefetch out of
    range, shuffle together with a sampler, a sampler with a place outside the data set, or drop_last with fewer
    pictures than one batch. An error in the thread is raised where the batch is asked for, with its own traceback.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        sampler: Sampler | Sequence[int] | np.ndarray | None = None,
        drop_last: bool = False,
        transform: Callable[..., np.ndarray] | None = None,
        collate_fn: Callable[[list[Any]], Batch] | None = None,
        seed: int | None = None,
        prefetch: int = 2,
    ):
        if collate_fn is None and not hasattr(dataset, "batch"):
            raise TypeError(
                f"DataLoader needs a Dataset, but got {type(dataset).__name__}; put arrays into TensorDataset(images, "
                "labels), give a class of your own the base minicnn.data.Dataset, or give a collate_fn"
            )
        if shuffle and sampler is not None:
            raise ValueError("give either shuffle=True or a sampler: a sampler decides the order itself")
        self.dataset = dataset
        self.batch_size = _whole_number("batch_size", batch_size, 1)
        self.prefetch = _whole_number("prefetch", prefetch, 0)
        self.drop_last = bool(drop_last)
        self.transform = transform
        self.collate_fn = collate_fn
        self.seed = seed
        self.epoch = 0
        if len(dataset) == 0:
            raise ValueError("the data set is empty: there is nothing to load")
        if sampler is None:
            sampler = RandomSampler(len(dataset)) if shuffle else SequentialSampler(len(dataset))
        self.sampler = sampler if hasattr(sampler, "indices") else SequentialSampler(sampler)
        if len(self) == 0:
            raise ValueError(
                f"no batch is left: {len(self.sampler)} pictures, batch_size {self.batch_size}, "
                f"drop_last {self.drop_last}; make batch_size smaller or drop_last False"
            )

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0, that the next iteration runs."""
        self.epoch = _whole_number("epoch", epoch, 0)

    def __iter__(self) -> Iterator[Batch]:
        batches = self.iterate()
        self.epoch += 1
        return batches

    def iterate(self, start_batch: int = 0) -> Iterator[Batch]:
        """The batches of epoch `self.epoch` from number `start_batch` on: the same bits as a full epoch has there.

        Raises ValueError if start_batch is negative or above the number of batches.
        """
        start_batch = _whole_number("start_batch", start_batch, 0)
        if start_batch > len(self):
            raise ValueError(f"start_batch is {start_batch}, but an epoch has only {len(self)} batches")
        # Read here, not in the thread, so that a manual_seed in mid-epoch cannot reach batches made ahead.
        seed = random.get_state()["seed"] if self.seed is None else self.seed
        return self._batches(self._order(self.epoch, seed), self.epoch, start_batch, seed)

    def _batches(self, order: np.ndarray, epoch: int, start_batch: int, seed: int) -> Iterator[Batch]:
        """Batch after batch. With prefetch=0 a debugger steps from here into `_make`."""
        numbers = range(start_batch, len(self))
        if self.prefetch:
            yield from ahead((self._make(order, epoch, number, seed) for number in numbers), self.prefetch)
        else:
            for number in numbers:
                yield self._make(order, epoch, number, seed)

    def _order(self, epoch: int, seed: int) -> np.ndarray:
        """int64 (number of pictures,): the places that this epoch visits, in order."""
        order = np.asarray(self.sampler.indices(epoch, seed))
        if order.dtype.kind not in "iu" or order.min() < 0 or order.max() >= len(self.dataset):
            raise ValueError(
                f"the sampler must give indices in 0..{len(self.dataset) - 1}, the places of the data set, "
                f"but gave {order.dtype} from {order.min()} to {order.max()}"
            )
        return order

    def _make(self, order: np.ndarray, epoch: int, batch: int, seed: int) -> Batch:
        """One batch: its places in the data set -> its items as arrays -> transformed pictures."""
        indices = order[batch * self.batch_size : (batch + 1) * self.batch_size]
        if self.collate_fn is not None:
            images, *targets = self.collate_fn([self.dataset[int(index)] for index in indices])
        else:
            images, *targets = self.dataset.batch(indices)
        if self.transform is not None:
            images = self.transform(images, random.stream("augment", epoch, batch, seed=seed))
        if isinstance(images, np.ndarray) and images.ndim == 4:
            images = channels_last(images, np.float32)
        return (images, *targets)

    def __repr__(self) -> str:
        return (
            f"DataLoader({self.dataset!r}, batch_size={self.batch_size}, {type(self.sampler).__name__}, "
            f"{len(self)} batches, transform={self.transform!r})"
        )


_END = object()


def ahead(batches: Iterator[Batch], depth: int) -> Iterator[Batch]:
    """The same batches, up to `depth` of them made ahead by a background thread.

    The thread ends when the batches do, when one of them raises (the error is raised here, with its traceback), or when
    this generator is closed or forgotten; closing waits for the batch that is in the making.
    """
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(maxsize=depth)
    stop = threading.Event()
    thread = threading.Thread(target=_work, args=(batches, ready, stop), name="minicnn-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            batch, error = _get(ready)
            if error is not None:
                raise error
            if batch is _END:
                return
            yield batch
    finally:
        stop.set()
        _drain(ready)  # the thread may wait for room in the queue; one place is all it still asks for
        thread.join()


def _work(batches: Iterator[Batch], ready: queue.Queue[Any], stop: threading.Event) -> None:
    try:
        for batch in batches:
            ready.put((batch, None))
            if stop.is_set():
                return
        ready.put((_END, None))
    except BaseException as error:  # whatever it is, it belongs to the caller, who would wait without end otherwise
        ready.put((_END, error))


def _get(ready: queue.Queue[Any]) -> Any:
    """The next entry. Waits in short turns: on Windows a wait without end could not be interrupted by Ctrl-C."""
    while True:
        try:
            return ready.get(timeout=0.2)
        except queue.Empty:
            continue


def _drain(ready: queue.Queue[Any]) -> None:
    while True:
        try:
            ready.get_nowait()
        except queue.Empty:
            return


def _whole_number(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number, but is {type(value).__name__}: {value!r}")
    if value < least:
        raise ValueError(f"{name} must be {least} or more, but is {value}")
    return int(value)
