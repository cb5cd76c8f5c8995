"""The regressor: a residual U-Net on cells, after the speckle-correlation stem, with mean and variance heads."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from models.coherence.blocks import LARGEST
from models.coherence.published import PublishedNetwork
from models.coherence.ranges import HIGHEST_LOG, LOWEST_LOG
from models.coherence.stem import CELL, SpeckleStem
from models.coherence.trim import WHOLE, Cuts, Sides, cut_off, plan_cuts
from models.errors import ModelError

FORMAT = "cohmap-coherence-1"
HALO = 160
"""Pixels around a window beyond which nothing changed an estimate by 1e-6, a multiple of the lattice: the learned part
reaches 152, and what the stem sees further out is too faint to tell."""
MOST_DATES = 4
"""Further dates made use of."""


@dataclass(frozen=True)
class Layout:
    """Size of the network.

    Attributes
    ----------
    channels
        Of each level, from the cells down; each level halves the grid.
    encoder, decoder
        Residual blocks on each level, going down and coming up (one fewer).
    """

    channels: tuple[int, ...] = (64, 96, 128)
    encoder: tuple[int, ...] = (1, 1, 2)
    decoder: tuple[int, ...] = (1, 1)

    @property
    def lattice(self) -> int:
        """Pixels that the sides, and the origin of a tile, must be multiples of."""
        return int(CELL * 2 ** (len(self.channels) - 1))


class Block(nn.Module):
    """Two 3x3 convolutions with batch normalisation, and the identity around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.second_norm.weight)  # a block begins as the identity

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Same shape in and out."""
        inner = functional.relu(self.first_norm(self.first(image)))
        return functional.relu(image + self.second_norm(self.second(inner)))


class CoherenceNetwork(nn.Module):
    """Logarithms of two images, and what further dates say, to coherence and the logarithm of its variance.

    Attributes
    ----------
    lattice
        Pixels that sides and origins are multiples of.
    halo
        Pixels around a window that matter.
    dates
        Further dates made use of.
    side
        Pixels along both sides of what is estimated at once, at most.
    """

    halo, dates, side = HALO, MOST_DATES, LARGEST

    def __init__(self, layout: Layout | None = None) -> None:
        super().__init__()
        self.layout = Layout() if layout is None else layout
        self.lattice = self.layout.lattice
        widths = self.layout.channels
        steps = list(pairwise(widths))
        self.stem = SpeckleStem()
        self.scale = nn.BatchNorm2d(self.stem.channels, affine=False)  # features differ in size
        self.enter = nn.Conv2d(self.stem.channels, widths[0], 1)
        self.encoder = nn.ModuleList(_blocks(*level) for level in zip(widths, self.layout.encoder, strict=True))
        self.down = nn.ModuleList(nn.Conv2d(finer, coarser, 2, 2) for finer, coarser in steps)
        self.up = nn.ModuleList(nn.Conv2d(coarser, finer, 1) for finer, coarser in steps)
        self.decoder = nn.ModuleList(_blocks(*level) for level in zip(widths[:-1], self.layout.decoder, strict=True))
        self.leave = nn.Conv2d(widths[0], 2 * CELL**2, 1)
        with torch.no_grad():
            self.leave.weight.mul_(0.3)

    def forward(
        self, images: torch.Tensor, context: torch.Tensor, dates: torch.Tensor, spacing: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Coherence and log variance; arguments as in `SpeckleStem.forward`, sides multiples of the lattice.

        Returns
        -------
        coherence, log_variance
            Shape (batch, 1, height, width).
        """
        return self.answer(self.trunk(self.features(images, context, dates, spacing)))

    def features(
        self, images: torch.Tensor, context: torch.Tensor, dates: torch.Tensor, spacing: torch.Tensor
    ) -> torch.Tensor:
        """What enters the learned part: the stem's channels, and empty ones."""
        channels: torch.Tensor = self.stem(images, context, dates, spacing)
        return channels

    @property
    def cuts(self) -> Cuts:
        """Where the learned part drops the halo."""
        return plan_cuts(self.layout.encoder, self.layout.decoder, self.halo // CELL)

    def trunk(self, features: torch.Tensor, margin: Sides = WHOLE) -> torch.Tensor:
        """The learned part up to both heads, on cells; `models.coherence.graphs` gives it to other runtimes.

        Parameters
        ----------
        margin
            On which sides there is a halo that isn't kept. The result lacks it.
        """
        cuts = self.cuts
        features = features[:, : self.stem.channels].contiguous(memory_format=torch.channels_last)
        inner = cut_off(features, margin.times(cuts.entering[0]))
        inner = functional.relu(self.enter(self.scale(inner)))
        skips: list[torch.Tensor] = []
        for level, blocks in enumerate(self.encoder):
            if level:
                inner = functional.relu(self.down[level - 1](inner))
                inner = cut_off(inner, margin.times(cuts.entering[level]))
            inner = blocks(inner)
            skips.append(inner)
        skips.pop()
        for level in reversed(range(len(self.decoder))):
            coarse = cut_off(inner, margin.times(cuts.coarse[level]))
            larger = functional.interpolate(
                self.up[level](coarse), scale_factor=2.0, mode="bilinear", align_corners=False
            )
            inner = self.decoder[level](cut_off(skips.pop(), margin.times(cuts.skips[level])) + larger)
        leaving: torch.Tensor = cut_off(self.leave(inner), margin.times(cuts.leaving))
        return leaving

    @staticmethod
    def answer(leaving: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Coherence and log variance from what leaves the learned part."""
        heads = functional.pixel_shuffle(leaving, CELL).float()
        spread = heads[:, 1:] - 3.0
        return torch.sigmoid(heads[:, :1]), spread.clamp(LOWEST_LOG, HIGHEST_LOG)


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*[Block(channels) for _ in range(count)])


Kind = Literal["speckle-unet", "resunet"]


def build(kind: Kind, layout: Layout) -> CoherenceNetwork | PublishedNetwork:
    """A fresh network: (images, context, dates, spacing) -> (coherence, log variance).

    Raises
    ------
    ValueError
        There is none of this kind.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind {kind}")
    return PublishedNetwork() if kind == "resunet" else CoherenceNetwork(layout)


@dataclass(frozen=True)
class Weights:
    """A trained network as it is stored.

    Attributes
    ----------
    layout
        Its size.
    state
        Its tensors.
    card
        How it was made and what it scored; JSON.
    sigma_scale
        Factor on sigma, found on validation scenes after training.
    kind
        Ours (speckle-unet), or the published layout (resunet), which has but one size.
    """

    layout: Layout
    state: dict[str, torch.Tensor]
    card: dict[str, Any] = field(default_factory=dict)
    sigma_scale: float = 1.0
    kind: Kind = "speckle-unet"

    def network(self) -> CoherenceNetwork | PublishedNetwork:
        """The network, ready to estimate."""
        network = build(self.kind, self.layout)
        network.load_state_dict(self.state)
        return network.eval()

    def save(self, path: Path) -> None:
        """Write as safetensors, whole or not at all."""
        header = {"format": FORMAT, "layout": asdict(self.layout), "sigma_scale": self.sigma_scale, "card": self.card}
        header["kind"] = self.kind
        partial = path.with_name(path.name + ".partial")
        state = {name: tensor.contiguous() for name, tensor in self.state.items()}
        save_file(state, partial, metadata={"cohmap": json.dumps(header)})
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Weights:
        """Read what `save` wrote.

        Raises
        ------
        ModelError
            There is no such file, it isn't safetensors, or it holds something else.
        """
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
            header = _header(metadata)
            layout = Layout(**{name: tuple(value) for name, value in header["layout"].items()})
            kind: Kind = header.get("kind", "speckle-unet")
            weights = cls(layout, load_file(path), header["card"], float(header["sigma_scale"]), kind)
            weights.network()
        except FileNotFoundError:
            raise ModelError(
                f"there are no weights at {path}; train them with `cohmap train`, or mend the path"
            ) from None
        except (safetensors.SafetensorError, OSError) as error:
            raise ModelError(f"{path} is no safetensors file ({error}); convert or train it again") from None
        except (LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"{path} holds no coherence network of this version ({reason}); train it again") from None
        return weights


def _header(metadata: dict[str, str]) -> dict[str, Any]:
    if "cohmap" not in metadata:
        raise ValueError("it was written by another program")
    header: dict[str, Any] = json.loads(metadata["cohmap"])
    if header["format"] != FORMAT:
        raise ValueError(f"format {header['format']}")
    if not 0.0 < float(header["sigma_scale"]) < math.inf:
        raise ValueError(f"sigma_scale {header['sigma_scale']}")
    return header
