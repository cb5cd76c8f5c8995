"""Global misregistration of every pair, from a few tiles spread over the region, before anything is estimated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from models import coregister
from models.coregister import HighPassed, Shift
from pipeline import cube
from pipeline.compute import Pool
from pipeline.export import stack_name, variable_name
from pipeline.ledger import Ledger, digest
from pipeline.passes import Pair, Track
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
# Pairs that a worker does in one go: neighbours share their passes, of which each is then read and filtered once.
PAIRS_AT_ONCE = 8
# Their spectra take some 80 MB at this side of a tile; of larger tiles there are fewer pairs in one go.
SIDE_AT_ONCE = 1024


@dataclass(frozen=True)
class _PairTask:
    """One pair: where its passes stand in the stack, and the tiles that are looked at."""

    reference: int
    secondary: int
    tiles: tuple[Tile, ...]
    key: str
    fingerprint: str


@dataclass(frozen=True)
class _Task:
    """Some pairs of a track, as a worker gets them."""

    output: str
    stack: str
    variable: str
    pairs: tuple[_PairTask, ...]


def register_pairs(stacks: Stacks, pool: Pool, progress: Progress) -> dict[str, Shift]:
    """Shift of every pair's secondary against its reference, by ``track/pair``; no shift where it is switched off."""
    if not stacks.region.config.estimator.coregister:
        return _no_shifts(stacks)
    with Ledger(stacks.folder, STAGE) as ledger:
        pairs = {track: _pair_tasks(stacks, track) for track in stacks.pairs}
        todo = {
            track: [pair for pair in of_track if not ledger.matches(pair.key, pair.fingerprint)]
            for track, of_track in pairs.items()
        }
        total, left = (sum(len(of_track) for of_track in each.values()) for each in (pairs, todo))
        progress.start(STAGE, total, total - left)
        for task, shifts in pool.run(_register, _tasks(stacks, todo)):
            for pair, shift in zip(task.pairs, shifts, strict=True):
                ledger.record(pair.key, pair.fingerprint, "", dy=shift.dy, dx=shift.dx, quality=shift.quality)
            progress.advance(len(shifts))
        return {pair.key: _read(ledger, pair.key) for of_track in pairs.values() for pair in of_track}


def known_shifts(stacks: Stacks) -> dict[str, Shift]:
    """What `register_pairs` gave for exactly these images; pairs that it has not seen are left out."""
    if not stacks.region.config.estimator.coregister:
        return _no_shifts(stacks)
    ledger = Ledger(stacks.folder, STAGE)
    pairs = (pair for track in stacks.pairs for pair in _pair_tasks(stacks, track))
    return {pair.key: _read(ledger, pair.key) for pair in pairs if ledger.matches(pair.key, pair.fingerprint)}


def _no_shifts(stacks: Stacks) -> dict[str, Shift]:
    return {f"{track}/{pair.id}": coregister.NO_SHIFT for track, pairs in stacks.pairs.items() for pair in pairs}


def _tasks(stacks: Stacks, todo: Mapping[Track, Sequence[_PairTask]]) -> Iterator[_Task]:
    """Pairs that are left, a few at a time in their order."""
    variable = variable_name(stacks.region.config.passes.polarisations[0])
    shrunk = PAIRS_AT_ONCE * SIDE_AT_ONCE**2 // stacks.region.config.grid.tile**2
    together = min(max(shrunk, 1), PAIRS_AT_ONCE)
    for track, pairs in todo.items():
        for first in range(0, len(pairs), together):
            some = tuple(pairs[first : first + together])
            yield _Task(stacks.folder.absolute, stack_name(track), variable, some)


def _read(ledger: Ledger, key: str) -> Shift:
    record = ledger.get(key) or {}
    return Shift(dy=record["dy"], dx=record["dx"], quality=record["quality"])


def _pair_tasks(stacks: Stacks, track: Track) -> list[_PairTask]:
    positions = {entry_id: index for index, entry_id in enumerate(stacks.passes[track])}
    return [_pair_task(stacks, pair, positions) for pair in stacks.pairs[track]]


def _pair_task(stacks: Stacks, pair: Pair, positions: Mapping[str, int]) -> _PairTask:
    tiles = spread(_fullest(stacks, pair), SAMPLE_TILES)
    inputs = [stacks.inputs(pair.track, name, tile, 0) for name in (pair.reference, pair.secondary) for tile in tiles]
    return _PairTask(
        reference=positions[pair.reference],
        secondary=positions[pair.secondary],
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


def _register(task: _Task) -> list[Shift]:
    """On a worker: one shift a pair from its sample tiles, rounded so that every run and machine uses the same."""
    stack = cube.Cube(Folder(task.output), task.stack)
    found: list[list[Shift]] = [[] for _ in task.pairs]
    for tile in sorted({tile for pair in task.pairs for tile in pair.tiles}, key=lambda tile: (tile.row, tile.col)):
        seen: dict[int, HighPassed] = {}
        for pair, shifts in zip(task.pairs, found, strict=True):
            if tile not in pair.tiles:
                continue
            for place in (pair.reference, pair.secondary):
                if place not in seen:
                    seen[place] = coregister.high_passed(stack.read_tile(task.variable, place, tile))
            shifts.append(coregister.shift_between(seen[pair.reference], seen[pair.secondary]))
    return [_rounded(coregister.combine_shifts(shifts)) for shifts in found]


def _rounded(shift: Shift) -> Shift:
    return Shift(dy=round(float(shift.dy), 3), dx=round(float(shift.dx), 3), quality=round(float(shift.quality), 3))
