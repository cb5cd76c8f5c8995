"""Blend overlapping maps of one quantity, and measure the steps that are left where one of them ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.estimator import LEAST_SIGMA

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]


def blend(values: FloatArray, sigma: FloatArray, weights: DoubleArray) -> tuple[FloatArray, FloatArray]:
    """Mean of several maps, weighted by the inverse of their variance times a weight of their own.

    Parameters
    ----------
    values, sigma
        Maps and their standard errors, shape (maps, height, width); NaN where a map holds no data.
    weights
        Same shape, above 0; how much a map counts at a pixel besides its precision.

    Returns
    -------
    mean, error
        Shape (height, width), float32; NaN where no map holds data.
    """
    there = np.isfinite(values) & np.isfinite(sigma)
    variance = np.maximum(np.where(there, sigma, 1.0).astype(np.float64), LEAST_SIGMA) ** 2
    share = np.where(there, weights / variance, 0.0)
    total = share.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    mean = (share * np.where(there, values, 0.0)).sum(axis=0) / safe
    error = np.sqrt((share**2 * variance).sum(axis=0)) / safe
    return tuple(np.where(total > 0, each, np.nan).astype(np.float32) for each in (mean, error))  # type: ignore[return-value]


@dataclass
class Steps:
    """Steps from pixel to pixel of a blended map: across borders of the maps that went in, and elsewhere.

    Attributes
    ----------
    border
        Pairs of neighbouring pixels that different maps contribute to.
    before, after
        Sum of their squared steps without and with feathered weights.
    other, elsewhere
        Pairs of neighbours that the same two maps or more contribute to, and the sum of their squared steps.
    """

    border: int = 0
    before: float = 0.0
    after: float = 0.0
    other: int = 0
    elsewhere: float = 0.0

    def count(
        self, plain: FloatArray, feathered: FloatArray, there: npt.NDArray[np.bool_], inner: tuple[int, int]
    ) -> None:
        """Count the steps of a window from each of its first `inner` rows and columns to the next.

        Parameters
        ----------
        plain, feathered
            The blend without and with feathered weights, shape (height, width).
        there
            Which maps hold data, shape (maps, height, width).
        """
        for axis in (0, 1):
            here = tuple(slice(0, min(inner[n], plain.shape[n] - (n == axis))) for n in (0, 1))
            ahead = tuple(slice(s.start + (n == axis), s.stop + (n == axis)) for n, s in enumerate(here))
            step = np.square((feathered[ahead] - feathered[here]).astype(np.float64))
            rough = np.square((plain[ahead] - plain[here]).astype(np.float64))
            known = np.isfinite(step)
            differs = (there[:, *ahead] != there[:, *here]).any(axis=0)
            border, same = known & differs, known & ~differs
            self.border += int(border.sum())
            self.before += float(rough[border].sum())
            self.after += float(step[border].sum())
            self.other += int(same.sum())
            self.elsewhere += float(step[same].sum())

    def facts(self) -> dict[str, float | int]:
        """Root-mean-square steps, where there are any."""
        found: dict[str, float | int] = {"seam_pixels": self.border}
        if self.border:
            found["seam_step_unfeathered"] = round(math.sqrt(self.before / self.border), 5)
            found["seam_step"] = round(math.sqrt(self.after / self.border), 5)
        if self.other:
            found["step_elsewhere"] = round(math.sqrt(self.elsewhere / self.other), 5)
        return found
