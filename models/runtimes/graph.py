"""A network's convolutions as a list of plain layers: one description that every runtime is fed from.

Normalisations are folded into the convolutions beside them, so what is left are few kinds of layer, which every
runtime knows. `models.coherence.graphs` makes such graphs from the networks there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

FloatArray = npt.NDArray[np.float32]

Kind = Literal["conv", "add", "relu", "pool", "enlarge", "concat", "crop"]
ENTRANCE = "features"


@dataclass(frozen=True)
class Layer:
    """One step.

    Attributes
    ----------
    kind
        conv; add two; relu; pool: the maximum of 2 x 2; enlarge: twice the size, bilinear; concat along
        channels; crop rows and columns off.
    name
        Of what comes out; the layers that use it say so in their inputs.
    weight, bias, stride, before, after
        Of a convolution: shape (out, in, rows, columns); zeros added above and on the left, below and on the right.
    rectified
        A convolution followed by a ReLU.
    cut
        Of a crop: rows above and below, columns left and right.
    """

    kind: Kind
    name: str
    inputs: tuple[str, ...]
    weight: FloatArray | None = None
    bias: FloatArray | None = None
    stride: int = 1
    before: int = 0
    after: int = 0
    rectified: bool = False
    cut: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass
class Graph:
    """Layers in the order they are computed; the last one's result is the graph's.

    Attributes
    ----------
    channels
        Of what enters.
    """

    channels: int
    layers: list[Layer] = field(default_factory=list)

    @property
    def result(self) -> str:
        """Name of what comes out at the end."""
        return self.layers[-1].name

    def conv(
        self,
        image: str,
        module: nn.Conv2d,
        *,
        norm: nn.BatchNorm2d | None = None,
        first: nn.BatchNorm2d | None = None,
        rectified: bool = False,
        after: int | None = None,
        empty: int = 0,
    ) -> str:
        """Append a convolution with the normalisation after it; one before it is folded in too where it is 1 x 1.

        Parameters
        ----------
        after
            Zeros added below and on the right, where they are not as many as the module adds everywhere.
        empty
            Channels at the end of what enters that the module doesn't know.
        """
        weight, bias = _folded(module, norm, first)
        weight = np.pad(weight, ((0, 0), (0, empty), (0, 0), (0, 0)))
        before = int(module.padding[0])
        return self._append(
            "conv",
            (image,),
            weight=weight,
            bias=bias,
            stride=int(module.stride[0]),
            before=before,
            after=before if after is None else after,
            rectified=rectified,
        )

    def apply(self, kind: Kind, *images: str) -> str:
        """Append a layer without weights."""
        return self._append(kind, images)

    def crop(self, image: str, cut: tuple[int, int, int, int]) -> str:
        """Append a layer that takes rows above and below, and columns left and right, away; none where all are 0."""
        return self._append("crop", (image,), cut=cut) if any(cut) else image

    def _append(
        self,
        kind: Kind,
        inputs: Sequence[str],
        *,
        weight: FloatArray | None = None,
        bias: FloatArray | None = None,
        stride: int = 1,
        before: int = 0,
        after: int = 0,
        rectified: bool = False,
        cut: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> str:
        # a crop is named after what it crops: all others are called the same, whatever is cut
        number = sum(layer.kind != "crop" for layer in self.layers)
        name = f"{inputs[0]}_cut" if kind == "crop" else f"{kind}{number}"
        self.layers.append(Layer(kind, name, tuple(inputs), weight, bias, stride, before, after, rectified, cut))
        return name


def _folded(
    module: nn.Conv2d, norm: nn.BatchNorm2d | None, first: nn.BatchNorm2d | None
) -> tuple[FloatArray, FloatArray]:
    """Weight and bias of a convolution with the normalisations beside it, folded in double precision."""
    weight = module.weight.detach().double().cpu()
    bias = torch.zeros(weight.shape[0], dtype=torch.float64)
    if module.bias is not None:
        bias = module.bias.detach().double().cpu()
    if first is not None:
        if weight.shape[2:] != (1, 1):
            raise ValueError("a normalisation can't be folded into the padded convolution after it")
        factor, offset = _affine(first)
        bias = bias + weight[:, :, 0, 0] @ offset
        weight = weight * factor[None, :, None, None]
    if norm is not None:
        factor, offset = _affine(norm)
        weight, bias = weight * factor[:, None, None, None], bias * factor + offset
    return weight.float().numpy(), bias.float().numpy()


def _affine(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """What a normalisation at rest multiplies by, and adds."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None  # noqa: S101 - ours all keep their statistics
    assert variance is not None  # noqa: S101
    factor = (variance.detach().double().cpu() + norm.eps).rsqrt()
    if norm.weight is not None:
        factor = factor * norm.weight.detach().double().cpu()
    offset = -mean.detach().double().cpu() * factor
    if norm.bias is not None:
        offset = offset + norm.bias.detach().double().cpu()
    return factor, offset
