"""A solution of exercise 03b."""


def backward_order(graph: dict[str, list[str]], root: str) -> list[str]:
    """The nodes from which `root` was made, each after every node that uses it."""
    uses = {root: 0}  # how many nodes that are still to come use each node
    waiting = [root]
    while waiting:
        for node in graph[waiting.pop()]:
            if node not in uses:
                uses[node] = 0
                waiting.append(node)
            uses[node] += 1
    order, ready = [], [root]
    while ready:
        order.append(ready.pop())
        for node in graph[order[-1]]:
            uses[node] -= 1
            if uses[node] == 0:
                ready.append(node)
    return order
