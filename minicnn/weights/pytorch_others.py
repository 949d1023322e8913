"""What stands in a file of PyTorch besides plain tensors: the settings of a training, and tensors that NumPy lacks.

A checkpoint of a training holds the arguments of its command line, NumPy numbers, paths, an optimizer. The weights can
be read without them, so that each becomes a Placeholder: a name, and nothing that runs. Names of the standard library,
NumPy and PyTorch are read in this way only if they are listed here, because the others are functions that no checkpoint
needs (os.system). All names of other programs are read in this way; of them, too, nothing is imported.
"""

import sys
from dataclasses import dataclass

from minicnn.files.safe_pickle import Placeholder

_LISTED = {
    "argparse": "Namespace",
    "types": "SimpleNamespace",
    "collections": "defaultdict Counter deque",
    "pathlib": "Path PurePath PosixPath PurePosixPath WindowsPath PureWindowsPath",
    "datetime": "datetime date time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID",
    "_codecs": "encode",  # of the text of bytes
    "copyreg": "_reconstructor __newobj__",
    "builtins": "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple type",
    "numpy": "dtype ndarray bool_ float16 float32 float64 int8 int16 int32 int64 uint8",
    "numpy._core.multiarray": "scalar _reconstruct",
    "numpy._core.numeric": "_frombuffer",
    "numpy.random._pickle": "__generator_ctor __bit_generator_ctor __randomstate_ctor",
    "numpy.random._pcg64": "PCG64",
    "numpy.random._mt19937": "MT19937",
    "torch": "device Tensor Generator strided contiguous_format channels_last preserve_format per_tensor_affine "
    "per_channel_affine per_tensor_symmetric per_channel_symmetric per_channel_affine_float_qparams",
    "torch.nn.parameter": "Parameter Buffer",
    "torch.serialization": "_get_layout",
}
_OLD_NAMES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "pathlib._local": "pathlib",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
}
_WITH_FUNCTIONS = {*sys.stdlib_module_names, *(name.partition(".")[0] for name in _OLD_NAMES), "torch", "numpy"}


def placeholder_for(module: str, name: str) -> Placeholder | None:
    """A placeholder for something beside the weights; None if no checkpoint needs it."""
    listed = _LISTED.get(_OLD_NAMES.get(module, module), "").split()
    if name in listed or module.startswith("torch.optim.") or module.partition(".")[0] not in _WITH_FUNCTIONS:
        return Placeholder(f"{module}.{name}")
    return None


@dataclass(frozen=True)
class Unreadable:
    """A tensor that NumPy cannot hold: its kind, and the call of PyTorch that makes a plain tensor of it."""

    kind: str
    call: str


QUANTISED = Unreadable("quantised", "tensor.dequantize()")
COMPLEX = Unreadable("of complex numbers", "torch.view_as_real(tensor)")
FLOAT8 = Unreadable("of 8-bit floats", "tensor.float()")
BY_FUNCTION = {
    "_rebuild_qtensor": QUANTISED,
    "_rebuild_sparse_tensor": Unreadable("sparse", "tensor.to_dense()"),
    "_rebuild_sparse_csr_tensor": Unreadable("sparse", "tensor.to_dense()"),
    "_rebuild_nested_tensor": Unreadable("nested (rows of different lengths)", "tensor.to_padded_tensor(0)"),
    "_rebuild_meta_tensor_no_storage": Unreadable("without values (device meta)", "a tensor with values"),
    "_rebuild_device_tensor_from_numpy": Unreadable("of another device", "tensor.cpu()"),
    "_rebuild_device_tensor_from_cpu_tensor": Unreadable("of another device", "tensor.cpu()"),
    "_rebuild_wrapper_subclass": Unreadable("of a class of its own", "a plain tensor"),
}
