"""save_onnx: a network as an ONNX file, weights included, for onnxruntime and other programs that run networks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import minicnn
from minicnn.backbones import Backbone
from minicnn.export.graph import IMAGES, Step, free_name, steps_of, with_other_names
from minicnn.export.onnx_layers import WRITERS
from minicnn.files.atomic import write_atomically
from minicnn.nn import Module
from minicnn.tensor import Tensor

OPSET, FORMAT = 17, 8  # versions of the operators and of the file, both of 2022, which every runtime in use reads
LARGEST = 2**31 - 2**20  # bytes that one such file can hold


class Writer:
    """The nodes and the arrays of a file during its construction."""

    def __init__(self, model: Module, taken: Iterable[str]):
        self.nodes: list[Any] = []
        self.arrays: dict[str, np.ndarray] = {}
        self._taken = set(taken)  # names of the images, of all steps, parameters and outputs
        self._paths = {module: path for path, module in model.named_modules()}

    def add(self, operator: str, step: Step, inputs: Sequence[str], part: str = "", **attributes: Any) -> str:
        """The name of the result of one more node; `part` names an intermediate result of the step."""
        name = self._free(f"{step.name}.{part}") if part else step.name
        self.nodes.append(_onnx().helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, array: np.ndarray) -> str:
        """The name of an array that no layer owns: `name`, with a number if that is taken."""
        name = self._free(name)
        self.arrays[name] = array
        return name

    def _free(self, name: str) -> str:
        free = free_name(name, self._taken)
        self._taken.add(free)
        return free

    def parameters(self, layer: Any, *names: str) -> list[str]:
        """The names in state_dict of a layer's parameters and buffers, without those that are None."""
        path = self._paths[layer]
        tensors: dict[str, Tensor] = {f"{path}.{name}" if path else name: getattr(layer, name) for name in names}
        kept = {name: tensor.data for name, tensor in tensors.items() if tensor is not None}
        self.arrays.update(kept)
        return list(kept)


def save_onnx(
    model: Module,
    path: str | os.PathLike[str],
    input_size: Sequence[int] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write `model`, in evaluation mode, to an ONNX file for batches of any number of images of `input_size` (C, H, W).

    The input is called "images", the output "logits"; a backbone with features_only has one output for each level,
    such as "level.layer2". `input_size` is a backbone's own by default. Weights have the names of state_dict, and
    `metadata` is stored unchanged. The write is atomic.
    Raises ModuleNotFoundError without the package onnx (`pip install -e '.[onnx]'`), TypeError if `model` is not a
    Module of float32 parameters or does not return Tensors, OSError if the file cannot be written. Raises ValueError
    for a missing `input_size`, for a layer without a form in ONNX (the error lists the layers with one), for an output
    whose first axis is not the batch, and for more than 2 GB of weights.
    """
    content = to_onnx(model, input_size, metadata).SerializeToString()
    write_atomically(path, content)


def to_onnx(model: Module, input_size: Sequence[int] | None = None, metadata: Mapping[str, str] | None = None) -> Any:
    """The content of save_onnx's file, an onnx.ModelProto; raises the same errors."""
    _check(model)
    if input_size is None and isinstance(model, Backbone):
        input_size = model.input_size
    sizes = list(input_size) if isinstance(input_size, Sequence) else []
    if len(sizes) != 3 or not all(isinstance(size, int) and size >= 1 for size in sizes):
        raise ValueError(f"input_size must be that of one image, (C, H, W), but is {input_size}")
    helper = _onnx().helper

    steps, results = steps_of(model, sizes)
    outputs = _output_names(model, results)
    for step in steps:
        own_type = step.layer is None or type(step.layer).__module__.startswith("minicnn.")
        if step.operation not in WRITERS or not own_type:
            raise ValueError(f"{step.name!r} ({step.operation}) has no form in ONNX here; these have: {list(WRITERS)}")
    fixed = {*outputs, *model.state_tensors()}
    steps, results = with_other_names(steps, results, fixed)
    writer = Writer(model, {IMAGES, *fixed, *(step.name for step in steps)})
    shapes: dict[str, tuple[int, ...]] = {IMAGES: (2, *sizes)}
    for step in steps:
        WRITERS[step.operation](step, writer)
        shapes[step.name] = step.output_shape
    for result, output in zip(results, outputs, strict=True):
        if shapes[result][:1] != (2,):
            raise ValueError(
                f"output {output!r} has the shape {shapes[result]} for two images; its first axis must be the batch, "
                "so that it can be exported"
            )
        writer.nodes.append(helper.make_node("Identity", [result], [output], name=output))
    named = {output: shapes[result] for output, result in zip(outputs, results, strict=True)}
    return _assembled(writer, sizes, named, metadata or {})


def _assembled(
    writer: Writer, size: Sequence[int], outputs: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]
) -> Any:
    """The file's content. The first axis of the input and of all outputs is the batch, N, of any size."""
    onnx = _onnx()
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT

    def described(name: str, shape: Sequence[int]) -> Any:
        return helper.make_tensor_value_info(name, floats, ["N", *shape])

    arrays = [onnx.numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in writer.arrays.items()]
    graph = helper.make_graph(
        writer.nodes,
        "minicnn",
        [described(IMAGES, size)],
        [described(name, shape[1:]) for name, shape in outputs.items()],
        arrays,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=FORMAT,
        producer_name="minicnn",
        producer_version=minicnn.__version__,
    )
    helper.set_model_props(model, dict(metadata))
    return model


def _output_names(model: Module, results: Sequence[str]) -> list[str]:
    """The names of the outputs."""
    if isinstance(model, Backbone) and model.out_indices is not None:
        return [f"level.{model.feature_info[index].module}" for index in model.out_indices]
    return ["logits"] if len(results) == 1 else [f"output.{number}" for number in range(len(results))]


def _check(model: Any) -> None:
    if not isinstance(model, Module):
        raise TypeError(f"save_onnx takes a Module, but got {type(model).__name__}: {model!r}")
    others = {str(parameter.dtype) for parameter in model.parameters()} - {"float32"}
    if others:
        raise TypeError(
            f"save_onnx writes float32 weights, but some are {', '.join(sorted(others))}; call float() first"
        )
    total = sum(tensor.data.nbytes for tensor in (*model.parameters(), *model.buffers()))
    if total > LARGEST:
        raise ValueError(f"an ONNX file holds 2 GB, but the weights take {total / 1e9:.1f} GB")


def _onnx() -> Any:
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "writing ONNX files takes the package onnx; in the clone: pip install -e '.[onnx]'"
        ) from error
    return onnx
