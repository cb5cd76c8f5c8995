"""The contract every estimator of coherence keeps, classical or learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.errors import ModelError

FloatArray = npt.NDArray[np.float32]
LEAST_SIGMA = 1e-3
"""Where readings are weighted by their variances, no sigma counts as less: one reading would outvote all others."""


class Estimator(Protocol):
    """Maps two coregistered detected images to coherence and its standard deviation.

    Attributes
    ----------
    name, version
        What product metadata says; the version changes whenever the numbers would.
    halo
        Pixels around a window that its estimate depends on: a tile estimated with this margin equals the whole image.
    spacing
        Pixel spacing in metres that it was calibrated for.
    context
        Number of further dates that it makes use of; 0 for most.
    runtime
        What computes it: torch, or one of `models.runtimes.choice`.
    """

    name: str
    version: str
    halo: int
    spacing: float
    context: int
    runtime: str

    def estimate(
        self, reference: FloatArray, secondary: FloatArray, context: Sequence[FloatArray] = (), *, margin: int = 0
    ) -> tuple[FloatArray, FloatArray]:
        """Coherence and sigma of one polarisation.

        Parameters
        ----------
        reference, secondary
            Linear power, float32, shape (height, width), NaN where there is no data, on one grid.
        context
            Images of further dates, of the same shape and grid; they help estimators that know what to make of them.
        margin
            Pixels along all four sides that are there to be looked at, as many as `halo` for instance: the maps lack
            them, and what is only needed for them isn't computed.

        Returns
        -------
        coherence, sigma
            float32 in [0, 1], shape (height, width) less the margin, NaN where either input is NaN.
        """
        ...


def within(image: FloatArray, margin: int) -> FloatArray:
    """An image without so many pixels along all four sides; a view."""
    return image[margin:-margin, margin:-margin] if margin else image


def require_one_shape(reference: FloatArray, *others: FloatArray, margin: int = 0) -> None:
    """Refuse what no estimator can take.

    Raises
    ------
    ModelError
        The images aren't two-dimensional, or their shapes differ, or nothing is left of them within the margin.
    """
    if reference.ndim != 2 or any(image.shape != reference.shape for image in others):
        shapes = " and ".join(str(image.shape) for image in (reference, *others))
        raise ModelError(f"an estimate takes two images of one shape, not {shapes}; put them on one grid first")
    if margin < 0 or min(reference.shape) <= 2 * margin:
        raise ModelError(f"a margin of {margin} pixels leaves nothing of an image of shape {reference.shape}")
