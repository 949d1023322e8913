"""Reading idx files, the format of MNIST: four bytes that name type and axes, the sizes, then the values.

| 00 00 08 03   | 00 00 EA 60 | 00 00 00 1C | 00 00 00 1C | 60000 * 28 * 28 bytes |
| uint8, 3 axes | 60000       | 28          | 28          | the pictures          |
"""

import gzip
import zlib
from pathlib import Path

import numpy as np

GZIP = b"\x1f\x8b"  # the first bytes of a gzip file
UINT8 = 8  # the type code of the third byte; the other types do not occur in the sets read here


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The uint8 array with `axes` axes in the idx file at `path`, gzipped or not, whatever its name.

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
        product = " * ".join(str(size) for size in sizes)
        raise ValueError(f"{path} should hold {product} = {expected} values, but holds {len(values)}: {_ADVICE}")
    return values.reshape(sizes)


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
