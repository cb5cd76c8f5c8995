"""Stage 2: the estimator over every pair and tile, on Dask, into one cube of pair maps per track.

What is recorded, and resumed, is a pair's tile. What a worker does at once is a block of tiles of a few pairs
(`pipeline.infer_blocks`): halos are computed less often, and images that pairs share are read once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from models import coregister
from models.coherence.blocks import SIDE, tiles_along
from models.coregister import Shift
from models.estimator import Estimator
from pipeline import __version__, cube
from pipeline.compute import MOST_TOGETHER, Pool
from pipeline.context import context_passes
from pipeline.estimator import open_estimator
from pipeline.export import Outcome, stack_name, unit_key, variable_name
from pipeline.infer_blocks import BlockTask, EstimatorSpec, PairTask, TileTask, block_of, estimate_block
from pipeline.ledger import Ledger, digest
from pipeline.passes import Pair, Track
from pipeline.progress import Progress
from pipeline.region import Region, Tile
from pipeline.register import register_pairs
from pipeline.room import ATTRIBUTE, block_side, recorded_side
from pipeline.stacks import Stacks, open_stacks
from pipeline.storage import Folder
from pipeline.tiles import Tiles

STAGE = "infer"
PAIRS_AT_ONCE = 4
"""Pairs of a block that a worker does in one go: few enough that a kill loses little, and that workers share evenly."""


def maps_name(track: Track) -> str:
    """The pair maps' folder below the output."""
    return f"pairs/{track}.zarr"


def map_key(pair: Pair, tile: Tile) -> str:
    """The ledger's name of one pair and tile."""
    return unit_key(pair.track, pair.id, tile)


def infer(region: Region, folder: Folder, pool: Pool, progress: Progress, device: str = "auto") -> Outcome:
    """Estimate coherence and sigma of every pair, tile by tile; tiles done from the same input are left alone."""
    estimator = open_estimator(region, device)
    stacks = open_stacks(region, folder)
    for note in stacks.notes:
        progress.note(note)
    shifts = register_pairs(stacks, pool, progress)
    settings = region.config.estimator
    spec = EstimatorSpec(
        settings.name,
        settings.window,
        settings.mode,
        region.config.grid.spacing,
        device,
        settings.runtime,
        estimator.version,
        estimator.runtime,
    )
    sides = {track: recorded_side(folder, maps_name(track)) or block_side(pool.room()) for track in stacks.pairs}
    maps = {
        track: _ensure_maps(region, folder, track, pairs, estimator, shifts, sides[track])
        for track, pairs in stacks.pairs.items()
    }
    with Ledger(folder, STAGE) as ledger:
        works = _works(stacks, estimator, shifts, maps, ledger)
        total, left = sum(work.total for work in works), sum(int(work.todo.sum()) for work in works)
        progress.start(STAGE, total, total - left)
        tasks = _block_tasks(stacks, estimator, spec, works, sides)
        together = _blocks_together(region.config.grid.tile, max(sides.values(), default=SIDE))
        for _, done in pool.run(estimate_block, tasks, together):
            for tile in done:
                ledger.record(
                    tile.key,
                    tile.fingerprint,
                    tile.checksum,
                    valid=tile.valid,
                    residual=[round(r, 4) for r in tile.residual],
                    runtime=estimator.runtime,
                )
            progress.advance(len(done))
    return Outcome(total, total - left)


@dataclass(frozen=True)
class _Work:
    """A pair, and which tiles are wanted of it: a mark a tile, not a task a tile.

    Attributes
    ----------
    plain
        The pair's task without tiles.
    total
        How many tiles the pair has.
    todo
        Of the region's tiles, in their order, those that aren't done.
    """

    pair: Pair
    context: tuple[str, ...]
    plain: PairTask
    total: int
    todo: npt.NDArray[np.bool_]


def _works(
    stacks: Stacks,
    estimator: Estimator,
    shifts: Mapping[str, Shift],
    maps: Mapping[Track, cube.Cube],
    ledger: Ledger,
) -> list[_Work]:
    """Every pair, with what is left to do."""
    works = []
    variables = map_variables(stacks.region.config.passes.polarisations)
    for track, pairs in stacks.pairs.items():
        stack_positions = {entry_id: index for index, entry_id in enumerate(stacks.passes[track])}
        map_positions = {entry["id"]: index for index, entry in enumerate(maps[track].entries)}
        there = cube.Chunks(maps[track])
        for pair in pairs:
            context = tuple(context_passes(stacks, pair, estimator))
            plain = PairTask(
                reference=stack_positions[pair.reference],
                secondary=stack_positions[pair.secondary],
                context=tuple(stack_positions[name] for name in context),
                position=map_positions[pair.id],
                shift=shifts[f"{track}/{pair.id}"],
                tiles=(),
            )
            todo = stacks.has_data(pair)
            total = int(todo.sum())
            for number, tile in zip(np.flatnonzero(todo), stacks.region.tiles.select(todo), strict=True):
                task = _tile_task(stacks, estimator, pair, tile, plain.shift, context)
                done = ledger.matches(task.key, task.fingerprint) and there.has_tile(variables, plain.position, tile)
                todo[number] = not done
            works.append(_Work(pair, context, plain, total, todo))
    return works


def _tile_task(
    stacks: Stacks, estimator: Estimator, pair: Pair, tile: Tile, shift: Shift, context: Sequence[str]
) -> TileTask:
    return TileTask(tile, map_key(pair, tile), map_fingerprint(stacks, estimator, pair, tile, shift, context))


def _block_tasks(
    stacks: Stacks,
    estimator: Estimator,
    spec: EstimatorSpec,
    works: Sequence[_Work],
    sides: Mapping[Track, int],
) -> Iterator[BlockTask]:
    """Block after block, a few pairs at a time; made when asked for, so that any number of tiles takes no memory."""
    for track in stacks.pairs:
        of_track = [work for work in works if work.pair.track == track]
        for block, members in _blocks(stacks.region.tiles, sides[track]):
            parts = []
            for work in of_track:
                wanted = [
                    _tile_task(stacks, estimator, work.pair, tile, work.plain.shift, work.context)
                    for number, tile in members
                    if work.todo[number]
                ]
                if wanted:
                    parts.append(replace(work.plain, tiles=tuple(wanted)))
            runs = math.ceil(len(parts) / PAIRS_AT_ONCE)
            for first, last in pairwise(len(parts) * run // max(runs, 1) for run in range(runs + 1)):
                yield BlockTask(
                    output=stacks.folder.absolute,
                    stack=stack_name(track),
                    maps=maps_name(track),
                    block=block,
                    bands=stacks.region.config.passes.polarisations,
                    pairs=tuple(parts[first:last]),
                    spec=spec,
                )


def _blocks(tiles: Tiles, side: int) -> Iterator[tuple[Tile, list[tuple[int, Tile]]]]:
    """Every block with its tiles and their numbers, one row of blocks after the other: tiles come row by row."""
    for _, row in groupby(enumerate(tiles), key=lambda numbered: block_of(numbered[1], side).row):
        blocks: dict[Tile, list[tuple[int, Tile]]] = {}
        for number, tile in row:
            blocks.setdefault(block_of(tile, side), []).append((number, tile))
        yield from blocks.items()


def _blocks_together(tile: int, side: int) -> int:
    """Most blocks that a worker is given at once: of so many tiles as the pool would give it of tiles."""
    return max(MOST_TOGETHER // tiles_along(tile, side) ** 2, 1)


def map_fingerprint(
    stacks: Stacks, estimator: Estimator, pair: Pair, tile: Tile, shift: Shift, context: Sequence[str]
) -> str:
    """Digest of all that decides the maps of one pair and tile, shown with these further passes."""
    settings, grid = stacks.region.config.estimator, stacks.region.config.grid
    bands = stacks.region.config.passes.polarisations
    made_by = (estimator.name, estimator.version, settings.window, settings.mode, grid.spacing, bands)
    around = -(-(estimator.halo + coregister.shift_halo(shift)) // grid.tile)
    inputs = [stacks.inputs(pair.track, name, tile, around) for name in (pair.reference, pair.secondary, *context)]
    return digest(made_by, [shift.dy, shift.dx], inputs)


def map_variables(bands: tuple[str, ...]) -> list[str]:
    """Variables of a pair cube, coherence and sigma of each polarisation."""
    return [f"{quantity}_{variable_name(band)}" for band in bands for quantity in ("coherence", "sigma")]


def _ensure_maps(
    region: Region,
    folder: Folder,
    track: Track,
    pairs: tuple[Pair, ...],
    estimator: Estimator,
    shifts: Mapping[str, Shift],
    side: int,
) -> cube.Cube:
    def column(name: str, values: Sequence[float], dtype: str, **attrs: str) -> None:
        coords[name] = (np.array(values, dtype=dtype), attrs)

    coords: dict[str, tuple[Any, dict[str, str]]] = {}
    for role in ("reference", "secondary"):
        starts = [int(getattr(pair, f"{role}_start").timestamp()) for pair in pairs]
        calendar = {"units": cube.EPOCH, "calendar": "proleptic_gregorian"}
        column(f"{role}_time", starts, "int64", long_name=f"start of the {role} pass (UTC)", **calendar)
    days = [pair.days for pair in pairs]
    # not "days": xarray would decode such a unit as a time span
    column("temporal_baseline", days, "int32", long_name="temporal baseline in days", units="1")
    used = [shifts[f"{track}/{pair.id}"] for pair in pairs]
    for axis in ("dy", "dx"):
        text = f"shift of the secondary against the reference removed before estimating, {axis}, in pixels"
        column(f"shift_{axis}", [getattr(shift, axis) for shift in used], "float32", long_name=text, units="1")
    column("shift_quality", [s.quality for s in used], "float32", long_name="quality of the shift", units="1")
    variables = []
    for band in region.config.passes.polarisations:
        variables += [
            cube.Variable(f"coherence_{variable_name(band)}", {"long_name": f"InSAR coherence, {band}", "units": "1"}),
            cube.Variable(
                f"sigma_{variable_name(band)}",
                {"long_name": f"standard deviation of the coherence estimate, {band}", "units": "1"},
            ),
        ]
    entries = tuple(
        {"id": pair.id, "reference": pair.reference, "secondary": pair.secondary, "days": pair.days} for pair in pairs
    )
    attrs = {
        "Conventions": "CF-1.11",
        "title": f"InSAR coherence of {region.name}, track {track}",
        "source": f"estimator {estimator.name} {estimator.version} of cohmap {__version__}",
        ATTRIBUTE: side,
    }
    layout = cube.Layout("pair", tuple(variables), entries, coords)
    return cube.ensure(folder, maps_name(track), region.grid, region.config.grid.tile, layout, attrs)
