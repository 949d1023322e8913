"""minicnn's functions against PyTorch's, over the sample inputs that PyTorch tests itself with.

Each entry of `op_db` brings a list of inputs and arguments: odd shapes, unbatched and empty ones, every mode. For each
sample both libraries compute the result in float64, and then the gradients of a random weighting of the results. A
sample is left out only by a rule of the table below; the run says how often each rule was used.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn import functional as F

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="torch.testing._internal needs the package expecttest")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db


def _getitem(input, index):
    return input[index]


def _where(input, condition, other):
    return F.where(condition, input, other)


def _einsum(operands, equation):
    return F.einsum(equation, *operands)


def _interpolation(mode: str) -> Callable:
    # PyTorch's older names for two modes of interpolate; the samples are the same kind.
    return lambda input, **options: F.interpolate(
        input, mode=mode, align_corners=(mode == "bilinear") or None, **options
    )


# minicnn's function for each of PyTorch's entries, where the name alone does not say it.
FUNCTIONS: dict[str, Callable] = {
    "__getitem__": _getitem,
    "where": _where,
    "einsum": _einsum,
    "cat": F.concat,
    "nn.functional.upsample_nearest": _interpolation("nearest"),
    "nn.functional.upsample_bilinear": _interpolation("bilinear"),
}

_OF_TENSORS = """
    abs add amax amin argmax argmin cat clamp div einsum exp expand flatten __getitem__ log log_softmax logsumexp matmul
    max maximum mean min minimum mul neg permute pow prod reshape sigmoid softmax split sqrt squeeze stack std sub sum
    tanh transpose unsqueeze var where
"""
_OF_NETWORKS = """
    adaptive_avg_pool2d adaptive_max_pool2d avg_pool2d batch_norm binary_cross_entropy binary_cross_entropy_with_logits
    conv2d conv_transpose2d cosine_similarity cross_entropy dropout dropout2d elu fold gelu group_norm hardswish
    hardtanh huber_loss
    instance_norm interpolate kl_div l1_loss layer_norm leaky_relu linear local_response_norm log_softmax
    max_pool2d max_unpool2d mse_loss nll_loss normalize one_hot pad pixel_shuffle pixel_unshuffle relu relu6 silu
    smooth_l1_loss softmax softplus unfold upsample_bilinear upsample_nearest
"""
NAMES = [*_OF_TENSORS.split(), *(f"nn.functional.{name}" for name in _OF_NETWORKS.split())]

# Entries that stand for other functions than ours: another meaning of the name, or a data type that minicnn has not.
OTHER_FUNCTIONS = {
    ("div", "trunc_rounding"),  # torch.div with rounding_mode; ours is the operator /
    ("div", "floor_rounding"),
    ("max", "binary"),  # spelt maximum and minimum here
    ("min", "binary"),
    ("nn.functional.silu", "complex"),
    ("std", "unbiased"),  # the older spelling of `correction`
    ("var", "unbiased"),
}


@dataclass(frozen=True)
class Rule:
    """Samples of an entry for which `applies(sample)` holds are treated otherwise, and counted under `reason`."""

    entry: str
    applies: Callable
    reason: str


# Modes that minicnn does not offer: it must say so with a ValueError that names the modes that it does offer.
REFUSED = [
    Rule(
        "nn.functional.interpolate",
        lambda sample: sample.kwargs.get("mode") in ("bicubic", "area"),
        "interpolate: bicubic and area are not offered",
    ),
]

# Samples that can't be compared.
SKIPPED = [
    Rule("add", lambda sample: "alpha" in sample.kwargs, "add: torch.add's factor alpha; ours is the operator +"),
    Rule("sub", lambda sample: "alpha" in sample.kwargs, "sub: torch.sub's factor alpha; ours is the operator -"),
    Rule("std", lambda sample: "unbiased" in sample.kwargs, "std: `unbiased`, the older spelling of `correction`"),
    Rule("var", lambda sample: "unbiased" in sample.kwargs, "var: `unbiased`, the older spelling of `correction`"),
    Rule("prod", lambda sample: "dtype" in sample.kwargs, "prod: `dtype`; here one converts with .astype first"),
]

# Functions of integers, which no gradient flows through.
OF_INTEGERS = {"nn.functional.one_hot"}

# Results that are drawn at random: they are checked against what they must hold, not against another draw.
RANDOM = {"nn.functional.dropout", "nn.functional.dropout2d"}


ENTRIES = [op for op in op_db if op.name in NAMES and (op.name, op.variant_test_name) not in OTHER_FUNCTIONS]


def ours(entry: str) -> Callable:
    return FUNCTIONS.get(entry) or getattr(F, entry.removeprefix("nn.functional."))


def converted(value, leaves: list):
    """`value` with NumPy-backed Tensors in place of PyTorch's; those that require gradients go into `leaves` too."""
    if isinstance(value, torch.Tensor):
        tensor = Tensor(value.detach().numpy().copy(), requires_grad=value.requires_grad)
        if value.requires_grad:
            leaves.append(tensor)
        return tensor
    if isinstance(value, torch.dtype):
        return torch.empty(0, dtype=value).numpy().dtype
    if isinstance(value, (tuple, list)) and not isinstance(value, torch.Size):
        return type(value)(converted(one, leaves) for one in value)
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, dict):
        return {name: converted(one, leaves) for name, one in value.items()}
    return value


def leaves_of(value) -> list:
    """The tensors of PyTorch that require gradients, in the order in which `converted` meets them."""
    if isinstance(value, torch.Tensor):
        return [value] if value.requires_grad else []
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for one in value for leaf in leaves_of(one)] if isinstance(value, (tuple, list)) else []


def as_list(result) -> list:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def described(sample) -> str:
    def short(value):
        if isinstance(value, torch.Tensor):
            return f"{str(value.dtype).removeprefix('torch.')}{tuple(value.shape)}"
        if isinstance(value, (tuple, list)):
            return f"[{', '.join(map(short, value))}]"
        return repr(value)

    arguments = [short(value) for value in (sample.input, *sample.args)]
    return ", ".join(arguments + [f"{name}={short(value)}" for name, value in sample.kwargs.items()])


def compare(op, sample) -> None:
    """Raise AssertionError unless values and gradients agree."""
    torch_leaves = leaves_of([sample.input, sample.args, sample.kwargs])
    leaves: list = []
    input, args, kwargs = (converted(part, leaves) for part in (sample.input, tuple(sample.args), dict(sample.kwargs)))
    before = [leaf.data.copy() for leaf in leaves]
    if op.name in RANDOM:
        check_dropout(op.name, input, args, kwargs)
        return
    expected = as_list(op(sample.input, *sample.args, **sample.kwargs))
    actual = as_list(ours(op.name)(input, *args, **kwargs))
    assert len(actual) == len(expected), f"{len(actual)} results instead of {len(expected)}"
    for mine, theirs in zip(actual, expected, strict=True):
        assert mine.shape == tuple(theirs.shape), f"shape {mine.shape} instead of {tuple(theirs.shape)}"
        assert mine.dtype == theirs.detach().numpy().dtype, f"dtype {mine.dtype} instead of {theirs.dtype}"
        np.testing.assert_allclose(mine.data, theirs.detach().numpy(), rtol=1e-7, atol=1e-10)
    for leaf, array in zip(leaves, before, strict=True):
        np.testing.assert_array_equal(leaf.data, array, err_msg="an input was changed")
    pairs = [(mine, theirs) for mine, theirs in zip(actual, expected, strict=True) if theirs.requires_grad]
    if not pairs:
        return
    generator = np.random.default_rng(0)
    cotangents = [generator.standard_normal(mine.shape).astype(mine.dtype) for mine, _ in pairs]
    theirs = torch.autograd.grad(
        [theirs for _, theirs in pairs], torch_leaves, [torch.from_numpy(c) for c in cotangents], allow_unused=True
    )
    for (mine, _), cotangent in zip(pairs, cotangents, strict=True):
        mine.backward(Tensor(cotangent), retain_graph=True)
    for leaf, gradient in zip(leaves, theirs, strict=True):
        wanted = np.zeros(leaf.shape) if gradient is None else gradient.numpy()
        got = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.data
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-9, err_msg="gradient")


def check_dropout(name: str, input: Tensor, args: tuple, kwargs: dict) -> None:
    """Every element is 0 or x / (1 - p), its gradient likewise; in evaluation mode nothing happens at all."""
    result = ours(name)(input, *args, **kwargs)
    p = kwargs.get("p", args[0] if args else 0.5)
    training = kwargs.get("training", args[1] if len(args) > 1 else True)
    assert result.shape == input.shape
    if not training:
        np.testing.assert_array_equal(result.data, input.data)
        return
    kept = result.data != 0
    np.testing.assert_allclose(result.data[kept], input.data[kept] / (1 - p) if p < 1 else [])
    if input.requires_grad and result.requires_grad:
        result.sum().backward()
        slope = np.where(kept, 1 / (1 - p) if p < 1 else 0, 0)
        clear = input.data != 0  # at x = 0 the result does not tell whether it was dropped
        np.testing.assert_allclose(input.grad.data[clear], slope[clear])


@pytest.mark.parametrize("op", ENTRIES, ids=lambda op: f"{op.name}-{op.variant_test_name}".rstrip("-"))
def test_agrees_with_pytorch_over_its_own_samples(op, tally):
    minicnn.manual_seed(0)
    torch.manual_seed(0)
    failures, count = [], 0
    dtype = torch.int64 if op.name in OF_INTEGERS else torch.float64
    for sample in op.sample_inputs("cpu", dtype, requires_grad=op.supports_autograd and dtype.is_floating_point):
        count += 1
        skipped = [rule for rule in SKIPPED if rule.entry == op.name and rule.applies(sample)]
        refused = [rule for rule in REFUSED if rule.entry == op.name and rule.applies(sample)]
        try:
            if skipped:
                tally[f"left out: {skipped[0].reason}"] += 1
            elif refused:
                leaves: list = []
                parts = [converted(part, leaves) for part in (sample.input, tuple(sample.args), dict(sample.kwargs))]
                with pytest.raises(ValueError, match="nearest"):
                    ours(op.name)(parts[0], *parts[1], **parts[2])
                tally[f"refused with a ValueError: {refused[0].reason}"] += 1
            else:
                compare(op, sample)
                tally["compared, values and gradients"] += 1
        except Exception as error:
            failures.append(f"{described(sample)}\n      {type(error).__name__}: {str(error).strip()[:600]}")
    assert count, "PyTorch brought no samples"
    assert not failures, f"{len(failures)} of {count} samples:\n  " + "\n  ".join(failures[:12])


def test_every_function_was_looked_for():
    """A name that PyTorch's table does not have is checked elsewhere (tests/functional); it must not vanish unseen."""
    assert set(NAMES) - {op.name for op in ENTRIES} == {
        "nn.functional.fold",
        "nn.functional.log_softmax",
        "nn.functional.softmax",
    }
