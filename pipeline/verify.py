"""Whether what lies in the output folder is still what was written: checksums of the ledgers against the data.

A ledger says that a unit was finished, not that nothing happened to its bytes since: a failing disk, a torn copy, a
file opened in the wrong program. What is found damaged is removed, and only that, so that the next run makes it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rasterio.errors import RasterioError

from pipeline import cube, export, infer
from pipeline.addresses import filesystem, open_raster
from pipeline.errors import CohmapError
from pipeline.ledger import Ledger, checksum, file_digest
from pipeline.passes import Track
from pipeline.products import load_index, stages_with_products
from pipeline.progress import Progress
from pipeline.region import Region, Tile
from pipeline.storage import Folder


@dataclass(frozen=True)
class Verdict:
    """What was looked at, and what of it was damaged and is removed now."""

    looked_at: int
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class _Unit:
    """One position and tile of a cube, as the ledger knows it."""

    cube: cube.Cube
    variables: tuple[str, ...]
    position: int
    tile: Tile
    key: str
    checksum: str

    def is_whole(self) -> bool:
        try:
            layers = [self.cube.read_tile(name, self.position, self.tile) for name in self.variables]
        except CohmapError:
            return False
        return checksum(*layers) == self.checksum

    def remove(self) -> None:
        for name in self.variables:
            chunk = self.cube.chunk_name(name, self.position, self.tile)
            if self.cube.folder.exists(chunk):
                self.cube.folder.remove(chunk)


def verify(region: Region, folder: Folder, progress: Progress) -> Verdict:
    """Read everything that the ledgers list, and every product, once; remove what is damaged.

    Raises
    ------
    CohmapError
        Nothing is exported yet, or on another grid.
    """
    if not folder.exists(export.TRACKS):
        raise CohmapError(f"nothing is exported in {folder} yet; there is nothing to verify")
    units = list(_units(region, folder))
    files = list(_files(folder))
    progress.start("verify", len(units) + len(files), 0)
    damaged = []
    for unit in units:
        if not unit.is_whole():
            damaged.append(unit.key)
            unit.remove()
        progress.advance()
    for path, digest in files:
        if not _is_whole(folder.address(path), digest):
            damaged.append(path)
            folder.remove(path)
        progress.advance()
    return Verdict(len(units) + len(files), tuple(damaged))


def _units(region: Region, folder: Folder) -> Iterator[_Unit]:
    bands = region.config.passes.polarisations
    exported, inferred = Ledger(folder, export.STAGE), Ledger(folder, infer.STAGE)
    for record in folder.read_json(export.TRACKS):
        track = Track(record["direction"], record["relative_orbit"])
        layers = [export.variable_name(band) for band in region.bands]
        yield from _listed(region, folder, export.stack_name(track), layers, track, exported)
        if folder.exists(f"{infer.maps_name(track)}/zarr.json"):
            yield from _listed(region, folder, infer.maps_name(track), infer.map_variables(bands), track, inferred)


def _listed(
    region: Region, folder: Folder, name: str, variables: Sequence[str], track: Track, ledger: Ledger
) -> Iterator[_Unit]:
    opened = cube.Cube(folder, name)
    cube.require_grid(opened.group, folder.address(name), region.grid, region.config.grid.tile)
    there = tuple(each for each in variables if each in opened.group)
    for position, entry in enumerate(opened.entries):
        for tile in region.tiles:
            key = export.unit_key(track, entry["id"], tile)
            if found := ledger.checksum(key):
                yield _Unit(opened, there, position, tile, key, found)


def _files(folder: Folder) -> Iterator[tuple[str, str]]:
    """Path and digest of every product; the digest is empty where the stage kept none."""
    for stage in stages_with_products(folder):
        ledger = Ledger(folder, stage)
        for product in load_index(folder, stage):
            if folder.exists(product.path):
                yield product.path, ledger.checksum(product.id)


def _is_whole(address: str, digest: str) -> bool:
    """Whether a file has this digest, or, where there is none to compare, can be read to the end."""
    store, path = filesystem(address)
    if digest:
        with store.open(path, "rb") as content:
            return file_digest(content) == digest
    try:
        with open_raster(address) as dataset:
            for band in dataset.indexes:
                for _, window in dataset.block_windows(band):
                    dataset.read(band, window=window)
    except (RasterioError, OSError):
        return False
    return True
