"""draw_graph: the graph that backward will walk, with shapes and gradient norms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.engine import Node, run_backward, topological_order
from minicnn.figures.style import literal, new_figure
from minicnn.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NODES = 150  # beyond it the boxes can no longer be read


def draw_graph(tensor: Tensor, gradient: Any = None, names: Mapping[str, Tensor] | None = None) -> Figure:
    """A Figure of all operations that made `tensor`: inputs at the top, `tensor` at the bottom, each box with the
    operation, the shape of its result and the Euclidean norm of that result's gradient.

    The norms come from a backward pass of its own, which starts from `gradient` (1 for a single element) and touches
    neither `.grad` nor the graph. `names`, such as dict(model.named_parameters()), gives the names of leaves. Raises
    RuntimeError if the tensor has no graph or the graph was freed; ValueError for more than 150 nodes: draw a smaller
    model, or one part.
    """
    nodes = graph_nodes(tensor)
    places = _places(nodes)
    width = max(x for x, _ in places.values()) + 1
    height = max(y for _, y in places.values()) + 1
    figure, axes = new_figure(1, 1, (max(3.0, 1.75 * width), max(2.0, 0.72 * height)))
    fill_with_graph(axes[0, 0], tensor, gradient, names)
    return figure


def graph_nodes(tensor: Tensor) -> list[Node]:
    """The nodes of the tensor's graph in the order of backward. Raises as draw_graph does, except for a freed graph."""
    if tensor.node is None:
        raise RuntimeError(
            "draw_graph needs a Tensor that requires a gradient; was it made inside no_grad(), or detached?"
        )
    nodes = topological_order(tensor.node)
    if len(nodes) > MOST_NODES:
        raise ValueError(f"the graph has {len(nodes)} nodes; more than {MOST_NODES} can't be read in one drawing")
    return nodes


def fill_with_graph(
    axes: Any, tensor: Tensor, gradient: Any = None, names: Mapping[str, Tensor] | None = None, numbered: bool = False
) -> None:
    """Draw what draw_graph draws into `axes`; `numbered` puts each node's place in backward's order before its name."""
    nodes = graph_nodes(tensor)
    norms = _gradient_norms(tensor, nodes, gradient)
    places = _places(nodes)
    called = {leaf.node: name for name, leaf in (names or {}).items()}
    axes.axis("off")
    right, bottom = (max(place[axis] for place in places.values()) for axis in (0, 1))
    axes.set(xlim=(-0.6, right + 0.6), ylim=(bottom + 0.5, -0.5))
    boxes = {}
    for number, node in enumerate(nodes, 1):
        norm = f"|grad| {norms[node]:.3g}" if node in norms else "no gradient"
        shape = "x".join(str(size) for size in node.shape) or "scalar"
        where = f" ({node.path})" if node.path else ""
        order = f"{number}. " if numbered else ""
        boxes[node] = axes.text(
            *places[node],
            literal(f"{order}{called.get(node, node.name)}{where}\n{shape}\n{norm}"),
            ha="center",
            va="center",
            fontsize=7,
            bbox={
                "boxstyle": "round,pad=0.35",
                "facecolor": "#FFF3D6" if node.is_leaf else "#E3EEF7",
                "edgecolor": "#555555",
            },
        )
    # An arrow ends where a box begins, which is known once the boxes have been laid out; then arrows go below boxes.
    axes.figure.draw_without_rendering()
    for node in nodes:
        for child in node.inputs:
            if child is not None:
                style = {"arrowstyle": "-|>", "color": "#777777", "linewidth": 0.9}
                ends = {"patchA": boxes[child].get_bbox_patch(), "patchB": boxes[node].get_bbox_patch()}
                axes.annotate("", xy=places[node], xytext=places[child], arrowprops=style | ends, zorder=1)


def _gradient_norms(tensor: Tensor, nodes: list[Node], gradient: Any) -> dict[Node, float]:
    """The norm of each node's gradient; no `.grad` is touched, and the graph is kept."""
    norms: dict[Node, float] = {}

    def note(node: Node, gradient: np.ndarray) -> None:
        norms[node] = float(np.linalg.norm(gradient.astype(np.float64)))

    run_backward(nodes[0], tensor.starting_gradient(gradient), retain_graph=True, visit=note)
    return norms


def _places(nodes: list[Node]) -> dict[Node, tuple[float, float]]:
    """(column, row) of each node: a node stands below all its inputs, and leaves stand just above their first user."""
    row: dict[Node, int] = {}
    for node in reversed(nodes):  # inputs come before the nodes that use them
        row[node] = 1 + max((row[child] for child in node.inputs if child is not None), default=-1)
    for node in nodes:
        for child in node.inputs:
            if child is not None and not child.inputs:
                users = [row[user] for user in nodes if child in user.inputs]
                row[child] = min(users) - 1
    taken: set[tuple[int, int]] = {(0, row[nodes[0]])}
    column = {nodes[0]: 0}
    for node in nodes:  # users before their inputs: the first input goes straight above its user, the others beside it
        for position, child in enumerate(child for child in node.inputs if child is not None):
            if child not in column:
                # The cells between an input and its user stay free, so that no arrow runs below a box.
                run = range(row[child], row[node])
                column[child] = next(
                    c for c in range(column[node] + position, len(nodes) ** 2) if not any((c, r) in taken for r in run)
                )
                taken.update((column[child], r) for r in run)
    return {node: (float(column[node]), float(row[node])) for node in nodes}
