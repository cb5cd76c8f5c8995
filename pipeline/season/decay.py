"""The decay of coherence in a season, fitted at every pixel to its coherence at each baseline."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.decay import Quality, fit
from models.decay.response import Response
from pipeline.cube import FloatArray
from pipeline.products import NO_CLASS, Product, clipped, write_cog
from pipeline.region import Region, Tile
from pipeline.season.levels import Written
from pipeline.season.reading import read_tile
from pipeline.storage import Folder

# Decay times are binned so finely for their median over a map.
EDGES = np.geomspace(0.5, 1000.0, 513)


@dataclass(frozen=True)
class DecayTask:
    """Parameters and quality of one season, track and polarisation, from its levels."""

    output: str
    region: Region
    product: Product
    quality: Product
    levels: tuple[Product, ...]
    tiles: Sequence[Tile]
    response: Response
    fingerprint: str


def write_decay(task: DecayTask) -> Written:
    """On a worker: fit tile by tile and write both maps; their facts are the share of each class and the medians."""
    folder, grid = Folder(task.output), task.region.grid
    counts = np.zeros(len(Quality), np.int64)
    taus, rhos = np.zeros(len(EDGES) - 1, np.int64), np.zeros(200, np.int64)
    with tempfile.TemporaryDirectory() as place:
        # the classes of all tiles wait on disk while the parameters are written
        shape = (int(grid.shape[0]), int(grid.shape[1]))
        classes = np.memmap(Path(place) / "classes", np.dtype(np.uint8), "w+", shape=shape)

        def parameters() -> Iterator[tuple[Tile, FloatArray]]:
            for tile in task.tiles:
                bands, quality = fit_tile(task, folder, tile)
                classes[tile.rows, tile.cols] = quality
                counts[:] += np.bincount(quality.ravel(), minlength=len(Quality))
                taus[:] += np.histogram(bands[0][np.isfinite(bands[0])], EDGES)[0]
                rhos[:] += np.histogram(bands[2][np.isfinite(bands[2])], len(rhos), (0.0, 1.0))[0]
                yield tile, bands

        def qualities() -> Iterator[tuple[Tile, npt.NDArray[np.uint8]]]:
            for tile in task.tiles:
                found = np.asarray(classes[tile.rows, tile.cols])
                yield tile, np.where(found == Quality.NO_DATA, NO_CLASS, found)[np.newaxis].astype(np.uint8)

        digests = {
            task.product.id: write_cog(folder, task.product, grid, clipped(task.region, parameters())),
            task.quality.id: write_cog(folder, task.quality, grid, clipped(task.region, qualities())),
        }
    return Written(digests, _facts(counts, taus, rhos))


def fit_tile(task: DecayTask, folder: Folder, tile: Tile) -> tuple[FloatArray, npt.NDArray[np.uint8]]:
    """Bands of the parameters, and the quality, of one tile."""
    stacks = np.stack([read_tile(folder, level, tile) for level in task.levels])
    days = [float(level.properties["mean_days"]) for level in task.levels]
    found = fit(days, stacks[:, 0], stacks[:, 2], response=task.response)
    baselines = np.where(found.baselines > 0, found.baselines, np.nan)
    bands = (found.tau, found.tau_error, found.rho_inf, found.rho_inf_error, found.rmse, baselines)
    return np.stack(bands).astype(np.float32), found.quality


def _facts(counts: npt.NDArray[np.int64], taus: npt.NDArray[np.int64], rhos: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Shares of the pixels with data, by class; medians of what could be told, "" where nothing could."""
    known = int(counts[1:].sum())
    shares = {f"share_{kind.name.lower()}": round(float(counts[kind] / known), 6) for kind in Quality if kind and known}
    tau_middles, rho_middles = np.sqrt(EDGES[1:] * EDGES[:-1]), (np.arange(len(rhos)) + 0.5) / len(rhos)
    found: dict[str, Any] = {"pixels": known, **shares}
    for name, histogram, middles in (("median_tau", taus, tau_middles), ("median_rho_inf", rhos, rho_middles)):
        if histogram.sum():
            place = np.searchsorted(np.cumsum(histogram), histogram.sum() / 2)
            found[name] = round(float(middles[place]), 3)
    return found
