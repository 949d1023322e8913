"""`python -m minicnn.data.partworld`: how many pictures a second this machine draws, ground truth included."""

import time

import numba

from minicnn.data.partworld import FAMILIES, PartWorld


def pictures_per_second(family: str, size: int = 10_000, image_size: int = 32) -> float:
    """Pictures drawn a second, with masks, boxes and every map made as arrays; the kernel is compiled beforehand."""
    PartWorld(size=10, family=family, image_size=image_size)
    start = time.perf_counter()
    data = PartWorld(size=size, family=family, image_size=image_size)
    for first in range(0, size, 1000):
        data.truth(range(first, min(first + 1000, size)))
    return size / (time.perf_counter() - start)


def main() -> None:
    """Print the speed for each family, at 32 x 32."""
    print(f"{numba.get_num_threads()} threads, 10000 pictures of 32 x 32 with their ground truth")
    for family in FAMILIES:
        print(f"{family:5} {pictures_per_second(family):8.0f} pictures a second")


if __name__ == "__main__":
    main()
