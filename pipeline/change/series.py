"""Time series as CSV: coherence of every pair over each polygon and at each point."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import cube
from pipeline.change.polygons import Area, burn, packed, unpacked
from pipeline.change.work import Work
from pipeline.compute import Pool
from pipeline.export import variable_name
from pipeline.infer import maps_name
from pipeline.region import Tile
from pipeline.sampling import Place

# Series of more polygons than this are read by nobody; the largest are taken.
MOST_POLYGONS = 200
HEADER = (
    "place", "kind", "track", "polarisation", "reference", "secondary", "days", "coherence", "sigma", "pixels",
)  # fmt: skip


@dataclass(frozen=True)
class _Task:
    work: Work
    tile: Tile
    outlines: bytes


Sums = np.ndarray[tuple[int, int, int, int], np.dtype[np.float64]]


def write_series(work: Work, areas: Sequence[Area], places: Sequence[Place], tiles: Sequence[Tile], pool: Pool) -> str:
    """Write the CSV of one track; gives its path."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    largest = sorted(range(len(areas)), key=lambda number: (-areas[number].pixels, number))[:MOST_POLYGONS]
    chosen = packed(areas[number].outline for number in sorted(largest))
    ids = [number + 1 for number in sorted(largest)]
    sums: Sums = np.zeros((len(work.bands), len(work.design.pairs), len(ids) + 1, 3))
    if ids:
        for _, found in pool.run(_sum_tile, (_Task(work, tile, chosen) for tile in tiles)):
            sums = sums + found
    for place, number in enumerate(ids):
        _write_rows(writer, work, f"polygon {number}", "polygon", sums[:, :, place + 1])
    for point in places:
        _write_rows(writer, work, point.name, "point", _at_point(work, point))
    path = f"products/change/{work.name}_series.csv"
    work.folder.write_bytes(path, stream.getvalue().encode())
    return path


def _write_rows(
    writer: object, work: Work, name: str, kind: str, sums: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> None:
    """Rows of one place; `sums` has shape (bands, pairs, 3): coherence, sigma, pixels."""
    for band, polarisation in enumerate(work.region.config.passes.polarisations):
        for number, pair in enumerate(work.design.pairs):
            coherence, sigma, pixels = sums[band, number]
            values = (f"{coherence / pixels:.4f}", f"{sigma / pixels:.4f}") if pixels else ("", "")
            dates = f"{pair.reference_start:%Y-%m-%d}", f"{pair.secondary_start:%Y-%m-%d}"
            row = (name, kind, str(pair.track), polarisation, *dates, pair.days, *values, int(pixels))
            writer.writerow(row)  # type: ignore[attr-defined]


def _sum_tile(task: _Task) -> Sums:
    """On a worker: sums of coherence, sigma and pixels by band, pair and area; row 0 is outside of all."""
    work = task.work
    outlines = unpacked(task.outlines)
    numbers = burn(outlines, work.region.window(task.tile)).ravel()
    sums: Sums = np.zeros((len(work.bands), len(work.design.pairs), len(outlines) + 1, 3))
    if not numbers.any():
        return sums
    maps = cube.Cube(work.folder, maps_name(work.design.track))
    for band, name in enumerate(work.bands):
        for number, layer in enumerate(work.layers):
            coherence, sigma = (maps.read_tile(f"{q}_{name}", layer, task.tile).ravel() for q in ("coherence", "sigma"))
            known = np.isfinite(coherence) & (numbers > 0)
            for column, values in enumerate((coherence, sigma, np.ones_like(coherence))):
                weights = values[known].astype(np.float64)
                sums[band, number, :, column] = np.bincount(numbers[known], weights, minlength=sums.shape[2])
    return sums


def _at_point(work: Work, place: Place) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    maps = cube.Cube(work.folder, maps_name(work.design.track))
    found = np.zeros((len(work.bands), len(work.design.pairs), 3))
    for band, polarisation in enumerate(work.region.config.passes.polarisations):
        for column, quantity in enumerate(("coherence", "sigma")):
            array = maps.array(f"{quantity}_{variable_name(polarisation)}")
            for number, layer in enumerate(work.layers):
                value = float(np.asarray(array[layer, place.row, place.col]))
                if np.isfinite(value):
                    found[band, number, column] = value
                    found[band, number, 2] = 1
    return found
