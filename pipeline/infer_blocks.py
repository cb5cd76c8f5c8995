"""On a worker: one block of tiles, a few pairs of it; reading, estimating and writing at the same time.

A block is what the estimator is shown at once: as many whole tiles as fit into a side that is kept with the maps
(`pipeline.room`), and their halo. Which tiles make a block follows from that and the grid, and a block is estimated
whole even where only one of its tiles is wanted: so a map's bits depend on neither the number of workers nor on what an
earlier, killed run had finished.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from models import coregister, registry
from models.ahead import estimates
from models.coherence.blocks import tiles_along
from models.coregister import Shift
from models.errors import ModelError
from models.estimator import Estimator, FloatArray, within
from pipeline import cube
from pipeline.errors import CohmapError
from pipeline.export import variable_name
from pipeline.ledger import checksum
from pipeline.region import Tile
from pipeline.storage import Folder

RESIDUAL_SIDE = 256
"""Side in pixels of the middle of each tile in which the shift that is left is looked for."""


@dataclass(frozen=True)
class EstimatorSpec:
    """All it takes to build the estimator again on a worker, and what tells whether it is the same."""

    name: str
    window: int | None
    mode: str | None
    spacing: float
    device: str
    asked: str
    version: str
    runtime: str


@dataclass(frozen=True)
class TileTask:
    """One tile of a pair, by its name in the ledger and the digest of what it is made from."""

    tile: Tile
    key: str
    fingerprint: str


@dataclass(frozen=True)
class PairTask:
    """One pair: where its passes and its maps stand on their axes, and the tiles that are wanted of it."""

    reference: int
    secondary: int
    context: tuple[int, ...]
    position: int
    shift: Shift
    tiles: tuple[TileTask, ...]

    @property
    def passes(self) -> tuple[int, ...]:
        """All passes that are read."""
        return self.reference, self.secondary, *self.context


@dataclass(frozen=True)
class BlockTask:
    """One block and some pairs, as a worker gets them."""

    output: str
    stack: str
    maps: str
    block: Tile
    bands: tuple[str, ...]
    pairs: tuple[PairTask, ...]
    spec: EstimatorSpec


@dataclass(frozen=True)
class TileDone:
    """What a worker says of a finished tile."""

    key: str
    fingerprint: str
    checksum: str
    valid: float
    residual: tuple[float, float, float]


def block_of(tile: Tile, side: int) -> Tile:
    """The block that a tile lies in, of whole tiles up to this side, itself a tile of a coarser tiling of the grid."""
    tiles = tiles_along(tile.size, side)
    return Tile(tile.row // tiles, tile.col // tiles, tile.size * tiles, tile.grid_shape)


def estimate_block(task: BlockTask) -> list[TileDone]:
    """Read each pass once, estimate pair by pair, write the tiles' chunks; returns when they are on disk.

    Raises
    ------
    CohmapError
        The estimator can't be built here, or not take these images.
    """
    try:
        return _estimate_block(task)
    except ModelError as error:
        raise CohmapError(str(error)) from None


def _estimate_block(task: BlockTask) -> list[TileDone]:
    folder = Folder(task.output)
    stack, maps = cube.Cube(folder, task.stack), cube.Cube(folder, task.maps, mode="r+")
    estimator = _estimator(task.spec)
    written: dict[str, list[FloatArray]] = {}
    residuals: dict[str, Shift] = {}
    # one thread reads ahead, one writes behind: both wait for the disk most of the time
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        writing: list[Future[None]] = []
        shown = _with_images(task, stack, estimator.halo, reader)
        steps = (((pair, variable, images[:2]), images) for pair, variable, images in shown)
        for (pair, variable, both), maps_of_pair in estimates(estimator, steps, margin=estimator.halo):
            for each in pair.tiles:
                place = _place(each.tile, task.block)
                if each.key not in written:
                    residuals[each.key] = _residual(*(within(i, estimator.halo)[place] for i in both))
                for quantity, values in zip(("coherence", "sigma"), maps_of_pair, strict=True):
                    pixels = np.ascontiguousarray(values[place], dtype=np.float32)
                    written.setdefault(each.key, []).append(pixels)
                    name = f"{quantity}_{variable}"
                    writing.append(writer.submit(maps.write_tile, name, pair.position, each.tile, pixels))
        for future in writing:
            future.result()
    return [_done(each, written[each.key], residuals[each.key]) for pair in task.pairs for each in pair.tiles]


def _with_images(
    task: BlockTask, stack: cube.Cube, halo: int, reader: ThreadPoolExecutor
) -> Iterator[tuple[PairTask, str, list[FloatArray]]]:
    """Each pair in each band, with its images on the block and its halo, the secondary shifted onto the reference.

    What the next step needs is read while this one is estimated, and dropped when no later step needs it.
    """
    margin = max(coregister.shift_halo(pair.shift) for pair in task.pairs)
    steps = [(pair, variable_name(band)) for band in task.bands for pair in task.pairs]
    last = {(variable, place): number for number, (pair, variable) in enumerate(steps) for place in pair.passes}
    reading: dict[tuple[str, int], Future[FloatArray]] = {}

    def read(pair: PairTask, variable: str) -> None:
        for place in pair.passes:
            if (variable, place) not in reading:
                reading[variable, place] = reader.submit(stack.read_tile, variable, place, task.block, halo + margin)

    read(*steps[0])
    for number, (pair, variable) in enumerate(steps):
        if number + 1 < len(steps):
            read(*steps[number + 1])
        images = [reading[variable, place].result() for place in pair.passes]
        spare = margin - coregister.shift_halo(pair.shift)
        moved = coregister.apply_shift_trimmed(within(images[1], spare), pair.shift)
        yield pair, variable, [within(images[0], margin), moved, *(within(image, margin) for image in images[2:])]
        for key in [key for key, final in last.items() if final == number]:
            del reading[key]


def _place(tile: Tile, block: Tile) -> tuple[slice, slice]:
    """Where a tile lies in its block's maps."""
    top, left = block.rows.start, block.cols.start
    return slice(tile.rows.start - top, tile.rows.stop - top), slice(tile.cols.start - left, tile.cols.stop - left)


def _residual(reference: FloatArray, secondary: FloatArray) -> Shift:
    """The shift that is left in the middle of a tile."""
    middle = tuple(
        slice(max(length - RESIDUAL_SIDE, 0) // 2, max(length - RESIDUAL_SIDE, 0) // 2 + RESIDUAL_SIDE)
        for length in reference.shape
    )
    return coregister.estimate_shift(reference[middle], secondary[middle])


def _done(task: TileTask, written: list[FloatArray], residual: Shift) -> TileDone:
    valid = round(float(np.isfinite(written[0]).mean()), 6)
    shift = residual.dy, residual.dx, residual.quality
    return TileDone(task.key, task.fingerprint, checksum(*written), valid, shift)


@lru_cache(maxsize=4)
def _estimator(spec: EstimatorSpec) -> Estimator:
    """The estimator on a worker, which may be another machine with other weights, or none, or another runtime."""
    try:
        estimator = registry.get(
            spec.name, window=spec.window, mode=spec.mode, spacing=spec.spacing, device=spec.device, runtime=spec.asked
        )
    except ModelError as error:
        raise CohmapError(f"a worker can't build the estimator: {error}") from None
    if estimator.version != spec.version:
        raise CohmapError(
            f"a worker has estimator {spec.name} {estimator.version}, this process has {spec.version}; "
            "give both the same cohmap and the same weights"
        )
    if estimator.runtime != spec.runtime:
        raise CohmapError(
            f"a worker would compute with {estimator.runtime}, this process says {spec.runtime}; install the same on "
            "both, or name one that both have as [estimator] runtime"
        )
    return estimator
