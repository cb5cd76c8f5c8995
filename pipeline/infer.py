"""Stage 2: the estimator over every pair and tile, on Dask, into one cube of pair maps per track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from models import coregister, registry
from models.coregister import Shift
from models.errors import ModelError
from models.estimator import Estimator
from pipeline import __version__, cube
from pipeline.compute import Pool
from pipeline.context import context_passes
from pipeline.errors import CohmapError
from pipeline.estimator import open_estimator
from pipeline.export import Outcome, stack_name, variable_name
from pipeline.ledger import Ledger, checksum, digest
from pipeline.passes import Pair, Track
from pipeline.progress import Progress
from pipeline.region import Region, Tile
from pipeline.register import register_pairs
from pipeline.stacks import Stacks, open_stacks
from pipeline.storage import Folder

STAGE = "infer"


@dataclass(frozen=True)
class EstimatorSpec:
    """All it takes to build the estimator again on a worker."""

    name: str
    window: int | None
    mode: str | None
    spacing: float
    device: str
    version: str


@dataclass(frozen=True)
class _Task:
    """One pair and tile, as a worker gets it."""

    output: str
    stack: str
    maps: str
    reference: int
    secondary: int
    context: tuple[int, ...]
    position: int
    tile: Tile
    bands: tuple[str, ...]
    shift: Shift
    spec: EstimatorSpec
    key: str
    fingerprint: str


@dataclass(frozen=True)
class _Done:
    """What a worker says of a finished task."""

    checksum: str
    valid: float
    residual: tuple[float, float, float]


def maps_name(track: Track) -> str:
    """The pair maps' folder below the output."""
    return f"pairs/{track}.zarr"


def map_key(pair: Pair, tile: Tile) -> str:
    """The ledger's name of one pair and tile."""
    return f"{pair.track}/{pair.id}/{tile.key}"


def infer(region: Region, folder: Folder, pool: Pool, progress: Progress, device: str = "auto") -> Outcome:
    """Estimate coherence and sigma of every pair, tile by tile; tiles done from the same input are left alone."""
    estimator = open_estimator(region, device)
    stacks = open_stacks(region, folder)
    for note in stacks.notes:
        progress.note(note)
    shifts = register_pairs(stacks, pool, progress)
    settings = region.config.estimator
    spec = EstimatorSpec(
        settings.name, settings.window, settings.mode, region.config.grid.spacing, device, estimator.version
    )
    maps = {
        track: _ensure_maps(region, folder, track, pairs, estimator, shifts) for track, pairs in stacks.pairs.items()
    }
    cubes = {maps_name(track): opened for track, opened in maps.items()}
    with Ledger(folder, STAGE) as ledger:
        tasks = _tasks(stacks, estimator, spec, shifts, maps)
        todo = [task for task in tasks if not _is_done(task, ledger, cubes[task.maps])]
        progress.start(STAGE, len(tasks), len(tasks) - len(todo))
        for task, done in pool.run(_estimate_tile, todo):
            ledger.record(
                task.key,
                task.fingerprint,
                done.checksum,
                valid=done.valid,
                residual=[round(r, 4) for r in done.residual],
            )
            progress.advance()
    return Outcome(len(tasks), len(tasks) - len(todo))


def _tasks(
    stacks: Stacks,
    estimator: Estimator,
    spec: EstimatorSpec,
    shifts: Mapping[str, Shift],
    maps: Mapping[Track, cube.Cube],
) -> list[_Task]:
    bands = stacks.region.config.passes.polarisations
    tasks: list[_Task] = []
    for track, pairs in stacks.pairs.items():
        stack_positions = {entry_id: index for index, entry_id in enumerate(stacks.passes[track])}
        map_positions = {entry["id"]: index for index, entry in enumerate(maps[track].entries)}
        for pair in pairs:
            shift = shifts[f"{track}/{pair.id}"]
            context = context_passes(stacks, pair, estimator)
            tasks += [
                _Task(
                    output=stacks.folder.absolute,
                    stack=stack_name(track),
                    maps=maps_name(track),
                    reference=stack_positions[pair.reference],
                    secondary=stack_positions[pair.secondary],
                    context=tuple(stack_positions[name] for name in context),
                    position=map_positions[pair.id],
                    tile=tile,
                    bands=bands,
                    shift=shift,
                    spec=spec,
                    key=map_key(pair, tile),
                    fingerprint=map_fingerprint(stacks, estimator, pair, tile, shift, context),
                )
                for tile in stacks.pair_tiles(pair)
            ]
    return tasks


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


def _is_done(task: _Task, ledger: Ledger, maps: cube.Cube) -> bool:
    variables = map_variables(task.bands)
    return ledger.matches(task.key, task.fingerprint) and maps.has_tile(variables, task.position, task.tile)


@lru_cache(maxsize=4)
def _estimator(spec: EstimatorSpec) -> Estimator:
    """The estimator on a worker, which may be another machine with other weights, or none."""
    try:
        estimator = registry.get(
            spec.name, window=spec.window, mode=spec.mode, spacing=spec.spacing, device=spec.device
        )
    except ModelError as error:
        raise CohmapError(f"a worker can't build the estimator: {error}") from None
    if estimator.version != spec.version:
        raise CohmapError(
            f"a worker has estimator {spec.name} {estimator.version}, this process has {spec.version}; "
            "give both the same cohmap and the same weights"
        )
    return estimator


def _estimate_tile(task: _Task) -> _Done:
    """On a worker: read both windows, shift the secondary, estimate each polarisation, write the tile's chunks."""
    folder = Folder(task.output)
    stack, maps = cube.Cube(folder, task.stack), cube.Cube(folder, task.maps, mode="r+")
    estimator = _estimator(task.spec)
    halo, margin = estimator.halo, coregister.shift_halo(task.shift)
    inner = slice(halo, -halo) if halo else slice(None)
    written = []
    residual = coregister.NO_SHIFT
    for band in task.bands:
        variable = variable_name(band)
        reference = stack.read_tile(variable, task.reference, task.tile, halo)
        around = stack.read_tile(variable, task.secondary, task.tile, halo + margin)
        secondary = coregister.apply_shift_trimmed(around, task.shift)
        if band == task.bands[0]:
            residual = coregister.estimate_shift(reference, secondary)
        further = [stack.read_tile(variable, position, task.tile, halo) for position in task.context]
        coherence, sigma = estimator.estimate(reference, secondary, further)
        for quantity, values in (("coherence", coherence), ("sigma", sigma)):
            pixels = np.ascontiguousarray(values[inner, inner], dtype=np.float32)
            maps.write_tile(f"{quantity}_{variable}", task.position, task.tile, pixels)
            written.append(pixels)
    valid = round(float(np.isfinite(written[0]).mean()), 6)
    return _Done(checksum(*written), valid, (residual.dy, residual.dx, residual.quality))


def _ensure_maps(
    region: Region,
    folder: Folder,
    track: Track,
    pairs: tuple[Pair, ...],
    estimator: Estimator,
    shifts: Mapping[str, Shift],
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
    }
    layout = cube.Layout("pair", tuple(variables), entries, coords)
    return cube.ensure(folder, maps_name(track), region.grid, region.config.grid.tile, layout, attrs)
