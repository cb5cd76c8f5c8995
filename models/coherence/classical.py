"""Windowed statistics as estimators: measure, look up, mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import torch

from models.coherence.device import resolve_device
from models.coherence.statistic import Axis, Statistic
from models.coherence.tables import Mode, Table, find_table
from models.estimator import FloatArray, require_one_shape, within

CODE_VERSION = "1"
"""Raised whenever the numbers change for a reason other than a new table."""

STRIP = 512
"""Rows estimated at once, so that memory doesn't grow with the image; windows are local, so strips leave no seam."""


class ClassicalEstimator:
    """One statistic with its window, mode and calibration; keeps the contract of `models.estimator.Estimator`.

    Power that is zero or negative (noise subtracted, borders) counts as missing from every window. A pixel gets an
    estimate where both images are finite and at least a quarter of its window's weight is valid, otherwise NaN.
    An image that doesn't vary shows no speckle: the statistic is then that of zero coherence.

    Parameters
    ----------
    statistic
        What is measured.
    window
        Side of the window in pixels, one of those with a table.
    mode
        raw: the published closed form; inverted: its bias over homogeneous ground removed; calibrated: expected
        coherence given the statistic, over randomised scenes with texture. Sigma is in each mode the root-mean-square
        error over those scenes, given the statistic.
    spacing
        Pixel spacing of the images in metres; the nearest table by ratio is taken.

    Raises
    ------
    ModelError
        No such table, or the device isn't there.
    """

    def __init__(self, statistic: Statistic, *, window: int, mode: Mode, spacing: float, device: str = "auto") -> None:
        self._statistic = statistic
        self._table: Table = find_table(statistic.name, window, mode, spacing)
        self._device = resolve_device(device)
        self.window = window
        self.mode = mode
        self.name = statistic.name
        self.version = f"{CODE_VERSION}-{mode}-w{window}-{self._table.product.lower()}-{self._table.digest}"
        self.halo = window // 2 + statistic.margin
        self.context = 0
        self.runtime = "torch"
        self.spacing = self._table.spacing
        self.floor = self._table.floor
        self.textured_floor = self._table.textured_floor
        self._sigma = torch.from_numpy(self._table.sigma).to(self._device)
        estimate = self._table.estimate
        self._estimate = None if estimate is None else torch.from_numpy(estimate).to(self._device)

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
        statistics = np.empty((2, *reference.shape), np.float32)
        for inner, outer, cut in _strips(reference.shape[0], self.halo):
            values = self._estimate_strip(reference[outer], secondary[outer])
            statistics[:, inner] = values[:, cut].cpu().numpy()
        return within(statistics[0], margin), within(statistics[1], margin)

    def _estimate_strip(self, reference: FloatArray, secondary: FloatArray) -> torch.Tensor:
        first, second = (
            torch.from_numpy(np.ascontiguousarray(image, np.float32)).to(self._device, torch.float64)
            for image in (reference, secondary)
        )
        there = torch.isfinite(first) & torch.isfinite(second)
        valid = there & (first > 0) & (second > 0)
        first, second = (torch.where(valid, image, 0.0) for image in (first, second))
        measured, filled = self._statistic.measure(first, second, valid, self.window, self._table.speckle)
        coherence = self._coherence(measured)
        sigma = look_up(self._sigma, self._statistic.axes, measured)
        return torch.where(there & filled, torch.stack([coherence, sigma]), torch.nan)

    def _coherence(self, measured: torch.Tensor) -> torch.Tensor:
        if self._estimate is not None:
            return look_up(self._estimate, self._statistic.axes, measured)
        closed_form = self._statistic.closed_form
        assert closed_form is not None  # noqa: S101 - tables of mode raw exist only for statistics that have one
        return closed_form(measured[0], self._table.speckle.looks)


def look_up(table: torch.Tensor, axes: Sequence[Axis], measured: torch.Tensor) -> torch.Tensor:
    """Multilinear interpolation in a table with equal steps; beyond its ends, the value at the end.

    Parameters
    ----------
    table
        One value a node, shape (nodes,) or (nodes, nodes).
    measured
        Position along each axis, shape (axes, height, width).
    """
    bases, shares = [], []
    for axis, values in zip(axes, measured, strict=True):
        place = ((values - axis.low) * ((axis.nodes - 1) / (axis.high - axis.low))).clamp(0.0, axis.nodes - 1.0)
        base = place.floor().clamp(max=axis.nodes - 2.0)
        bases.append(base.long())
        shares.append(place - base)
    total = torch.zeros_like(measured[0])
    for corner in product((0, 1), repeat=len(axes)):
        weight = torch.ones_like(total)
        for share, step in zip(shares, corner, strict=True):
            weight = weight * (share if step else 1.0 - share)
        total += weight * table[tuple(base + step for base, step in zip(bases, corner, strict=True))]
    return total


def _strips(rows: int, halo: int) -> Iterator[tuple[slice, slice, slice]]:
    """Rows of each strip in the image, with their halo, and where the strip lies inside that."""
    for start in range(0, rows, STRIP):
        stop = min(start + STRIP, rows)
        top = max(start - halo, 0)
        yield slice(start, stop), slice(top, min(stop + halo, rows)), slice(start - top, stop - top)
