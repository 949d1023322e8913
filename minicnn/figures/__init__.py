"""Figures: each function takes arrays or records and returns a matplotlib Figure, for `.savefig("figure.svg")`.

    images           picture sheets, filters, feature maps
    curves           training curves, probes along the depth, transfer results
    classification   a confusion matrix; two classifiers compared
    receptive_field  receptive fields, drawn over the picture
    graph            the graph of operations that made a tensor
    window           the multiply-adds of one output of a convolution
    bench            the results of `minicnn bench`
    kernels, learning, gradients, blocks, depth    the figures of the lessons
    style            colours and sizes that all figures share

matplotlib is imported when the first figure is drawn, not when this package is imported.
"""

from minicnn.figures.bench import rungs_figure, speed_ladder
from minicnn.figures.blocks import branches_figure, window_stack_figure
from minicnn.figures.classification import comparison_figure, confusion_figure
from minicnn.figures.curves import probe_curves, training_curves, transfer_bars
from minicnn.figures.depth import depth_figure
from minicnn.figures.gradients import autograd_figure
from minicnn.figures.graph import draw_graph
from minicnn.figures.images import feature_maps, filter_grid, image_sheet
from minicnn.figures.kernels import tuning_figure
from minicnn.figures.learning import learning_figure
from minicnn.figures.receptive_field import receptive_field_figure
from minicnn.figures.window import window_figure

__all__ = [
    "autograd_figure",
    "branches_figure",
    "comparison_figure",
    "confusion_figure",
    "depth_figure",
    "draw_graph",
    "feature_maps",
    "filter_grid",
    "image_sheet",
    "learning_figure",
    "probe_curves",
    "receptive_field_figure",
    "rungs_figure",
    "speed_ladder",
    "training_curves",
    "transfer_bars",
    "tuning_figure",
    "window_figure",
    "window_stack_figure",
]
