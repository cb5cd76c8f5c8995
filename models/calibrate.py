"""Make the calibration tables of the classical estimators: `python -m models.calibrate`.

Everything follows from the seed. For each product and window, homogeneous ground of known coherence gives the forward
curve E[statistic | gamma] that mode `inverted` turns round, and randomised scenes (`simulate/draw.py`) give
E[gamma | statistic], which mode `calibrated` returns, and every mode's error. The scenes also vary what is uncertain
about a product (bandwidths, looks, resampling) and what coregistration leaves.

Statistics are spread onto the two nearest nodes of each axis, in proportion: a mean over pixels of anything linear
between the nodes, such as the estimate itself, is then exact.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import product as corners
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from scipy import ndimage, optimize

from models.coherence.intensity import GUARNIERI_PRATI, RIGNOT_VAN_ZYL, TOUZI_INTENSITY
from models.coherence.logarithm import LOG_CORRELATION, LOG_MOMENTS, high_pass
from models.coherence.statistic import Axis, Speckle, Statistic
from models.coherence.tables import FOLDER, UNIT
from models.simulate.draw import Recipe, Sample, draw
from models.simulate.pair import GRD_10M, RTC_20M, RTC_30M, Product, SimulatedPair, simulate_pair

DoubleArray = npt.NDArray[np.float64]

STATISTICS = (GUARNIERI_PRATI, RIGNOT_VAN_ZYL, TOUZI_INTENSITY, LOG_CORRELATION, LOG_MOMENTS)
PRODUCTS = (GRD_10M, RTC_20M, RTC_30M)
WINDOWS = (5, 7, 9, 11, 15, 21, 27, 33)
PLANE_WINDOWS = (11, 15, 21, 27)
"""Windows of statistics with two axes, whose tables are larger."""
SEED = 20260
LEVELS = np.linspace(0.0, 0.98, 15)
"""Coherence of the homogeneous scenes."""
FEWEST = 100.0
"""Pixels below which a node takes its neighbours' value."""
RESIDUAL_SHIFT = 0.1
"""Mode of the misregistration in pixels that coregistration leaves."""


@dataclass
class Counts:
    """Sums over pixels at the nodes of a statistic's axes: of 1, gamma, gamma^2, and of 1 where gamma < 0.02."""

    sums: DoubleArray

    @classmethod
    def empty(cls, axes: Sequence[Axis]) -> Counts:
        """No pixels yet."""
        return cls(np.zeros((4, *(axis.nodes for axis in axes))))

    def add(self, axes: Sequence[Axis], measured: DoubleArray, gamma: DoubleArray) -> None:
        """Spread pixels onto the nodes around them; `measured` has shape (axes, pixels)."""
        shape = self.sums.shape[1:]
        places = [
            np.clip((values - axis.low) / (axis.high - axis.low) * (axis.nodes - 1), 0, axis.nodes - 1)
            for axis, values in zip(axes, measured, strict=True)
        ]
        bases = [np.minimum(place.astype(np.int64), size - 2) for place, size in zip(places, shape, strict=True)]
        values = (np.ones_like(gamma), gamma, gamma**2, (gamma < 0.02).astype(np.float64))
        for corner in corners((0, 1), repeat=len(axes)):
            weight = np.ones_like(gamma)
            for place, base, step in zip(places, bases, corner, strict=True):
                weight *= (place - base) if step else (1.0 - place + base)
            nodes = np.ravel_multi_index([base + step for base, step in zip(bases, corner, strict=True)], shape)
            for number, value in enumerate(values):
                spread = np.bincount(nodes, weight * value, minlength=self.sums[number].size)
                self.sums[number] += spread.reshape(shape)


def measure(
    statistic: Statistic, window: int, pair: SimulatedPair | Sample, speckle: Speckle
) -> tuple[DoubleArray, DoubleArray]:
    """Statistics (axes, pixels) and true coherence (pixels) of one pair."""
    reference, secondary = (torch.from_numpy(image).double() for image in (pair.reference, pair.secondary))
    valid = (reference > 0) & (secondary > 0)
    measured, filled = statistic.measure(reference, secondary, valid, window, speckle)
    kept = filled.numpy()
    return measured.numpy()[:, kept], pair.coherence.astype(np.float64)[kept]


def speckle_of(product: Product, size: int, seed: int) -> Speckle:
    """What the estimators need to know of a product's speckle, from homogeneous ground."""
    pair = draw_flat(0.0, 2 * size, product, np.random.default_rng([seed, 0]))
    power = torch.from_numpy(pair.reference).double()
    (filtered,), kept = high_pass([power], power > 0)
    return Speckle(round(product.looks_equivalent, 3), round(float(filtered[kept].var()), 5))


def draw_flat(coherence: float, size: int, product: Product, rng: np.random.Generator) -> SimulatedPair:
    """Homogeneous ground of one coherence and unit power, without noise."""
    flat = np.full((size, size), coherence, np.float32)
    return simulate_pair(flat, np.ones_like(flat), product=product, rng=rng)


def vary(product: Product, rng: np.random.Generator) -> Product:
    """The product as it may come: as it should be in three scenes of five, otherwise a little different."""
    if rng.random() < 0.6:
        return product
    if product.resampling == "nearest" and rng.random() < 0.5:
        return replace(product, resampling="bilinear")
    stretch = float(rng.uniform(0.85, 1.15))
    return replace(
        product,
        range_bandwidth=product.range_bandwidth * stretch,
        azimuth_bandwidth=product.azimuth_bandwidth * float(rng.uniform(0.85, 1.15)),
        look_fraction=product.look_fraction * float(rng.uniform(0.8, 1.2)),
    )


def invert(levels: DoubleArray, forward: DoubleArray, nodes: DoubleArray) -> DoubleArray:
    """Coherence at which homogeneous ground has this statistic, linear in gamma^2 between the simulated levels."""
    rising = np.maximum.accumulate(forward)
    inverse: DoubleArray = np.sqrt(np.interp(nodes, rising, levels**2))
    return inverse


def regress(counts: Counts) -> DoubleArray:
    """E[gamma | statistic] at the nodes: never falling along a single axis, smoothed over a plane."""
    weight, total = counts.sums[:2]
    if weight.ndim == 2:
        weight, total = (ndimage.gaussian_filter(array, 0.7, mode="constant") for array in (weight, total))
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    if weight.ndim == 1:
        mean = optimize.isotonic_regression(mean, weights=np.maximum(weight, 1e-9)).x
    return _filled(mean, weight)


def error(counts: Counts, estimate: DoubleArray) -> DoubleArray:
    """Root-mean-square error about an estimate at the nodes."""
    weight, first, second = counts.sums[:3]
    square = second - 2.0 * estimate * first + estimate**2 * weight
    weight, square = (ndimage.gaussian_filter(array, 0.7, mode="constant") for array in (weight, square))
    mean = np.divide(square, weight, out=np.zeros_like(square), where=weight > 0)
    return _filled(np.sqrt(np.maximum(mean, 0.0)), weight)


def _filled(values: DoubleArray, weight: DoubleArray) -> DoubleArray:
    """Nodes with too few pixels take the value of the nearest one with enough."""
    nearest = ndimage.distance_transform_edt(weight < FEWEST, return_distances=False, return_indices=True)
    filled: DoubleArray = values[tuple(nearest)]
    return np.clip(filled, 0.0, 1.0)


def _floor(weight: DoubleArray, estimate: DoubleArray) -> list[float]:
    """Mean and standard deviation of an estimate over pixels spread onto the nodes."""
    mean = float((weight * estimate).sum() / weight.sum())
    square = float((weight * estimate**2).sum() / weight.sum())
    return [round(mean, 4), round(float(np.sqrt(max(square - mean**2, 0.0))), 4)]


def _modes(statistic: Statistic, flat: list[Counts], textured: Counts, looks: float) -> dict[str, Any]:
    """Tables of every mode for one window."""
    estimates = {"calibrated": regress(textured)}
    if statistic.closed_form is not None:
        (axis,) = statistic.axes
        nodes = np.linspace(axis.low, axis.high, axis.nodes)
        forward = np.array([(counts.sums[0] * nodes).sum() / counts.sums[0].sum() for counts in flat])
        estimates["inverted"] = invert(LEVELS, forward, nodes)
        estimates["raw"] = statistic.closed_form(torch.from_numpy(nodes), looks).numpy()
    return {
        mode: {
            **({} if mode == "raw" else {"estimate": _packed(estimate)}),
            "sigma": _packed(error(textured, estimate)),
            "floor": _floor(flat[0].sums[0], estimate),
            # a short calibration may have met no ground without coherence
            "textured_floor": _floor(textured.sums[3] if textured.sums[3].any() else flat[0].sums[0], estimate),
        }
        for mode, estimate in estimates.items()
    }


def _packed(values: DoubleArray) -> list[int]:
    numbers: list[int] = np.rint(values / UNIT).astype(int).ravel().tolist()
    return numbers


def calibrate_product(number: int, scenes: int, size: int, seed: int) -> dict[str, dict[str, Any]]:
    """Tables of one product for every statistic; `number` is its place in `PRODUCTS`."""
    product = PRODUCTS[number]
    speckle = speckle_of(product, size, seed)
    jobs = [
        (statistic, window)
        for statistic in STATISTICS
        for window in (WINDOWS if len(statistic.axes) == 1 else PLANE_WINDOWS)
    ]
    flat = {(job[0].name, job[1]): [Counts.empty(job[0].axes) for _ in LEVELS] for job in jobs}
    textured = {(job[0].name, job[1]): Counts.empty(job[0].axes) for job in jobs}
    for level in track(range(LEVELS.size), f"{product.name}: homogeneous ground"):
        rng = np.random.default_rng([seed, number, 1, level])
        pair = draw_flat(float(LEVELS[level]), size, product, rng)
        for statistic, window in jobs:
            flat[statistic.name, window][level].add(statistic.axes, *measure(statistic, window, pair, speckle))
    for scene in track(range(scenes), f"{product.name}: randomised scenes"):
        rng = np.random.default_rng([seed, number, 2, scene])
        recipe = Recipe(size, vary(product, rng), shift=float(rng.rayleigh(RESIDUAL_SHIFT)))
        sample = draw(recipe, seed + number, scene)
        for statistic, window in jobs:
            textured[statistic.name, window].add(statistic.axes, *measure(statistic, window, sample, speckle))
    return {
        statistic.name: {
            "name": product.name,
            "spacing": product.spacing,
            "looks": speckle.looks,
            "log_variance": speckle.log_variance,
            "windows": {
                str(window): _modes(statistic, flat[name, window], textured[name, window], speckle.looks)
                for name, window in flat
                if name == statistic.name
            },
        }
        for statistic in STATISTICS
    }


def calibrate(folder: Path, scenes: int, size: int, seed: int) -> list[Path]:
    """Make and write the tables of every estimator; returns the files."""
    products = [calibrate_product(number, scenes, size, seed) for number in range(len(PRODUCTS))]
    made = {
        "command": f"python -m models.calibrate --scenes {scenes} --size {size} --seed {seed}",
        "seed": seed,
        "scenes": scenes,
        "size": size,
        "version": _version(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    paths = []
    for statistic in STATISTICS:
        axes = [[axis.low, axis.high, axis.nodes] for axis in statistic.axes]
        entries = [product[statistic.name] for product in products]
        path = folder / f"{statistic.name}.json"
        _write(path, {"estimator": statistic.name, "made": made, "unit": UNIT, "axes": axes, "products": entries})
        paths.append(path)
    return paths


def _version() -> str:
    try:
        return version("cohmap")
    except PackageNotFoundError:
        return "0+unknown"


def _write(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    temporary.replace(path)


def main() -> None:
    """Read the command line and make the tables."""
    parser = argparse.ArgumentParser(prog="python -m models.calibrate", description=__doc__)
    parser.add_argument("--scenes", type=int, default=120, help="randomised scenes a product")
    parser.add_argument("--size", type=int, default=256, help="their side in pixels")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    calibrate(arguments.folder, arguments.scenes, arguments.size, arguments.seed)


if __name__ == "__main__":
    main()
