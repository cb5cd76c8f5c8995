"""The decay of 30 real coherence maps: ``python -m tests.benchmarks.mexico_city FOLDER [--figure FILE]``.

Real, complex-data coherence (Sentinel-1 track 5, Mexico City, 2018), not made by cohmap: shows the fit on real decay.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from models.decay import TOLD, Fit, Quality, coherence_at, fit
from models.decay.response import Response
from pipeline.figures import DPI, INK, to_png

_NAME = re.compile(r"_(\d{8})-(\d{8})_.*_flat_eqa_cc\.tif$")
FEWEST = 3


@dataclass(frozen=True, eq=False)
class Maps:
    """Coherence by baseline: shape (pairs, height, width) each, NaN where there is none."""

    by_days: dict[int, npt.NDArray[np.float64]]

    @property
    def days(self) -> list[int]:
        """Baselines, shortest first."""
        return sorted(self.by_days)

    def scatter(self) -> npt.NDArray[np.float64]:
        """Standard deviation between pairs of one baseline at each pixel, pooled over baselines with enough of them."""
        enough = [maps for maps in self.by_days.values() if len(maps) >= FEWEST]
        freedom = sum(len(maps) - 1 for maps in enough)
        squares = sum(((maps - maps.mean(axis=0)) ** 2).sum(axis=0) for maps in enough)
        return np.asarray(np.sqrt(squares / freedom))


def read_maps(folder: Path) -> Maps:
    """Every coherence map of a folder, by the days between its dates."""
    found: dict[int, list[npt.NDArray[np.float64]]] = {}
    for path in sorted(folder.glob("*_flat_eqa_cc.tif")):
        name = _NAME.search(path.name)
        assert name is not None, path
        first, second = (date(int(d[:4]), int(d[4:6]), int(d[6:])) for d in name.groups())
        with rasterio.open(path) as dataset:
            values: npt.NDArray[np.float64] = dataset.read(1).astype(np.float64)
        found.setdefault((second - first).days, []).append(np.where(values > 0, values, np.nan))
    return Maps({days: np.stack(maps) for days, maps in found.items()})


def fit_mean(maps: Maps) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Fit]:
    """Mean coherence of the whole city at each baseline, its standard error, and their curve."""
    totals = {days: np.nanmean(stack, axis=(1, 2)) for days, stack in maps.by_days.items()}
    enough = [values for values in totals.values() if len(values) >= FEWEST]
    spread = np.sqrt(sum(values.var() * len(values) for values in enough) / sum(len(values) - 1 for values in enough))
    means = np.array([totals[days].mean() for days in maps.days])
    errors = np.array([spread / np.sqrt(len(totals[days])) for days in maps.days])
    return means, errors, fit(maps.days, means[:, np.newaxis], errors[:, np.newaxis])


def fit_ceiling(maps: Maps) -> tuple[float, Fit]:
    """The same with a share that every pair lacks, however short (thermal noise, perpendicular baselines, fast change).

    Readings are taken as ceiling times the curve; the ceiling with the smallest misfit is found by trial.
    """
    means, errors, _ = fit_mean(maps)
    fits = {}
    for ceiling in np.arange(0.6, 1.0001, 0.005):
        lowered = Response((0.0, 1.0), (0.0, float(ceiling)), (0.0, 0.0))
        found = fit(maps.days, means[:, np.newaxis], errors[:, np.newaxis], response=lowered)
        if np.isfinite(found.rmse[0]):
            curve = ceiling * coherence_at(np.array(maps.days), found.tau[0], found.rho_inf[0])
            fits[float(ceiling)] = (float((((means - curve) / errors) ** 2).sum()), found)
    best = min((ceiling for ceiling in fits if np.isfinite(fits[ceiling][0])), key=lambda ceiling: fits[ceiling][0])
    return best, fits[best][1]


def fit_pixels(maps: Maps) -> Fit:
    """The curve of every pixel, from the median at each baseline."""
    medians = np.stack([np.median(maps.by_days[days], axis=0) for days in maps.days])
    scatter = np.where(maps.scatter() > 0, maps.scatter(), np.nan)
    return fit(maps.days, medians, np.stack([scatter / np.sqrt(len(maps.by_days[days])) for days in maps.days]))


def draw(maps: Maps) -> bytes:
    """Data with their errors and the curve of the city's mean; a map of what lasts at each pixel."""
    means, errors, whole = fit_mean(maps)
    pixels = fit_pixels(maps)
    figure = Figure(figsize=(10.5, 3.8), dpi=DPI, layout=ConstrainedLayoutEngine())
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    for days in maps.days:
        singles = np.nanmean(maps.by_days[days], axis=(1, 2))
        left.plot([days] * len(singles), singles, ".", color="#9aa3b2", markersize=6, zorder=1)
    left.errorbar(
        maps.days, means, errors, fmt="o", color="#0072b2", capsize=2, markersize=5, label="mean of a baseline"
    )
    left.plot([], [], ".", color="#9aa3b2", label="one pair, mean over the city")
    at = np.linspace(0.5, max(maps.days) + 6, 300)
    if whole.quality[0] in TOLD:
        text = (
            f"tau = {whole.tau[0]:.1f} ± {whole.tau_error[0]:.1f} days, "
            f"rho_inf = {whole.rho_inf[0]:.3f} ± {whole.rho_inf_error[0]:.3f}"
        )
        left.plot(at, coherence_at(at, whole.tau[0], whole.rho_inf[0]), color="#d55e00", label=text)
    ceiling, lowered = fit_ceiling(maps)
    text = (
        f"{ceiling:.2f} times the curve: tau = {lowered.tau[0]:.0f} ± {lowered.tau_error[0]:.0f} days, "
        f"rho_inf = {lowered.rho_inf[0]:.2f} ± {lowered.rho_inf_error[0]:.2f}"
    )
    left.plot(at, ceiling * coherence_at(at, lowered.tau[0], lowered.rho_inf[0]), color="#009e73", label=text)
    left.set(xlabel="temporal baseline (days)", ylabel="coherence", ylim=(0.45, 0.9), xlim=(0, max(maps.days) + 6))
    left.legend(frameon=False, fontsize=9)
    left.grid(color="#d9dde3", linewidth=0.6)
    image = right.imshow(pixels.rho_inf, vmin=0.2, vmax=0.9, cmap="viridis", interpolation="nearest")
    right.set(xticks=[], yticks=[], facecolor="#c8cacd")
    right.set_title("lasting coherence of each pixel; grey: can't be told", fontsize=9, color=INK)
    figure.colorbar(image, ax=right, label="rho_inf", shrink=0.9)
    return to_png(figure)


def shares(quality: npt.NDArray[Any]) -> dict[str, float]:
    """Share of the pixels with data in each class."""
    known = quality[quality != Quality.NO_DATA]
    return {kind.name: round(float((known == kind).mean()), 3) for kind in Quality if (known == kind).any()}


def main() -> None:
    """Fit, print, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    maps = read_maps(given.folder)
    means, errors, whole = fit_mean(maps)
    for days, mean, error in zip(maps.days, means, errors, strict=True):
        print(f"{days:4d} days  {mean:.3f} ± {error:.3f}  ({len(maps.by_days[days])} pairs)")
    print(f"city: {Quality(int(whole.quality[0])).name}, tau {whole.tau[0]:.2f} ± {whole.tau_error[0]:.2f} days, ")
    print(f"rho_inf {whole.rho_inf[0]:.4f} ± {whole.rho_inf_error[0]:.4f}, rmse {whole.rmse[0]:.4f}")
    ceiling, lowered = fit_ceiling(maps)
    print(f"with a ceiling of {ceiling:.3f}: tau {lowered.tau[0]:.1f} ± {lowered.tau_error[0]:.1f} days, ")
    print(f"rho_inf {lowered.rho_inf[0]:.3f} ± {lowered.rho_inf_error[0]:.3f}, rmse {lowered.rmse[0]:.4f}")
    pixels = fit_pixels(maps)
    print("pixels:", shares(pixels.quality))
    for name in ("tau", "tau_error", "rho_inf", "rho_inf_error"):
        values = getattr(pixels, name)
        print(f"  {name}: quartiles {np.round(np.nanpercentile(values, (25, 50, 75)), 3).tolist()}")
    if given.figure:
        given.figure.write_bytes(draw(maps))


if __name__ == "__main__":
    main()
