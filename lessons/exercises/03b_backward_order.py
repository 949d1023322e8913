"""Exercise 03b: the order in which backward calls the nodes. Checked by `minicnn lesson check 3`."""


def backward_order(graph: dict[str, list[str]], root: str) -> list[str]:
    """The nodes from which `root` was made, and `root` itself: each once, and each after every node that uses it.

    `graph` maps each node to its inputs, as in {"loss": ["y"], "y": ["x", "x"], "x": [], "label": []}. For the root
    "loss" that gives ["loss", "y", "x"], without "label", because the loss was not made from it. Often several orders
    are right, and the check accepts any of them.

    A chain of 3,000 nodes must work too. Python's calls end at a depth of about 1,000: keep a list of the nodes that
    are still to be visited, in place of recursion. And 60 sums y = y + y must not take forever, though 2**60 ways lead
    through them.
    """
    raise NotImplementedError
