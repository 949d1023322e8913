"""Normalisation layers. Sources: Ioffe and Szegedy 2015 (batch norm); Wu and He 2018, figure 2 (all of them)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minicnn import functional as F
from minicnn.functional.arguments import need_count
from minicnn.nn import init
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.tensor import Tensor, as_tensor


class _ChannelNorm(Module):
    """The part that batch norm and instance norm share: weight and bias (C,) and running statistics."""

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool, track_running_stats: bool
    ) -> None:
        super().__init__()
        need_count(type(self).__name__, "num_features", num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.register_parameter("weight", Parameter(np.ones(num_features, np.float32)) if affine else None)
        self.register_parameter("bias", Parameter(np.zeros(num_features, np.float32)) if affine else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", np.zeros(num_features, np.float32) if tracked else None)
        self.register_buffer("running_var", np.ones(num_features, np.float32) if tracked else None)
        self.register_buffer("num_batches_tracked", np.zeros((), np.int64) if tracked else None)

    def reset_running_stats(self) -> None:
        """Reset the running statistics: mean 0, variance 1, no batches."""
        for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
            if buffer is not None:
                buffer.data[...] = value

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and fresh running statistics."""
        self.reset_running_stats()
        if self.weight is not None and self.bias is not None:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    def extra_repr(self) -> str:
        text = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"
        text += "" if self.affine else ", affine=False"
        return text + ("" if self.track_running_stats else ", track_running_stats=False")


class BatchNorm2d(_ChannelNorm):
    """Each channel shifted to mean 0 and scaled to variance 1, times weight (C,), plus bias (C,): (N, C, H, W).

    In training the layer uses the statistics of the batch, and moves the running statistics towards them by `momentum`
    (None: the mean over all batches). In evaluation it uses the running statistics. Without running statistics the
    layer always uses the batch. After `freeze()` the layer stays in evaluation, and its statistics do not change.
    """

    _inputs: tuple[str, ...] = ("(N, C, H, W)",)
    _normalize = staticmethod(F.batch_norm)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, input: Tensor) -> Tensor:
        input = as_tensor(input)
        self._check_input(input.shape)
        by_batch = self.training or self.running_mean is None
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.data += 1
            if self.momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        statistics = (self.running_mean, self.running_var) if self.track_running_stats else (None, None)
        return self._normalize(input, *statistics, self.weight, self.bias, by_batch, momentum, self.eps)

    def _check_input(self, shape: tuple[int, ...]) -> None:
        axes = [expected.count(",") + 1 for expected in self._inputs]
        if len(shape) not in axes:
            one_image = "; add the batch axis with unsqueeze(0)" if len(shape) + 1 == max(axes) == 4 else ""
            raise ValueError(
                f"{type(self).__name__} needs an input {' or '.join(self._inputs)}, but its shape is {shape}{one_image}"
            )
        if shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: the input {shape} has {shape[1]} channels, but num_features is "
                f"{self.num_features}; they must be equal"
            )


class BatchNormAct2d(BatchNorm2d):
    """BatchNorm2d and ReLU in one layer, which saves passes over memory; parameters and results are the same.

    The name is timm's; timm's layer has ReLU as its default too.
    """

    _normalize = staticmethod(F.batch_norm_relu)


class BatchNorm1d(BatchNorm2d):
    """Batch norm of features (N, C) or of sequences (N, C, L)."""

    _inputs = ("(N, C)", "(N, C, L)")


class InstanceNorm2d(_ChannelNorm):
    """Each channel of each image shifted to mean 0 and scaled to variance 1: (N, C, H, W). No parameters by default."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, input: Tensor) -> Tensor:
        input = as_tensor(input)
        if input.ndim == 3:  # one image
            return self.forward(input.unsqueeze(0)).squeeze(0)
        if input.ndim != 4:
            raise ValueError(
                "InstanceNorm2d needs an input (N, C, H, W), or (C, H, W) for one image, but its shape is "
                f"{input.shape}"
            )
        if input.shape[1] != self.num_features:
            raise ValueError(
                f"InstanceNorm2d: the input {input.shape} has {input.shape[1]} channels, but num_features is "
                f"{self.num_features}; they must be equal"
            )
        return F.instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )


class GroupNorm(Module):
    """Each group of channels of each image shifted to mean 0 and scaled to variance 1; weight and bias are (C,).

    Raises ValueError unless num_groups divides num_channels.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True):
        super().__init__()
        need_count("GroupNorm", "num_groups", num_groups)
        need_count("GroupNorm", "num_channels", num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.register_parameter("weight", Parameter(np.ones(num_channels, np.float32)) if affine else None)
        self.register_parameter("bias", Parameter(np.zeros(num_channels, np.float32)) if affine else None)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}" + ("" if self.affine else ", affine=False")


class LayerNorm(Module):
    """Each sample shifted to mean 0 and scaled to variance 1 over its last axes, of sizes `normalized_shape`."""

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ):
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        if not shape:
            raise ValueError("LayerNorm: normalized_shape must name at least one axis, but is empty")
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.register_parameter("weight", Parameter(np.ones(shape, np.float32)) if elementwise_affine else None)
        has_bias = elementwise_affine and bias
        self.register_parameter("bias", Parameter(np.zeros(shape, np.float32)) if has_bias else None)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """Each value over (k + alpha * mean square of `size` neighbouring channels) ** beta (AlexNet, section 3.3)."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class Normalize(Module):
    """(input - mean) / std, channel by channel of images (N, C, H, W): the statistics are given, not learned.

    As the first layer of a network, this layer lets the network take images without normalisation. It has no parameters
    and adds nothing to state_dict. Raises ValueError if mean and std differ in length, or a std is not above 0.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))
        if len(self.mean) != len(self.std) or not all(value > 0 for value in self.std):
            raise ValueError(
                f"mean {self.mean} and std {self.std} must have the same length, and every std must be above 0"
            )

    def scale_and_shift(self) -> tuple[np.ndarray, np.ndarray]:
        """(C, 1, 1) each, float32: the layer computes input * scale + shift."""
        mean, std = np.array(self.mean)[:, None, None], np.array(self.std)[:, None, None]
        return (1 / std).astype(np.float32), (-mean / std).astype(np.float32)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim < 3 or input.shape[-3] != len(self.mean):
            raise ValueError(
                f"Normalize has {len(self.mean)} means and needs (N, {len(self.mean)}, H, W), but got {input.shape}"
            )
        scale, shift = self.scale_and_shift()
        return input * scale.astype(input.dtype) + shift.astype(input.dtype)

    def extra_repr(self) -> str:
        return f"mean={self.mean}, std={self.std}"
