"""Means over an epoch, gathered batch by batch."""

from typing import Any


class Averages:
    """Sums of named values, each weighted by a number of pictures. Kept in Python floats (64 bits)."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, name: str, mean: Any, count: int) -> None:
        """Add a mean over `count` pictures: a number of Python or NumPy, or a Tensor or array of one value.

        Raises TypeError, naming the value, if `mean` is something else.
        """
        try:
            if isinstance(mean, (str, bytes)):  # float() would read a text
                raise TypeError
            number = float(mean.item() if hasattr(mean, "item") else mean)
        except (TypeError, ValueError, RuntimeError) as error:
            found = f"{type(mean).__name__} {getattr(mean, 'shape', '')}".strip()
            raise TypeError(f"{name!r} must be one number for a batch, its mean, but is {found}") from error
        self.sums[name] = self.sums.get(name, 0.0) + number * count
        self.counts[name] = self.counts.get(name, 0) + count

    def means(self) -> dict[str, float]:
        """The mean of each name over all pictures added."""
        return {name: self.sums[name] / self.counts[name] for name in self.sums}

    def __bool__(self) -> bool:
        return bool(self.counts)

    def state_dict(self) -> dict[str, Any]:
        """The sums and counts as plain values."""
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])
