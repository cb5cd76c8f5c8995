"""The region's estimator: opened by its settings, and timed for the plan."""

from __future__ import annotations

import time

import numpy as np

from models import registry
from models.coherence.blocks import tiles_along
from models.errors import ModelError
from models.estimator import Estimator
from pipeline.clusters import room_here
from pipeline.errors import CohmapError
from pipeline.region import Region
from pipeline.room import block_side


def check_estimator(region: Region) -> None:
    """Refuse a region whose estimator can't be, without the seconds that loading it takes.

    Raises
    ------
    CohmapError
        There is no such estimator, window or mode, none for this pixel spacing, or it has no weights.
    """
    settings = region.config.estimator
    try:
        registry.check(
            settings.name,
            window=settings.window,
            mode=settings.mode,
            spacing=region.config.grid.spacing,
            runtime=settings.runtime,
        )
    except ModelError as error:
        raise CohmapError(f"[estimator] {error}") from None


def open_estimator(region: Region, device: str) -> Estimator:
    """The region's estimator, ready.

    Raises
    ------
    CohmapError
        There is no such estimator, window, mode or device, or it has no weights.
    """
    settings = region.config.estimator
    try:
        return registry.get(
            settings.name,
            window=settings.window,
            mode=settings.mode,
            spacing=region.config.grid.spacing,
            device=device,
            runtime=settings.runtime,
        )
    except ModelError as error:
        raise CohmapError(f"[estimator] {error}") from None


def measure_rate(estimator: Estimator, tile: int, size: int = 256) -> float:
    """Million pixels a second that the estimator makes here and now, on one worker, in tiles of this side.

    Timed on `size` x `size` pixels of speckle. The halo around each block of tiles is computed and thrown away, so it
    counts, as if all of it were computed: blocks are an eighth faster than this says.
    """
    rng = np.random.default_rng(0)
    reference, secondary = (rng.gamma(4.4, 1 / 4.4, (size, size)).astype(np.float32) for _ in range(2))
    estimator.estimate(reference, secondary)  # the first call loads what it needs
    begin = time.perf_counter()
    estimator.estimate(reference, secondary)
    block = tiles_along(tile, block_side(room_here())) * tile
    kept = (block / (block + 2 * estimator.halo)) ** 2
    return kept * size * size / 1e6 / (time.perf_counter() - begin)
