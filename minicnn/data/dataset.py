"""Data sets: something with a length, whose item i is (image, label), and which hands out whole batches at once.

    dataset[i]              (image float32 (C, H, W) in [0, 1], label int)
    dataset.batch(indices)  (images float32 (B, C, H, W), labels int64 (B,)), the same pictures in one go
    dataset.labels          int64 (N,), for splitting and sampling by class
    dataset.classes         the names of the classes, in the order of their labels

Pictures are kept as uint8 where they came so: a quarter of the memory, and a quarter of the memory traffic.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.kernels import layout


class Dataset:
    """The base class of data sets. A subclass writes `__len__` and `__getitem__`; the rest follows from these two.

    A subclass that holds arrays overrides `batch` and `labels`, which are slow here: they visit the items one by one.
    `__getitem__` raises IndexError past the end, so that a `for` loop over the data set stops there.
    """

    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__")

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def batch(self, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, ...]:
        """The items at `indices` as one tuple of arrays, (images (B, C, H, W), labels (B,)) as a rule."""
        return collate([self[int(index)] for index in indices], indices)

    @property
    def labels(self) -> np.ndarray:
        """int64 (N,): the label of every item. Visits every item; data sets that hold arrays do better."""
        return np.array([self[index][1] for index in range(len(self))], dtype=np.int64)


class TensorDataset(Dataset):
    """A data set of arrays that share their first axis: item i is (arrays[0][i], arrays[1][i], ...).

    uint8 arrays with four axes are pictures (N, C, H, W): kept as uint8, handed out as float32 in [0, 1]. Other floats
    are handed out as float32, other integers as int64. The name is torch's; the arrays are NumPy's.

    Raises TypeError for arrays of neither numbers nor booleans; ValueError if the lengths differ or a label is outside
    the classes.
    """

    def __init__(self, *arrays: Any, classes: Sequence[str] = ()):
        if not arrays:
            raise ValueError("TensorDataset needs at least one array, e.g. TensorDataset(images, labels)")
        self.arrays = tuple(_stored(array, position) for position, array in enumerate(arrays))
        lengths = [len(array) for array in self.arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"the arrays of a TensorDataset must have equal lengths, but have {lengths}")
        self.classes = tuple(classes)
        if self.classes and len(self.arrays) > 1:
            check_labels(self.labels, len(self.classes))

    @property
    def images(self) -> np.ndarray:
        """The first array as stored: pictures (N, C, H, W), uint8 if they were given as uint8."""
        return self.arrays[0]

    @property
    def labels(self) -> np.ndarray:
        """The second array, int64 (N,) for labels. Raises ValueError if there is only one array."""
        if len(self.arrays) < 2:
            raise ValueError("this TensorDataset has no labels: it was made from one array")
        return self.arrays[1]

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        item = (handed_out(array[check_index(index, len(self))]) for array in self.arrays)
        return tuple(int(value) if np.ndim(value) == 0 and value.dtype.kind == "i" else value for value in item)

    def batch(self, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(handed_out(array[np.asarray(indices, dtype=np.int64)]) for array in self.arrays)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{array.dtype} {array.shape}' for array in self.arrays)})"


class Subset(Dataset):
    """The items of `dataset` at `indices`, in that order; an index may come more than once.

    Raises ValueError if an index is outside the data set.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int] | np.ndarray):
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.int64).reshape(-1)
        if len(self.indices) and (self.indices.min() < 0 or self.indices.max() >= len(dataset)):
            raise ValueError(
                f"indices of a Subset must be in 0..{len(dataset) - 1}, the places of its data set, "
                f"but run from {self.indices.min()} to {self.indices.max()}"
            )
        self.classes = dataset.classes

    @property
    def labels(self) -> np.ndarray:
        return self.dataset.labels[self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return self.dataset[int(self.indices[check_index(index, len(self))])]

    def batch(self, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, ...]:
        return self.dataset.batch(self.indices[np.asarray(indices, dtype=np.int64)])

    def __repr__(self) -> str:
        return f"Subset({len(self)} of {self.dataset!r})"


class ConcatDataset(Dataset):
    """The items of several data sets, one after the other. Labels are not renumbered: the classes must be the same.

    Raises ValueError if `datasets` is empty, or if the classes differ.
    """

    def __init__(self, datasets: Sequence[Dataset]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset needs at least one data set")
        named = [dataset.classes for dataset in self.datasets if dataset.classes]
        if any(classes != named[0] for classes in named):
            raise ValueError(f"the data sets of a ConcatDataset must have the same classes, but have {named}")
        self.classes = named[0] if named else ()
        self.ends = np.cumsum([len(dataset) for dataset in self.datasets])

    @property
    def labels(self) -> np.ndarray:
        return np.concatenate([dataset.labels for dataset in self.datasets])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        index = check_index(index, len(self))
        which = int(np.searchsorted(self.ends, index, side="right"))
        return self.datasets[which][index - self._start(which)]

    def batch(self, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, ...]:
        indices = np.asarray(indices, dtype=np.int64)
        which = np.searchsorted(self.ends, indices, side="right")
        places, parts = [], []
        for part in np.unique(which):
            places.append(np.flatnonzero(which == part))
            parts.append(self.datasets[part].batch(indices[places[-1]] - self._start(part)))
        return tuple(_merge(places, fields, len(indices)) for fields in zip(*parts, strict=True))

    def _start(self, which: int) -> int:
        return int(self.ends[which]) - len(self.datasets[which])

    def __repr__(self) -> str:
        return f"ConcatDataset({self.datasets!r})"


def collate(
    items: Sequence[tuple[Any, ...]], indices: Sequence[int] | np.ndarray | None = None
) -> tuple[np.ndarray, ...]:
    """One array for each field of the items: pictures (C, H, W) -> (B, C, H, W), float32; integers -> int64.

    uint8 pictures are brought to [0, 1]. A field in which any item has a fraction is float32 for all of them. `indices`
    are the places of the items in the data set, by which errors name them; the default is their places in the batch.

    Raises ValueError if there are no items or pictures differ in size, TypeError if an item is not a tuple of the
    others' length or a field is not a number or an array.
    """
    places = range(len(items)) if indices is None else indices
    if not len(items):
        raise ValueError("items must hold at least one item, but are empty: there is no batch to make")
    for place, item in zip(places, items, strict=True):
        if not isinstance(item, (tuple, list)):
            raise TypeError(f"item {place} must be a tuple such as (image, label), but is {type(item).__name__}")
        if len(item) != len(items[0]):
            raise TypeError(f"item {place} has {len(item)} fields, but item {places[0]} has {len(items[0])}")
    return tuple(_stack(list(field), number, places) for number, field in enumerate(zip(*items, strict=True)))


def as_array(name: str, value: Any) -> np.ndarray:
    """`value` as an array. Raises ValueError, naming the argument, if it is a list of lists of unequal lengths."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be an array, or lists of equal lengths ({str(error)[:80]})") from error


def check_index(index: int, length: int) -> int:
    """`index` counted from the front (-1 is the last). Raises IndexError outside -length..length-1."""
    if not -length <= index < length:
        raise IndexError(f"index {index} is outside this data set of {length} items")
    return index % length


def check_labels(labels: np.ndarray, num_classes: int) -> None:
    """Raises ValueError unless every label is in 0..num_classes-1; names the first that is not."""
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        raise ValueError(
            f"labels must be in 0..{num_classes - 1} for {num_classes} classes, "
            f"but label {wrong[0]} is {labels[wrong[0]]} ({len(wrong)} of {len(labels)} are out of range)"
        )


def handed_out(array: np.ndarray) -> np.ndarray:
    """Stored values as a user gets them: uint8 pictures become float32 in [0, 1], in the memory order they have."""
    if array.dtype != np.uint8:
        return array
    result: np.ndarray = np.divide(array, np.float32(255), dtype=np.float32)
    return result


def _handed_out_item(array: np.ndarray) -> np.ndarray:
    """One item's field: a uint8 picture (C, H, W) becomes float32 in [0, 1], as a TensorDataset's pictures do."""
    return handed_out(array) if array.ndim == 3 else array


def _stored(array: Any, position: int) -> np.ndarray:
    """`array` as a TensorDataset keeps it: uint8 pictures as they are, other floats float32, other integers int64."""
    array = as_array(f"array {position} of a TensorDataset", array)
    if array.ndim == 0 or array.dtype.kind not in "buif":
        raise TypeError(
            f"array {position} of a TensorDataset must hold numbers and have at least one axis, "
            f"but has dtype {array.dtype} and shape {array.shape}"
        )
    if array.ndim == 4 and array.dtype.kind in "uf":
        return channels_last(array, np.uint8 if array.dtype == np.uint8 else np.float32)
    if array.dtype.kind != "f":
        return _int64(f"array {position} of a TensorDataset", array)
    result: np.ndarray = array.astype(np.float32, copy=False)
    return result


def channels_last(images: np.ndarray, dtype: Any = None) -> np.ndarray:
    """(N, C, H, W) with channels-last memory: the same array if possible, else a copy.

    Unlike `layout.as_channels_last` this copy is not counted: data sets make a copy once, training steps don't.
    """
    dtype = images.dtype if dtype is None else dtype
    if layout.is_channels_last(images) and images.dtype == dtype:
        return images
    result = layout.empty(images.shape, dtype)
    for channel in range(images.shape[1]):  # one at a time: several times faster than all at once for a few channels
        result[:, channel] = images[:, channel]
    return result


def _stack(values: list[Any], field: int, places: Sequence[int] | np.ndarray) -> np.ndarray:
    arrays = [_handed_out_item(as_array(f"field {field} of item {p}", v)) for p, v in zip(places, values, strict=True)]
    for place, array, value in zip(places, arrays, values, strict=True):
        if array.dtype.kind not in "buif":
            raise TypeError(
                f"field {field} of the items ({type(value).__name__}) cannot become one array (item {place}); "
                "give DataLoader a collate_fn that makes a batch from a list of items"
            )
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"field {field} has items of different shapes, {arrays[0].shape} and {array.shape}, which "
                f"cannot become one array (items {places[0]} and {place}); resize pictures (ImageFolder(size=...), "
                "in a command --image-size), or give DataLoader a collate_fn"
            )
    floats = any(array.dtype.kind == "f" for array in arrays)
    stacked = layout.empty((len(arrays), *arrays[0].shape), np.float32 if floats else np.int64)  # -> (B, C, H, W)
    for place, array in enumerate(arrays):
        stacked[place] = array if floats else _int64(f"field {field} of item {places[place]}", array)
    return stacked


def _int64(name: str, array: np.ndarray) -> np.ndarray:
    """`array` as int64. Raises ValueError for values above its range, which would come out negative."""
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{name} must be below 2**63, but holds {array.max()}")
    return array.astype(np.int64, copy=False)


def _merge(places: list[np.ndarray], parts: Sequence[np.ndarray], length: int) -> np.ndarray:
    shapes = sorted({part.shape[1:] for part in parts})
    if len(shapes) > 1:
        raise ValueError(f"the data sets of a ConcatDataset differ in the shape of their items: {shapes}")
    merged = layout.empty((length, *shapes[0]), parts[0].dtype)
    for place, part in zip(places, parts, strict=True):
        merged[place] = part
    return merged
