"""Coherence of a season at each baseline: of one track from its pairs, and over tracks with feathered seams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.blend import Steps, blend
from models.decay.levels import combine
from pipeline.cube import FloatArray
from pipeline.export import variable_name
from pipeline.mosaic import Layers, MapLayer
from pipeline.products import Product, clipped, write_cog
from pipeline.region import Region, Tile
from pipeline.season.feather import open_feather
from pipeline.season.reading import read_window
from pipeline.storage import Folder


@dataclass(frozen=True)
class Written:
    """Digests of the files that a task wrote, by product, and what came to be known of them."""

    digests: Mapping[str, str]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class LevelTask:
    """One product: of a track from the layers of its pairs, or over tracks from the products of theirs."""

    output: str
    region: Region
    product: Product
    tiles: Sequence[Tile]
    fingerprint: str
    layers: tuple[MapLayer, ...] = ()
    sources: tuple[Product, ...] = ()


def write_level(task: LevelTask) -> Written:
    """On a worker: write one product tile by tile; its facts are the seams', where there are any."""
    folder, steps = Folder(task.output), Steps()
    blocks = _blended(task, folder, steps) if task.sources else _combined(task, folder)
    digest = write_cog(folder, task.product, task.region.grid, clipped(task.region, blocks))
    return Written({task.product.id: digest}, steps.facts() if task.sources else {})


def _combined(task: LevelTask, folder: Folder) -> Iterator[tuple[Tile, FloatArray]]:
    band = variable_name(task.product.polarisation)
    layers = Layers(folder, task.layers)
    for tile in task.tiles:
        coherence, sigma = (layers.read(f"{name}_{band}", tile) for name in ("coherence", "sigma"))
        yield tile, combine(coherence, sigma)


def _blended(task: LevelTask, folder: Folder, steps: Steps) -> Iterator[tuple[Tile, FloatArray]]:
    metres = task.region.config.season.feather
    feathers = [open_feather(folder, source, task.region.grid, metres) for source in task.sources]
    height, width = task.region.grid.shape
    for tile in task.tiles:
        # one row and column more, so that steps to the next tile are counted too
        rows = slice(tile.rows.start, min(tile.rows.stop + 1, height))
        cols = slice(tile.cols.start, min(tile.cols.stop + 1, width))
        stacks = np.stack([read_window(folder, source, rows, cols) for source in task.sources])
        weights = np.stack([feather.weights(rows, cols) for feather in feathers])
        yield tile, _blend(stacks, weights, steps, tile.shape)


def _blend(stacks: FloatArray, weights: npt.NDArray[np.float64], steps: Steps, inner: tuple[int, int]) -> FloatArray:
    median, mean, sigma, count = (stacks[:, band] for band in range(4))
    middle, _ = blend(median, sigma, weights)
    plain, _ = blend(median, sigma, np.ones_like(weights))
    steps.count(plain, middle, np.isfinite(median), inner)
    average, error = blend(mean, sigma, weights)
    total = np.nan_to_num(count).sum(axis=0)
    return np.stack([middle, average, error, total])[:, : inner[0], : inner[1]].astype(np.float32)
