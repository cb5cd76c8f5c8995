"""What a plan costs, counted before anything is asked for: requests, bytes, time, disk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import EarthEngineSource
from pipeline.region import Region, Tile
from pipeline.sources.ee_batch.blocks import VALUE_BYTES, Block, blocks_of
from pipeline.sources.ee_requests import BYTES_A_VALUE, MOST_PIXELS_A_SIDE, Size

MOST_REQUESTS_A_SECOND = 100.0

# How long one full request takes is the server's affair; nothing here was measured against it. Between these, requests
# that run side by side give the range of the rate.
REQUEST_SECONDS = (2.0, 16.0)

# Hours of computation a month that noncommercial projects may use, by tier (Earth Engine's quotas of April 2026).
EECU_TIERS = (150, 1_000, 100_000)

# Coherence and sigma, once in the pairs' store and once as products.
LAYERS_A_PAIR = 2


@dataclass(frozen=True)
class BatchCost:
    """What a batch export asks of Earth Engine and of the bucket.

    Attributes
    ----------
    bytes
        Of the files in the bucket, before compression; blocks are rectangles, so tiles that nothing needs count too.
    """

    tasks: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Cost:
    """What a run will ask for and write; bytes are before compression.

    Attributes
    ----------
    requests
        Requests for pixels; one a pass and tile for sources other than Earth Engine.
    passes_a_request
        Most passes of a whole tile in one request; 0 where not even one fits and tiles are split.
    transfer_bytes
        Bytes asked for, as Earth Engine counts them.
    stack_bytes, map_bytes
        Of the exported stack, and of the pair maps with their products.
    rate
        Requests a second, slow and fast; None for sources other than Earth Engine, and for tasks.
    batch
        Tasks and their files, where Earth Engine works by them; then no pixel is requested.
    """

    requests: int
    passes_a_request: int
    transfer_bytes: int
    stack_bytes: int
    map_bytes: int
    rate: tuple[float, float] | None
    batch: BatchCost | None = None

    @property
    def seconds(self) -> tuple[float, float] | None:
        """Time of the export at the fast and at the slow rate."""
        return None if self.rate is None else (self.requests / self.rate[1], self.requests / self.rate[0])

    @property
    def disk_bytes(self) -> int:
        """What the results need, but for means over time and the report."""
        return self.stack_bytes + self.map_bytes

    def to_json(self) -> dict[str, Any]:
        """The costs, with their units in their names."""
        return {
            "requests": self.requests,
            "passes_a_request": self.passes_a_request,
            "transfer_bytes": self.transfer_bytes,
            "stack_bytes": self.stack_bytes,
            "map_bytes": self.map_bytes,
            "disk_bytes": self.disk_bytes,
            "requests_a_second": self.rate and list(self.rate),
            "seconds": self.seconds and [round(edge, 1) for edge in self.seconds],
            "tasks": self.batch and self.batch.tasks,
            "files": self.batch and self.batch.files,
            "bucket_bytes": self.batch and self.batch.bytes,
            "eecu_hours_a_month_by_tier": list(EECU_TIERS) if self.rate or self.batch else None,
        }


def count_cost(
    region: Region, passes: Mapping[Tile, int], pair_tiles: int, touched: Iterable[npt.NDArray[np.bool_]]
) -> Cost:
    """Costs of reading so many passes of each tile, and of estimating so many tiles of pairs.

    Parameters
    ----------
    touched
        Which of the region's tiles, in their order, each pass touches.
    """
    source, bands = region.config.source, len(region.bands)
    size = region.config.grid.tile
    stack_bytes = sum(count * math.prod(tile.shape) for tile, count in passes.items()) * bands * VALUE_BYTES
    layer_bytes = pair_tiles * size**2 * len(region.config.passes.polarisations) * VALUE_BYTES
    map_bytes = layer_bytes * LAYERS_A_PAIR * (2 if region.config.products.pairs else 1)
    if not isinstance(source, EarthEngineSource):
        return Cost(sum(passes.values()), 1, stack_bytes, stack_bytes, map_bytes, None)
    if source.mode == "batch":
        batch = _count_batch(region, touched, source.shard)
        return Cost(0, 0, 0, stack_bytes, map_bytes, None, batch)
    fast, slow = (min(source.requests / seconds, MOST_REQUESTS_A_SECOND) for seconds in REQUEST_SECONDS)
    return Cost(
        sum(requests_of(tile.shape, bands, count) for tile, count in passes.items()),
        passes_a_request((size, size), bands),
        stack_bytes // VALUE_BYTES * BYTES_A_VALUE,
        stack_bytes,
        map_bytes,
        (slow, fast),
    )


def _count_batch(region: Region, touched: Iterable[npt.NDArray[np.bool_]], shard: int) -> BatchCost:
    tasks = files = size = 0
    known: dict[bytes, tuple[Block, ...]] = {}  # passes of one track mostly touch the same tiles
    for there in touched:
        if there.tobytes() not in known:
            known[there.tobytes()] = blocks_of(region.tiles.select(there))
        for block in known[there.tobytes()]:
            tasks += 1
            files += math.ceil(block.shape[0] / shard) * math.ceil(block.shape[1] / shard)
            size += block.bytes(len(region.bands))
    return BatchCost(tasks, files, size)


def passes_a_request(shape: tuple[int, int], bands: int) -> int:
    """How many passes of a window fit into one Earth Engine request; 0 where not even one does."""
    if max(shape) > MOST_PIXELS_A_SIDE:
        return 0
    return Size(*shape, bands).repeats()


def requests_of(shape: tuple[int, int], bands: int, passes: int) -> int:
    """Requests for so many passes of a window: as many together as fit; quarters of it where not one does."""
    together = passes_a_request(shape, bands)
    if together:
        return math.ceil(passes / together)
    height, width = shape
    halves = [(rows, cols) for rows in (height // 2, height - height // 2) for cols in (width // 2, width - width // 2)]
    return sum(requests_of(half, bands, passes) for half in halves)
