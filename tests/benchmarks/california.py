"""The real California stack by burst and baseline: ``python -m tests.benchmarks.california OUTPUT SOURCE``.

OUTPUT is the folder that `cohmap run california-t137 --source-path SOURCE --output OUTPUT` wrote. There is no truth
here; there is a null: open sea has no coherence, so its mean must stand at the floor that the estimator shows on
simulated ground without coherence, at every baseline, while land stands above it and falls as the baseline grows.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from rich.console import Console
from rich.table import Table

from models import registry
from models.coherence.classical import ClassicalEstimator
from pipeline.region import open_region

SEA = "T137-292320-IW1"


def burst_bounds(source: Path) -> dict[str, tuple[float, float, float, float]]:
    """Left, bottom, right and top of every burst, by its id."""
    bounds = {}
    for path in sorted(source.rglob("OPERA_*_VV.tif")):
        burst = path.name.split("_")[3]
        if burst not in bounds:
            with rasterio.open(path) as dataset:
                bounds[burst] = tuple(dataset.bounds)
    return bounds


def mean_by_baseline(maps: xr.Dataset, polarisation: str) -> dict[int, float]:
    """Mean coherence over pixels and pairs of each temporal baseline in days."""
    coherence = maps[f"coherence_{polarisation.lower()}"].to_numpy()
    days = maps.temporal_baseline.to_numpy()
    return {int(d): float(np.nanmean(coherence[days == d])) for d in np.unique(days)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("--region", default="california-t137", help="the region that was run, if a copy with changes")
    arguments = parser.parse_args()
    region = open_region(arguments.region)
    settings = region.config.estimator
    estimator = registry.get(settings.name, window=settings.window, mode=settings.mode, spacing=30.0, device="cpu")
    console = Console(width=120)
    if isinstance(estimator, ClassicalEstimator):
        mean, spread = estimator.floor
        console.print(f"{settings.name}: floor on simulated ground without coherence {mean:.3f}, spread {spread:.3f}")
    maps = xr.open_zarr(arguments.output / "pairs/ascending-137.zarr")
    days, pairs = np.unique(maps.temporal_baseline.to_numpy(), return_counts=True)
    table = Table("burst", "ground", "band", *(f"{d} d ({n} pairs)" for d, n in zip(days, pairs, strict=True)), "falls")
    for burst, (left, bottom, right, top) in burst_bounds(arguments.source).items():
        here = maps.sel(x=slice(left, right), y=slice(top, bottom)).load()
        for polarisation in region.config.passes.polarisations:
            means = list(mean_by_baseline(here, polarisation).values())
            falls = all(a > b for a, b in pairwise(means))
            verdict = "(null)" if burst == SEA else ("yes" if falls else "no")
            ground = "sea" if burst == SEA else "land"
            table.add_row(burst, ground, polarisation, *(f"{value:.3f}" for value in means), verdict)
    console.print(table)


if __name__ == "__main__":
    main()
