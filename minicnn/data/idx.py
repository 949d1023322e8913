"""Reading idx files, the format of MNIST: four bytes that name type and axes, the sizes, then the values.

| 00 00 08 03   | 00 00 EA 60 | 00 00 00 1C | 00 00 00 1C | 60000 * 28 * 28 bytes |
| uint8, 3 axes | 60000       | 28          | 28          | the pictures          |
"""

import gzip
import warnings
import zlib
from pathlib import Path

import numpy as np

GZIP = b"\x1f\x8b"  # the first bytes of a gzip file
UINT8 = 8  # the type code of the third byte; the other types do not occur in the sets read here


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The uint8 array with `axes` axes in the idx file at `path`, gzipped or not, whatever its name.

    Values that were written with 8 bytes each under the code of uint8 are read, with a warning.

    Raises ValueError if the file is damaged, of another type or number of axes, shorter or longer than its sizes say.
    """
    contents = _read(path)
    if len(contents) < 4 + 4 * axes or contents[:4] != bytes((0, 0, UINT8, axes)):
        raise ValueError(
            f"{path} is not an idx file of uint8 with {axes} axes: it should begin with 00 00 08 {axes:02x}, "
            f"but begins with {contents[:4].hex(' ') or 'nothing'}"
        )
    sizes = tuple(int(size) for size in np.frombuffer(contents, ">u4", axes, offset=4))
    values = np.frombuffer(contents, np.uint8, offset=4 + 4 * axes)
    expected = int(np.prod(sizes, dtype=object))
    if len(values) != expected:
        widened = _of_eight_bytes(values, expected)
        if widened is not None:
            warnings.warn(
                f"{path} says uint8, but has 8 bytes for each value, as int64 has: read as such", stacklevel=2
            )
            return widened.reshape(sizes)
        product = " * ".join(str(size) for size in sizes)
        raise ValueError(f"{path} should hold {product} = {expected} values, but holds {len(values)}: {_ADVICE}")
    return values.reshape(sizes)


def _of_eight_bytes(values: np.ndarray, expected: int) -> np.ndarray | None:
    """uint8 (expected,) if `values` are exactly so many integers of 8 bytes, all in 0..255; else None.

    `labels.tobytes()` writes such a file where `labels` are int64, as NumPy's integers are.
    """
    if expected == 0 or len(values) != 8 * expected:
        return None
    wide = values.view("<i8") if values.reshape(-1, 8)[:, 1:].max() == 0 else values.view(">i8")
    return wide.astype(np.uint8) if wide.min() >= 0 and wide.max() <= 255 else None


_ADVICE = "delete it and fetch it again"


def _read(path: Path) -> bytes:
    """The contents of the file, unpacked if they begin as gzip's do: a name that ends in .gz says little."""
    contents = path.read_bytes()
    if not contents.startswith(GZIP):
        return contents
    try:
        return gzip.decompress(contents)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is damaged or cut short ({error}): {_ADVICE}") from error
