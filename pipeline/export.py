"""Stage 1: the source's pixels, tile by tile, into one Zarr stack per track."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline import __version__, cube
from pipeline.errors import CohmapError
from pipeline.ledger import Ledger, checksum, digest
from pipeline.passes import Pass, Track
from pipeline.plan import PLAN, Plan
from pipeline.progress import Progress
from pipeline.region import Region, Tile
from pipeline.sources import FloatArray, LateSource, ManySource, Source
from pipeline.storage import Folder
from pipeline.transfer import transfer

STAGE = "export"

TRACKS = "stack/tracks.json"

# Settings that don't decide a pixel's value: where the same files lie, who asks, and by which way pixels come.
WAYS = {"path", "requests", "project", "url", "mode", "bucket", "prefix", "mount", "queued", "shard"}


@dataclass(frozen=True)
class Outcome:
    """What a stage did: units in all, and how many an earlier run had finished."""

    total: int
    resumed: int


@dataclass(frozen=True)
class _Unit:
    """One pass and tile: what is read in one go."""

    item: Pass
    position: int
    tile: Tile
    fingerprint: str

    @property
    def key(self) -> str:
        return unit_key(self.item.track, self.item.id, self.tile)


def unit_key(track: Track, entry_id: str, tile: Tile) -> str:
    """The ledger's name of one tile of a pass; of a pair too, whose maps are units of the same shape."""
    return f"{pass_key(track, entry_id)}/{tile.key}"


def pass_key(track: Track, pass_id: str) -> str:
    """What the ledger's names of a pass's units begin with."""
    return f"{track}/{pass_id}"


def stack_name(track: Track) -> str:
    """The stack's folder below the output."""
    return f"stack/{track}.zarr"


def variable_name(band: str) -> str:
    """The stack's variable for a band: ``VV`` -> ``vv``."""
    return band.lower()


def export(plan: Plan, source: Source, folder: Folder, progress: Progress) -> Outcome:
    """Read every pass and tile that isn't in the stack yet; one that is, from the same assets, is left alone.

    One that was made from other assets (an image was processed anew, or has gone) is read again, and that is said.

    All runs in threads of this process, `source.requests` reads at once: only it needs the source's credentials.
    """
    region = plan.region
    stacks = {track: ensure_stack(region, folder, track, passes) for track, passes in plan.passes.items()}
    folder.write_json(PLAN, plan.to_json())
    _list_tracks(folder, tuple(stacks))
    with Ledger(folder, STAGE) as ledger:
        units = list(_units(plan, stacks))
        there = {track: cube.Chunks(stack) for track, stack in stacks.items()}
        todo = [unit for unit in units if not _is_done(unit, ledger, there[unit.item.track], region)]
        progress.start(STAGE, len(units), len(units) - len(todo))
        _tell_changed(todo, ledger, progress)
        recording = threading.Lock()

        def read(together: tuple[_Unit, ...]) -> list[FloatArray]:
            return _read(source, together, region)

        def write(together: tuple[_Unit, ...], blocks: list[FloatArray]) -> None:
            for track, stack in stacks.items():
                own = [place for place, unit in enumerate(together) if unit.item.track == track]
                for layer, band in enumerate(region.bands if own else ()):
                    positions = [together[place].position for place in own]
                    tiles = [blocks[place][layer] for place in own]
                    stack.write_tiles(variable_name(band), positions, together[0].tile, tiles)
            for unit, values in zip(together, blocks, strict=True):
                valid, written = float(np.isfinite(values[0]).mean()), checksum(values)
                with recording:
                    ledger.record(unit.key, unit.fingerprint, written, valid=round(valid, 6))
                    progress.advance()

        # a few more than run at once, so that none waits for a writer
        ceiling = source.requests + max(2, source.requests // 4)
        # a source of many keeps to `requests` by itself: the other threads prepare what it is asked next
        threads = ceiling if isinstance(source, ManySource) else source.requests
        with _telling_what_goes_on(source, progress):
            for ready in _arrivals(todo, source, plan, folder, progress):
                transfer(_reads(ready, source, region), read, write, threads, ceiling)
    return Outcome(len(units), len(units) - len(todo))


def _tell_changed(todo: list[_Unit], ledger: Ledger, progress: Progress) -> None:
    changed = [unit for unit in todo if ledger.get(unit.key) and not ledger.matches(unit.key, unit.fingerprint)]
    if changed:
        passes = list(dict.fromkeys(unit.item.id for unit in changed))
        some = ", ".join(passes[:3]) + (f" and {len(passes) - 3} more" if len(passes) > 3 else "")
        progress.note(
            f"read again: {len(changed)} tiles of {some}, whose images, or the settings they are read with, are not "
            "those they were exported from"
        )


def _list_tracks(folder: Folder, tracks: tuple[Track, ...]) -> None:
    """Remember which stacks there are: object storage has no folders to look into."""
    there = folder.read_json(TRACKS) if folder.exists(TRACKS) else []
    now = [{"direction": track.direction, "relative_orbit": track.relative_orbit} for track in tracks]
    folder.write_json(TRACKS, there + [entry for entry in now if entry not in there])


def _units(plan: Plan, stacks: dict[Track, cube.Cube]) -> Iterator[_Unit]:
    region = plan.region
    settings = region.config.source.model_dump(mode="json")
    made_by = {key: value for key, value in settings.items() if key not in WAYS}
    grid = cube.describe_grid(region.grid, region.config.grid.tile)
    for track, passes in plan.passes.items():
        positions = {entry["id"]: index for index, entry in enumerate(stacks[track].entries)}
        for item in passes:
            assets = [(piece.id, piece.version, piece.updated) for piece in item.slices]
            fingerprint = digest(assets, region.bands, made_by, grid)
            for tile in plan.export_units[item.id]:
                yield _Unit(item, positions[item.id], tile, fingerprint)


def _is_done(unit: _Unit, ledger: Ledger, there: cube.Chunks, region: Region) -> bool:
    names = [variable_name(band) for band in region.bands]
    return ledger.matches(unit.key, unit.fingerprint) and there.has_tile(names, unit.position, unit.tile)


def _arrivals(
    todo: list[_Unit], source: Source, plan: Plan, folder: Folder, progress: Progress
) -> Iterator[list[_Unit]]:
    """Units that can be read: all at once, or piece by piece where the source has its pixels made elsewhere first."""
    if not isinstance(source, LateSource):
        yield todo
        return
    by_place = {(unit.item.id, unit.tile): unit for unit in todo}
    if not by_place:
        return
    planned = [(item, plan.export_units[item.id]) for passes in plan.passes.values() for item in passes]
    for item, tiles in source.arrivals(plan.region, planned, by_place, folder, progress):
        yield [by_place[item.id, tile] for tile in tiles]


@contextlib.contextmanager
def _telling_what_goes_on(source: Source, progress: Progress) -> Iterator[None]:
    """Where the work ends before its time, say what goes on elsewhere without it."""
    try:
        yield
    except (KeyboardInterrupt, CohmapError):
        if isinstance(source, LateSource) and (goes_on := source.goes_on()):
            progress.note(goes_on)
        raise


def _reads(units: list[_Unit], source: Source, region: Region) -> Iterator[tuple[_Unit, ...]]:
    """Units that are read together: one, or passes of one tile where the source can read several at once."""
    if not isinstance(source, ManySource):
        yield from ((unit,) for unit in units)
        return
    by_tile: dict[Tile, list[_Unit]] = {}
    for unit in units:
        by_tile.setdefault(unit.tile, []).append(unit)
    for tile, left in by_tile.items():
        window = region.window(tile)
        while left:
            reads = math.ceil(len(left) / source.passes_at_once(window, region.bands))
            count = math.ceil(len(left) / reads)  # reads of one size, rather than large ones and a small rest
            yield tuple(left[:count])
            del left[:count]


def _read(source: Source, together: tuple[_Unit, ...], region: Region) -> list[FloatArray]:
    window = region.window(together[0].tile)
    if isinstance(source, ManySource):
        return source.read_many([unit.item for unit in together], window, region.bands)
    return [source.read(unit.item, window, region.bands) for unit in together]


def ensure_stack(region: Region, folder: Folder, track: Track, passes: tuple[Pass, ...]) -> cube.Cube:
    """Create or grow the track's stack; a pass keeps its place, whatever order passes arrive in."""
    variables = tuple(cube.Variable(variable_name(band), _band_attrs(band)) for band in region.bands)
    seconds = np.array([int(item.start.timestamp()) for item in passes], dtype=np.int64)
    time_attrs = {
        "standard_name": "time",
        "long_name": "start of the pass (UTC)",
        "units": cube.EPOCH,
        "calendar": "proleptic_gregorian",
        "axis": "T",
    }
    layout = cube.Layout(
        "time", variables, tuple(_provenance(item) for item in passes), {"time": (seconds, time_attrs)}
    )
    attrs = {
        "Conventions": "CF-1.11",
        "title": f"Sentinel-1 detected images of {region.name}, track {track}",
        "source": f"{region.config.source.kind} through cohmap {__version__}",
        "sat:relative_orbit": track.relative_orbit,
        "sat:orbit_state": track.direction,
    }
    return cube.ensure(folder, stack_name(track), region.grid, region.config.grid.tile, layout, attrs)


def _band_attrs(band: str) -> dict[str, str]:
    if band == "angle":
        return {"long_name": "approximate incidence angle", "units": "degree"}
    return {
        "standard_name": "surface_backwards_scattering_coefficient_of_radar_wave",
        "long_name": f"backscatter, {band}, linear power",
        "units": "1",
        "polarisation": band,
    }


def _provenance(item: Pass) -> dict[str, object]:
    return {
        "id": item.id,
        "start": item.start.isoformat(),
        "platform": item.platform,
        "bbox": [round(edge, 6) for edge in item.footprint.bounds],
        "assets": [
            {"id": piece.id, "version": piece.version, "updated": piece.updated, "hrefs": dict(piece.hrefs)}
            for piece in item.slices
        ],
    }
