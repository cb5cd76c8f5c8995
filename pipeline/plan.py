"""Stage 0: which passes, which pairs, which tiles, and what they will cost, before anything is spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.caveats import find_caveats
from pipeline.change.design import design_tracks
from pipeline.cost import Cost, count_cost
from pipeline.errors import CohmapError
from pipeline.passes import Pair, Pass, Track, group, make_pairs
from pipeline.region import Region, Tile, crs_of, to_crs
from pipeline.sources import Query, Source
from pipeline.storage import Folder
from pipeline.tiles import Tiles

PLAN = "plan.json"


@dataclass(frozen=True)
class Plan:
    """What a run of the region would do."""

    region: Region
    passes: Mapping[Track, tuple[Pass, ...]]
    pairs: Mapping[Track, tuple[Pair, ...]]
    notes: tuple[str, ...]

    @cached_property
    def touched(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Which of the region's tiles, in their order, each pass's footprint touches."""
        crs = crs_of(self.region.grid)
        passes = [item for passes in self.passes.values() for item in passes]
        found = self.region.touched_by([to_crs(item.footprint, crs) for item in passes], self.region.tiles)
        return {item.id: there for item, there in zip(passes, found, strict=True)}

    @cached_property
    def export_units(self) -> dict[str, Tiles]:
        """Tiles to export, by pass: those of the region's tiles that the pass's footprint touches."""
        return {name: self.region.tiles.select(there) for name, there in self.touched.items()}

    @cached_property
    def tile_counts(self) -> dict[Track, dict[Tile, int]]:
        """Passes of every tile, by track."""
        tiles = self.region.tiles
        counts = {
            track: np.sum([self.touched[item.id] for item in passes], axis=0) for track, passes in self.passes.items()
        }
        return {track: dict(zip(tiles, map(int, found), strict=True)) for track, found in counts.items()}

    @cached_property
    def cost(self) -> Cost:
        """Requests, bytes, time and disk."""
        passes: Counter[Tile] = Counter()
        for counts in self.tile_counts.values():
            passes.update(counts)
        return count_cost(self.region, passes, self.pair_tiles, self.touched.values())

    @property
    def pass_tiles(self) -> int:
        """Number of reads: one a pass and tile."""
        return sum(int(there.sum()) for there in self.touched.values())

    @cached_property
    def pair_tiles(self) -> int:
        """Number of estimates: one a pair and tile that both passes cover."""
        there = self.touched
        return sum(
            int((there[pair.reference] & there[pair.secondary]).sum())
            for pairs in self.pairs.values()
            for pair in pairs
        )

    @property
    def export_bytes(self) -> int:
        """Uncompressed bytes of the stack's tiles."""
        return self.pass_tiles * self.region.config.grid.tile**2 * 4 * len(self.region.bands)

    @property
    def megapixels(self) -> float:
        """Million pixels to estimate, over all pairs and polarisations."""
        bands = len(self.region.config.passes.polarisations)
        return self.pair_tiles * self.region.config.grid.tile**2 * bands / 1e6

    def to_json(self) -> dict[str, Any]:
        """The plan as a file people and scripts can read."""
        return {
            "region": self.region.name,
            "source": self.region.config.source.kind,
            "grid": {"crs": str(self.region.grid.crs), "shape": list(self.region.grid.shape)},
            "tiles": len(self.region.tiles),
            "tracks": [
                {
                    "track": str(track),
                    "passes": [{"id": item.id, "slices": [piece.id for piece in item.slices]} for item in passes],
                    "pairs": [
                        {"id": pair.id, "reference": pair.reference, "secondary": pair.secondary, "days": pair.days}
                        for pair in self.pairs.get(track, ())
                    ],
                }
                for track, passes in self.passes.items()
            ],
            "reads": self.pass_tiles,
            "estimates": self.pair_tiles,
            "export_bytes": self.export_bytes,
            "cost": self.cost.to_json(),
            "notes": list(self.notes),
        }


def require_own(folder: Folder, region: Region) -> None:
    """Refuse a folder that holds the results of another region, or of another source: they would mix in its stacks."""
    if not folder.exists(PLAN):
        return
    planned, kind = folder.read_json(PLAN), region.config.source.kind
    there = planned["region"], planned.get("source", kind)
    if there != (region.name, kind):
        raise CohmapError(
            f"output {folder} holds region '{there[0]}' from source '{there[1]}', not '{region.name}' from '{kind}'; "
            "choose another --output, or delete it to start over"
        )


def make_plan(region: Region, source: Source) -> Plan:
    """Search the source and pair what it has.

    Raises
    ------
    CohmapError
        No passes, no track as asked for, or no pair; the sentence says what there is instead.
    """
    rule = region.config.passes
    query = Query(region.area, rule.start, rule.end, region.bands)
    found = group(source.search(query))
    span = f"between {rule.start or 'the first day'} and {rule.end or 'the last day'}"
    if not found:
        raise CohmapError(
            f"no passes found: source '{source.name}' has none with {', '.join(region.bands)} over the area of region "
            f"'{region.name}' {span}; check [area], [passes] and [source]"
        )
    passes: dict[Track, list[Pass]] = {}
    for item in found:
        if region.wants(item.track):
            passes.setdefault(item.track, []).append(item)
    if not passes:
        there = ", ".join(sorted({str(item.track) for item in found}))
        raise CohmapError(
            f"no passes of the track asked for: [passes] says direction = {rule.direction!r} and relative_orbit = "
            f"{rule.relative_orbit!r}, the source has {there} {span}"
        )
    pairs, notes = pair_tracks(region, {t: [(p.id, p.start) for p in members] for t, members in passes.items()})
    if region.config.change is not None:
        notes += design_tracks(pairs, region.config.change)[1]  # better told now than after hours of work
    paired = {track: tuple(members) for track, members in passes.items() if track in pairs}
    return Plan(region, paired, pairs, (*notes, *find_caveats(region, paired)))


def pair_tracks(region: Region, passes: Mapping[Track, list[Any]]) -> tuple[dict[Track, tuple[Pair, ...]], list[str]]:
    """Pairs of every track that has any, and a note for every track that has none.

    Raises
    ------
    CohmapError
        No track has a pair.
    """
    pairs: dict[Track, tuple[Pair, ...]] = {}
    notes = []
    for track, members in passes.items():
        try:
            pairs[track] = tuple(make_pairs(track, members, region.config.pairs))
        except CohmapError as error:
            notes.append(str(error))
    if not pairs:
        raise CohmapError(notes[0])
    return pairs, [f"left out: {note}" for note in notes]
