"""Checkpoints: the whole state of a run in one safetensors file; a resumed run ends in the bits of an uninterrupted
run.

    arrays      model.<name>, optimizer.<place>, ema.<place>, ...
    metadata    the place in the run, the records so far, the state of the random streams, and the skeletons of all
                states without their arrays (see minicnn.weights.nested)

The write is atomic: a run that is killed during a save still has its previous checkpoint.
"""

import contextlib
import copy
import os
from collections.abc import Iterator
from typing import Any

from minicnn import random
from minicnn.training.checkpoint_schema import check_place, check_states
from minicnn.training.run import Run
from minicnn.weights import flatten, load_with_metadata, save, unflatten

_FORMAT = 1
_ENTRIES = ("model", "parts", "states", "epoch", "batch", "batches_in_epoch", "seconds", "records", "random")


def save_checkpoint(run: Run, path: str | os.PathLike[str]) -> None:
    """Write the whole state of `run` to `path` (.safetensors). Raises OSError if that cannot be done."""
    arrays = {f"model.{name}": array for name, array in run.model.state_dict().items()}
    skeletons = {}
    for name, part in run.stateful_parts().items():
        found, skeletons[name] = flatten(part.state_dict(), name)
        arrays.update(found)
    metadata = {
        "checkpoint": _FORMAT,
        "model": type(run.model).__name__,
        "parts": {name: type(part).__name__ for name, part in run.stateful_parts().items()},
        "states": skeletons,
        "epoch": run.epoch,
        "batch": run.batch,
        "batches_in_epoch": len(run.loader),
        "seconds": run.seconds,
        "records": run.records,
        "random": random.get_state(),
    }
    save(arrays, path, metadata)


def load_checkpoint(run: Run, path: str | os.PathLike[str]) -> None:
    """Bring `run`, made of the same parts, and the random streams to the state in `path`.

    Raises FileNotFoundError if `path` does not exist; ValueError if the file is damaged, is not a checkpoint, has
    values that this run cannot have, or was written with another model, optimiser, schedule or loader. In all of these
    cases the run stays unchanged.
    """
    arrays, metadata = load_with_metadata(path)
    if metadata.get("checkpoint") != _FORMAT:
        raise ValueError(f"{path} is not a checkpoint of this version of minicnn, but holds weights or something else")
    missing = [name for name in _ENTRIES if name not in metadata]
    if missing:
        raise ValueError(f"{path} is damaged: its metadata lacks {', '.join(missing)}")
    prefix = "model."
    weights = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
    with _altered(path):
        check_place(metadata)
    _check_model(run, weights, metadata, path)
    _check_parts(run, metadata, path)
    if metadata["batch"] and metadata["batches_in_epoch"] != len(run.loader):
        raise ValueError(
            f"{path} was written in the middle of an epoch of {metadata['batches_in_epoch']} batches, but the loader "
            f"has {len(run.loader)}; resume with the same data and batch size"
        )
    with _altered(path):
        states = {name: unflatten(arrays, skeleton) for name, skeleton in metadata["states"].items()}
        check_states(run, states)
    _restore(run, weights, states, metadata, path)


@contextlib.contextmanager
def _altered(path: str | os.PathLike[str]) -> Iterator[None]:
    """Every error inside becomes one ValueError that names the file."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        reason = "its values are nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(
            f"{path} was altered or is of another run: {reason}; resume with the settings that the run began with, "
            "or from another checkpoint"
        ) from error


def _restore(run: Run, weights: dict[str, Any], states: dict[str, Any], metadata: dict[str, Any], path: Any) -> None:
    """Bring all parts to their states. If a part refuses its state, all of them stay as they were."""
    before = {name: copy.deepcopy(part.state_dict()) for name, part in run.stateful_parts().items()}
    model, streams = run.model.state_dict(), random.get_state()
    try:
        with _altered(path):
            run.model.load_state_dict(weights)
            for name, part in run.stateful_parts().items():
                part.load_state_dict(states[name])
            for group in run.optimizer.param_groups:  # whose rates the schedule has set, too
                run.optimizer.check_settings(group)
            random.set_state(metadata["random"])
    except ValueError:
        run.model.load_state_dict(model)
        for name, part in run.stateful_parts().items():
            part.load_state_dict(before[name])
        random.set_state(streams)
        raise
    run.epoch, run.batch, run.seconds = metadata["epoch"], metadata["batch"], metadata["seconds"]
    run.records = metadata["records"]


def _check_model(run: Run, weights: dict[str, Any], metadata: dict[str, Any], path: str | os.PathLike[str]) -> None:
    there = {name: array.shape for name, array in weights.items()}
    here = {name: array.shape for name, array in run.model.state_dict().items()}
    differences = [
        f"{name}: {there.get(name, 'absent')} in the file, {here.get(name, 'absent')} in the model"
        for name in {**here, **there}  # in the model's order: a file has its arrays sorted by size
        if there.get(name) != here.get(name)
    ]
    if differences:
        more = f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise ValueError(
            f"{path} is a checkpoint of another model ({metadata['model']}, and here is {type(run.model).__name__}): "
            + "; ".join(differences[:3])
            + more
        )


def _check_parts(run: Run, metadata: dict[str, Any], path: str | os.PathLike[str]) -> None:
    here = {name: type(part).__name__ for name, part in run.stateful_parts().items()}
    there = metadata["parts"]
    for name in {**there, **here}:
        if there.get(name) != here.get(name):
            raise ValueError(
                f"{path} was written with {name}={there.get(name)}, now it is {here.get(name)}; resume with the same"
            )
