"""What is exported: the stacks of a region, and the pairs that its settings make of their passes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import cube, export
from pipeline.errors import CohmapError
from pipeline.export import pass_key, stack_name
from pipeline.ledger import Ledger
from pipeline.passes import Pair, Track
from pipeline.plan import pair_tracks
from pipeline.region import Region, Tile, tile_key
from pipeline.storage import Folder
from pipeline.tiles import Tiles


@dataclass
class Stacks:
    """The exported stacks of a region, and the pairs its settings make of them.

    Attributes
    ----------
    exported
        The export stage's ledger: which tiles of which passes hold data, and their checksums.
    """

    region: Region
    folder: Folder
    exported: Ledger
    passes: dict[Track, dict[str, dict[str, Any]]] = field(default_factory=dict)
    pairs: dict[Track, tuple[Pair, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    # looked up for every tile and its neighbours, of every pair: by place, not by the ledger's names
    _exported: dict[str, _Exported] = field(default_factory=dict)

    def pair_tiles(self, pair: Pair) -> Tiles:
        """Tiles in which both passes have at least one pixel of data."""
        return self.region.tiles.select(self.has_data(pair))

    def has_data(self, pair: Pair) -> npt.NDArray[np.bool_]:
        """Which of the region's tiles, in their order, `pair_tiles` gives."""
        tiles = self.region.tiles
        found: npt.NDArray[np.bool_] = self._valid(pair)[tiles.rows, tiles.cols] > 0
        return found

    def holds(self, track: Track, pass_id: str) -> bool:
        """Whether any pixel of the pass is exported."""
        return bool(self._of_pass(track, pass_id).valid.any())

    def valid_share(self, pair: Pair, tile: Tile) -> float:
        """Share of the tile's pixels with data, in the pass that has fewer."""
        return float(self._valid(pair)[tile.row, tile.col])

    def inputs(self, track: Track, pass_id: str, tile: Tile, around: int) -> list[str]:
        """Checksums of the exported tiles that a window with a margin of `around` tiles reads, "" for none."""
        sums = self._of_pass(track, pass_id).checksums
        height, width = sums.shape
        return [
            sums[row, col].decode() if 0 <= row < height and 0 <= col < width else ""
            for row in range(tile.row - around, tile.row + around + 1)
            for col in range(tile.col - around, tile.col + around + 1)
        ]

    def _valid(self, pair: Pair) -> npt.NDArray[np.float32]:
        one, other = (self._of_pass(pair.track, name).valid for name in (pair.reference, pair.secondary))
        return np.minimum(one, other)

    def _of_pass(self, track: Track, pass_id: str) -> _Exported:
        key = pass_key(track, pass_id)
        if key not in self._exported:
            size, (height, width) = self.region.config.grid.tile, self.region.grid.shape
            shape = -(-height // size), -(-width // size)
            valid, sums = np.zeros(shape, dtype=np.float32), []
            for row in range(shape[0]):
                records = [self.exported.get(f"{key}/{tile_key(row, col)}") for col in range(shape[1])]
                valid[row] = [float(record["valid"]) if record else 0.0 for record in records]
                sums.append(np.array([str(record["checksum"]).encode() if record else b"" for record in records]))
            self._exported[key] = _Exported(valid, np.stack(sums))
        return self._exported[key]


@dataclass(frozen=True)
class _Exported:
    """What of a pass is exported, by row and column of the tile: shares with data, and checksums as bytes."""

    valid: npt.NDArray[np.float32]
    checksums: npt.NDArray[np.bytes_]


def open_stacks(region: Region, folder: Folder) -> Stacks:
    """Find the exported stacks and pair their passes by the region's settings.

    Raises
    ------
    CohmapError
        Nothing was exported yet, or on another grid, or no two passes make a pair.
    """
    stacks = Stacks(region, folder, Ledger(folder, export.STAGE))
    if not folder.exists(export.TRACKS):
        raise CohmapError(f"nothing is exported in {folder} yet; run `cohmap export` first")
    members: dict[Track, list[tuple[str, dt.datetime]]] = {}
    rule = region.config.passes
    for record in folder.read_json(export.TRACKS):
        track = Track(record["direction"], record["relative_orbit"])
        if not region.wants(track):
            continue
        stack = cube.Cube(folder, stack_name(track))
        cube.require_grid(stack.group, folder.address(stack.name), region.grid, region.config.grid.tile)
        entries = {entry["id"]: entry for entry in stack.entries}
        stacks.passes[track] = entries
        for entry_id, entry in entries.items():
            start = dt.datetime.fromisoformat(entry["start"])
            late = rule.end is not None and start.date() > rule.end
            early = rule.start is not None and start.date() < rule.start
            if not (late or early):
                members.setdefault(track, []).append((entry_id, start))
    for track, found in members.items():
        # a pass that was never read, or holds no pixel, would be the neighbour of two others and pair with none
        members[track] = [member for member in found if stacks.holds(track, member[0])] or found
    if not members:
        raise CohmapError(f"the stacks in {folder} hold no pass that [passes] asks for; run `cohmap export` again")
    stacks.pairs, stacks.notes = pair_tracks(region, members)
    return stacks
