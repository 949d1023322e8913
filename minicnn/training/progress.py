"""Progress of a training run: a bar during an epoch (terminal, notebook), and one line after the epoch."""

import sys
import warnings
from collections.abc import Mapping
from typing import Any

from minicnn.training.averages import Averages


def progress_bar(description: str, total: int, done: int = 0, shown: bool = True) -> Any:
    """A tqdm bar of `total` batches, `done` of which are finished; a widget in a notebook.

    The bar is silent if `shown` is False, and where a bar would fill a file: if stderr is neither a terminal nor a
    notebook's.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # a notebook without ipywidgets: the lines must do
        from tqdm.auto import tqdm  # here, because the import asks whether a notebook is running
        from tqdm.notebook import tqdm_notebook
    has_widgets = issubclass(tqdm, tqdm_notebook)
    hidden = not shown or not (has_widgets or (sys.stderr is not None and sys.stderr.isatty()))
    return tqdm(total=total, initial=done, desc=description, unit="batch", leave=False, disable=hidden)


def advance(bar: Any, done: int, averages: Averages) -> None:
    """Move the bar to `done` batches, with the means over the epoch so far beside it."""
    if not bar.disable:
        bar.set_postfix({name: f"{mean:.4f}" for name, mean in averages.means().items()}, refresh=False)
        bar.update(done - bar.n)


def epoch_line(record: Mapping[str, Any], epochs: int) -> str:
    """An epoch's record in one line: epoch 3/10  loss 0.5124  accuracy 0.8310  learning rate 0.05  4.2 s."""
    parts = [f"epoch {record['epoch']:{len(str(epochs))}d}/{epochs}"]
    for name, value in record.items():
        if name not in ("epoch", "learning_rate", "seconds"):
            parts.append(f"{name.replace('_', ' ')} {value:.4f}" if isinstance(value, float) else f"{name} {value}")
    parts += [f"learning rate {record['learning_rate']:.2g}", f"{record['seconds']:.1f} s"]
    return "  ".join(parts)
