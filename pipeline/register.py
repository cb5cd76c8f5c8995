"""Global misregistration of every pair, from a few tiles spread over the region, before anything is estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models import coregister
from models.coregister import Shift
from pipeline import cube
from pipeline.compute import Pool
from pipeline.export import stack_name, variable_name
from pipeline.ledger import Ledger, digest
from pipeline.passes import Pair
from pipeline.progress import Progress
from pipeline.region import Tile
from pipeline.stacks import Stacks
from pipeline.storage import Folder

STAGE = "register"

# One shift serves the whole pair: S1's orbits are good to centimetres, so what is left is a constant of the pass, and
# a shift per tile would make tiles disagree at their seams. This many tiles make it robust against open water.
SAMPLE_TILES = 12
# Part of every fingerprint: raise it when the same images would give another shift.
METHOD = "log-correlation-peak-1"


@dataclass(frozen=True)
class _Task:
    output: str
    stack: str
    reference: int
    secondary: int
    variable: str
    tiles: tuple[Tile, ...]
    key: str
    fingerprint: str


def register_pairs(stacks: Stacks, pool: Pool, progress: Progress) -> dict[str, Shift]:
    """Shift of every pair's secondary against its reference, by ``track/pair``; no shift where it is switched off."""
    if not stacks.region.config.estimator.coregister:
        return _no_shifts(stacks)
    with Ledger(stacks.folder, STAGE) as ledger:
        tasks = _tasks(stacks)
        todo = [task for task in tasks if not ledger.matches(task.key, task.fingerprint)]
        progress.start(STAGE, len(tasks), len(tasks) - len(todo))
        for task, shift in pool.run(_register, todo):
            ledger.record(task.key, task.fingerprint, "", dy=shift.dy, dx=shift.dx, quality=shift.quality)
            progress.advance()
        return {task.key: _read(ledger, task.key) for task in tasks}


def known_shifts(stacks: Stacks) -> dict[str, Shift]:
    """What `register_pairs` gave for exactly these images; pairs that it has not seen are left out."""
    if not stacks.region.config.estimator.coregister:
        return _no_shifts(stacks)
    ledger = Ledger(stacks.folder, STAGE)
    return {task.key: _read(ledger, task.key) for task in _tasks(stacks) if ledger.matches(task.key, task.fingerprint)}


def _no_shifts(stacks: Stacks) -> dict[str, Shift]:
    return {f"{track}/{pair.id}": coregister.NO_SHIFT for track, pairs in stacks.pairs.items() for pair in pairs}


def _tasks(stacks: Stacks) -> list[_Task]:
    return [_task(stacks, pair) for pairs in stacks.pairs.values() for pair in pairs]


def _read(ledger: Ledger, key: str) -> Shift:
    record = ledger.get(key) or {}
    return Shift(dy=record["dy"], dx=record["dx"], quality=record["quality"])


def _task(stacks: Stacks, pair: Pair) -> _Task:
    positions = {entry_id: index for index, entry_id in enumerate(stacks.passes[pair.track])}
    tiles = spread(_fullest(stacks, pair), SAMPLE_TILES)
    inputs = [stacks.inputs(pair.track, name, tile, 0) for name in (pair.reference, pair.secondary) for tile in tiles]
    return _Task(
        output=stacks.folder.absolute,
        stack=stack_name(pair.track),
        reference=positions[pair.reference],
        secondary=positions[pair.secondary],
        variable=variable_name(stacks.region.config.passes.polarisations[0]),
        tiles=tuple(tiles),
        key=f"{pair.track}/{pair.id}",
        fingerprint=digest(METHOD, inputs),
    )


def _fullest(stacks: Stacks, pair: Pair) -> Sequence[Tile]:
    """Tiles at least half full of data, or all there are where none is."""
    tiles = stacks.pair_tiles(pair)
    return [tile for tile in tiles if stacks.valid_share(pair, tile) >= 0.5] or tiles


def spread(tiles: Sequence[Tile], count: int) -> Sequence[Tile]:
    """At most `count` of the tiles, evenly spread through their order."""
    if len(tiles) <= count:
        return tiles
    return [tiles[round(index * (len(tiles) - 1) / (count - 1))] for index in range(count)]


def _register(task: _Task) -> Shift:
    """On a worker: one shift from the sample tiles, rounded so that every run and machine uses the same."""
    stack = cube.Cube(Folder(task.output), task.stack)
    shifts = [
        coregister.estimate_shift(
            stack.read_tile(task.variable, task.reference, tile), stack.read_tile(task.variable, task.secondary, tile)
        )
        for tile in task.tiles
    ]
    shift = coregister.combine_shifts(shifts)
    return Shift(dy=round(float(shift.dy), 3), dx=round(float(shift.dx), 3), quality=round(float(shift.quality), 3))
