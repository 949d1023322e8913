"""Networks for other programs: `save_onnx` writes a file that onnxruntime and others run."""

from minicnn.export.onnx_file import save_onnx as save_onnx
