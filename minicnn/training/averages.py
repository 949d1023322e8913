"""Means over an epoch, gathered batch by batch."""


class Averages:
    """Sums of named values, each weighted by a number of pictures. Kept in Python floats (64 bits)."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, name: str, mean: float, count: int) -> None:
        """Add a mean over `count` pictures."""
        self.sums[name] = self.sums.get(name, 0.0) + mean * count
        self.counts[name] = self.counts.get(name, 0) + count

    def means(self) -> dict[str, float]:
        """The mean of each name over all pictures added."""
        return {name: self.sums[name] / self.counts[name] for name in self.sums}

    def __bool__(self) -> bool:
        return bool(self.counts)

    def state_dict(self) -> dict:
        """The sums and counts as plain values."""
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def load_state_dict(self, state: dict) -> None:
        """Go on from what `state_dict` returned."""
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])
