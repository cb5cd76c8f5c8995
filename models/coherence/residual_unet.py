"""The published Residual U-Net as an estimator, with weights that the user imported.

Blocks with a halo, instead of the published patches: in blocks of 1024 px the multiplications are 1.24 times those of
the pixels kept, instead of 16 times, and blocks fit together without seams.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from models import weights
from models.coherence.blocks import SIDE, Window, blocks
from models.coherence.device import resolve_device
from models.coherence.spacing import PUBLISHED, nearest_spacing
from models.coherence.trim import Sides, around
from models.errors import ModelError
from models.estimator import FloatArray, require_one_shape, within
from models.resunet import ResidualUNet
from models.runtimes.choice import BF16, PYTORCH, ROUNDED, Runner, open_runner, require_exact, resolve_runtime
from models.runtimes.eager import EagerRunner
from models.runtimes.published import published_graph
from models.tiling import blend_patches

CODE_VERSION = "2"
"""Raised whenever the numbers change for a reason other than new weights."""

LATTICE = 16
"""Pixels that max-pooling joins at the lowest of five levels: tiles fit together only where they start on multiples."""
HALO = 144
"""Pixels around a tile that its estimate depends on, a multiple of the lattice.

The network alone reaches 122 px up and left and 137 px down and right, whatever its weights (`tests/test_resunet.py`
measures it), and the fill of missing pixels `FILL // 2` further.
"""
FILL = 15
"""Side of the window in pixels whose mean stands in for a missing pixel."""

BLOCK = SIDE
"""Side of what is estimated at once."""

PUBLISHED_RMSE = 0.108
"""Root-mean-square error that the article states for pairs of 12 days (San Francisco Bay)."""


class ResidualUNetEstimator:
    """The published network, whole tiles at once; keeps the contract of `models.estimator.Estimator`.

    Trained on VV sigma0 of 12-day pairs at 10 m; what it makes of other bands, products and spacings nobody measured.
    The order of the images counts: the reference is its first channel.

    *No data.* A pixel missing in one image is NaN in the result. For the network it is filled with the mean, in scaled
    dB, of that image within 15 x 15 pixels, or with the lowest value of the range where nothing is near. Sides that
    aren't multiples of 16 are continued at the bottom and on the right by reflection.

    *Tiles.* A tile with its halo equals the whole image to 1e-5 where it starts on a multiple of 16 pixels of it, as
    the pipeline's do. Beyond the image's own edge tiles of the pipeline see missing pixels, where a call with the whole
    image sees an edge: up to a halo from there the two differ.

    *Sigma* is not the network's own. Its log-variance goes through a sigmoid, so that it can only say variances from
    1 to e, of a quantity between 0 and 1. Until somebody calibrates it, sigma is the error that the article states,
    .108, at every pixel.

    Parameters
    ----------
    name
        Of the imported weights.
    spacing
        Pixel spacing of the images in metres.
    device
        auto, cpu or cuda.
    runtime
        What computes the convolutions, see `models.runtimes.choice`; all agree to 1e-5, but for
        torch-bf16, which therefore has a version of its own.

    Raises
    ------
    ModelError
        No weights of this name, or they don't fit the network; a spacing too far from 10 m; no such device or runtime.
    """

    def __init__(
        self, name: str, *, spacing: float = PUBLISHED[0], device: str = "auto", runtime: str = "auto"
    ) -> None:
        self.spacing = nearest_spacing(name, PUBLISHED, spacing)
        self._device = resolve_device(device)
        imported = weights.load(name)
        self._record = imported.record
        self._network = ResidualUNet(channels=imported.record.channels)
        try:
            self._network.load_state_dict(imported.state)
        except RuntimeError:
            raise ModelError(
                f"weights {weights.path_of(name)} don't fit the network; delete them and import or fetch them again"
            ) from None
        self._network.eval().to(self._device)
        self.runtime = resolve_runtime(runtime, self._device)
        require_exact(self.runtime)
        self._runners: dict[Sides, Runner] = {}
        self.name = name
        self.version = f"{CODE_VERSION}-{imported.digest}{ROUNDED.get(self.runtime, '')}"
        self.halo = HALO
        self.context = 0

    def estimate(
        self,
        reference: FloatArray,
        secondary: FloatArray,
        context: Sequence[FloatArray] = (),  # noqa: ARG002 - other estimators have a use for it
        *,
        margin: int = 0,
    ) -> tuple[FloatArray, FloatArray]:
        """Coherence and sigma of one polarisation; see `models.estimator.Estimator.estimate`.

        Raises
        ------
        ModelError
            The images aren't two-dimensional, or their shapes differ, or the margin leaves nothing of them.
        """
        require_one_shape(reference, secondary, margin=margin)
        images = _stacked(reference, secondary)
        coherence = np.empty(reference.shape, np.float32)
        for inner, outer, cut in blocks(images.shape[1:], HALO, BLOCK, margin):
            coherence[inner] = self._predict(_padded(self._scaled(images[:, *outer])), cut)
        maps = self._masked(coherence, images)
        return within(maps[0], margin), within(maps[1], margin)

    def estimate_by_patches(self, reference: FloatArray, secondary: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The same by the published scheme of blended patches: slower, and its tiles have seams; for comparison."""
        images = _stacked(reference, secondary)
        scaled = self._scaled(images).cpu().numpy()
        patch, stride = self._record.patch, self._record.stride

        def predict(part: FloatArray) -> FloatArray:
            return self._predict(torch.from_numpy(part).to(self._device), (slice(0, patch), slice(0, patch)))

        return self._masked(blend_patches(scaled, predict, patch=patch, stride=stride), images)

    def _scaled(self, images: FloatArray) -> torch.Tensor:
        return filled(self._record.scale.scale(torch.from_numpy(images).to(self._device)))

    def _runner(self, margin: Sides) -> Runner:
        """The network up to its heads for images with a halo on these sides, which its result lacks."""
        if margin not in self._runners:
            self._runners[margin] = (
                EagerRunner(partial(self._network.heads, margin=margin, halo=HALO), rounded=self.runtime == BF16)
                if self.runtime in PYTORCH
                else open_runner(self.runtime, published_graph(self._network, margin, HALO))
            )
        return self._runners[margin]

    def _predict(self, images: torch.Tensor, kept: Window) -> FloatArray:
        """The mean head where it is kept, of scaled images of shape (2, height, width), sides multiples of 16."""
        margin, inside = around(kept, (images.shape[1], images.shape[2]), HALO)
        with torch.inference_mode():
            mean = torch.sigmoid(self._runner(margin)(images[None])[:, :1])
        coherence: FloatArray = mean[0, 0, *inside].cpu().numpy()
        return coherence

    @staticmethod
    def _masked(coherence: FloatArray, images: FloatArray) -> tuple[FloatArray, FloatArray]:
        there = np.isfinite(images).all(axis=0)
        missing = np.float32(np.nan)
        return np.where(there, coherence, missing), np.where(there, np.float32(PUBLISHED_RMSE), missing)


def filled(images: torch.Tensor) -> torch.Tensor:
    """Scaled images with every missing pixel replaced by the mean around it, or 0 where nothing is near.

    Each image is filled from itself, so that a pixel missing in one stays what it is in the other.

    Parameters
    ----------
    images
        Shape (images, height, width), NaN where there is no data.
    """
    there = torch.isfinite(images)
    known = torch.where(there, images, 0.0)
    # both are means over the whole window, so that their ratio is the mean over what is there
    total, share = (functional.avg_pool2d(part, FILL, 1, FILL // 2) for part in (known, there.to(images.dtype)))
    return torch.where(there, images, torch.where(share > 0, total / share.clamp(min=1e-6), 0.0))


def _padded(images: torch.Tensor) -> torch.Tensor:
    """Continued by reflection at the bottom and on the right to multiples of the lattice."""
    for axis in (1, 2):
        length = images.shape[axis]
        places = np.pad(np.arange(length), (0, -length % LATTICE), mode="reflect")
        images = images.index_select(axis, torch.from_numpy(places).to(images.device))
    return images


def _stacked(reference: npt.NDArray[np.float32], secondary: npt.NDArray[np.float32]) -> FloatArray:
    require_one_shape(reference, secondary)
    return np.stack([reference, secondary]).astype(np.float32, copy=False)
