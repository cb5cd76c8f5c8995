"""A trained network as an estimator: pad, show, mask."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from models.coherence.blocks import blocks
from models.coherence.device import resolve_device
from models.coherence.inputs import logarithm, summarise
from models.coherence.network import Weights
from models.coherence.spacing import LEARNED, nearest_spacing
from models.coherence.stem import box
from models.estimator import FloatArray, require_one_shape

SHIPPED = Path(__file__).with_name("trained")
"""Weights that come with the package, and their cards."""
CODE_VERSION = "1"
"""Raised whenever the numbers change for a reason other than new weights."""

SURROUNDINGS = 15
"""Side in pixels of the window that must be valid to a quarter for an estimate."""
LEAST_VALID = 0.25


class LearnedEstimator:
    """A coherence network with its weights; keeps the contract of `models.estimator.Estimator`.

    Power that is zero or negative (noise subtracted, borders) counts as missing. A pixel gets an estimate where both
    images are finite and a quarter of its surroundings is valid in both, otherwise NaN. Tiles agree with the whole
    image where their origins are multiples of `lattice` and they have the declared halo.

    Parameters
    ----------
    name
        As the registry calls it.
    path
        Weights that `cohmap train` wrote.
    spacing
        Pixel spacing of the images in metres; the network is told the nearest by ratio that it was trained on.

    Raises
    ------
    ModelError
        There are no such weights, no such device, or a spacing too far from those trained on.
    """

    def __init__(self, name: str, path: Path, *, spacing: float, device: str = "auto") -> None:
        weights = Weights.load(path)
        self._device = resolve_device(device)
        self._network = weights.network().to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._sigma_scale = weights.sigma_scale
        self.lattice = self._network.lattice
        self.name = name
        self.version = f"{CODE_VERSION}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"
        self.halo = self._network.halo
        self.spacing = nearest_spacing(name, LEARNED, spacing)
        self.context = self._network.dates

    def estimate(
        self, reference: FloatArray, secondary: FloatArray, context: Sequence[FloatArray] = ()
    ) -> tuple[FloatArray, FloatArray]:
        """Coherence and sigma of one polarisation; see `models.estimator.Estimator.estimate`.

        Raises
        ------
        ModelError
            The images aren't two-dimensional, or their shapes differ.
        """
        images = [reference, secondary, *context]
        require_one_shape(*images)
        maps = np.empty((2, *reference.shape), np.float32)
        for inner, outer, cut in blocks(images[0].shape, self.halo):
            maps[:, *inner] = self._estimate_block([image[outer] for image in images])[:, *cut]
        missing = ~(np.isfinite(reference) & np.isfinite(secondary))
        maps[:, missing] = np.nan
        return maps[0], maps[1]

    def _estimate_block(self, images: Sequence[FloatArray]) -> FloatArray:
        """Coherence and sigma, shape (2, height, width)."""
        height, width = images[0].shape
        pair = torch.from_numpy(np.stack([logarithm(image) for image in images[:2]]))[None].to(self._device)
        summary = torch.from_numpy(np.stack(summarise(images[2:], (height, width))))[None].to(self._device)
        dates = torch.tensor([len(images) - 2], device=self._device)
        spacing = torch.tensor([self.spacing], device=self._device)
        bottom, right = -height % self.lattice, -width % self.lattice
        with torch.inference_mode():
            padded = functional.pad(pair, (0, right, 0, bottom), value=float("nan"))
            shown = padded, functional.pad(summary, (0, right, 0, bottom)), dates, spacing
            coherence, log_variance = self._network(*shown)
            sigma = (0.5 * log_variance).exp() * self._sigma_scale
            both = torch.isfinite(pair).all(1, keepdim=True).float()
            share = box(both, SURROUNDINGS)
            result = torch.cat([coherence, sigma.clamp(max=1.0)], 1)[..., :height, :width]
            maps: FloatArray = torch.where(share >= LEAST_VALID, result, torch.nan)[0].cpu().numpy()
        return maps
