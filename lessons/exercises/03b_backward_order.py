"""Exercise 03b: the order in which backward calls the nodes. `minicnn lesson check 3` checks it."""


def backward_order(graph: dict[str, list[str]], root: str) -> list[str]:
    """The nodes from which `root` was made, and `root` itself, each once and each after every node that uses it.

    `graph` maps each node to its inputs, as in {"loss": ["y"], "y": ["x", "x"], "x": [], "label": []}; for the root
    "loss" that gives ["loss", "y", "x"], without "label", from which the loss was not made. Mostly several orders are
    right, and any of them will do. A chain of 3,000 nodes must do too, and Python's calls end at a depth of about
    1,000: keep a list of what is still to be done in place of recursion.
    """
    raise NotImplementedError
