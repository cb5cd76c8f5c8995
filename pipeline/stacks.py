"""What is exported: the stacks of a region, and the pairs that its settings make of their passes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from pipeline import cube, export
from pipeline.errors import CohmapError
from pipeline.export import pass_key, stack_name, unit_key
from pipeline.ledger import Ledger
from pipeline.passes import Pair, Track
from pipeline.plan import pair_tracks
from pipeline.region import Region, Tile
from pipeline.storage import Folder


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

    def pair_tiles(self, pair: Pair) -> list[Tile]:
        """Tiles in which both passes have at least one pixel of data."""
        return [tile for tile in self.region.tiles if self.valid_share(pair, tile) > 0]

    def valid_share(self, pair: Pair, tile: Tile) -> float:
        """Share of the tile's pixels with data, in the pass that has fewer."""
        records = [self.exported.get(unit_key(pair.track, name, tile)) for name in (pair.reference, pair.secondary)]
        return min(float(record["valid"]) if record else 0.0 for record in records)

    def inputs(self, track: Track, pass_id: str, tile: Tile, around: int) -> list[str]:
        """Checksums of the exported tiles that a window with a margin of `around` tiles reads."""
        return [
            self.exported.checksum(unit_key(track, pass_id, Tile(row, col, tile.size, tile.grid_shape)))
            for row in range(tile.row - around, tile.row + around + 1)
            for col in range(tile.col - around, tile.col + around + 1)
        ]


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
    # A pass that was never read, or holds no pixel, would be the neighbour of two others and pair with none.
    held = {record["key"].rsplit("/", 1)[0] for record in stacks.exported if record["valid"] > 0}
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
        members[track] = [member for member in found if pass_key(track, member[0]) in held] or found
    if not members:
        raise CohmapError(f"the stacks in {folder} hold no pass that [passes] asks for; run `cohmap export` again")
    stacks.pairs, stacks.notes = pair_tracks(region, members)
    return stacks
