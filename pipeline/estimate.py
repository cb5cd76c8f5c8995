"""Two files, no region: coherence and sigma of one pair of rasters on one grid."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo import CRS
from odc.geo.geobox import GeoBox

from models import coregister
from models.estimator import Estimator
from pipeline.addresses import local_path
from pipeline.compute import one_thread
from pipeline.errors import CohmapError
from pipeline.mosaic import PAIR_BANDS
from pipeline.products import Product, write_cog
from pipeline.progress import Progress
from pipeline.region import Tile
from pipeline.register import SAMPLE_TILES, spread
from pipeline.sources.archive import files, rasters
from pipeline.sources.archive.units import Units
from pipeline.storage import Folder, explain_full_disk

TILE = 512


class Raster:
    """One single-band raster, read in windows as linear power."""

    def __init__(self, path: str, units: Units) -> None:
        self.path, self._reading = path, rasters.Reading(units)
        if not files.exists(path):
            raise CohmapError(f"{path} does not exist")
        with rasters.opened(path) as dataset:
            self.grid = GeoBox(dataset.shape, dataset.transform, CRS(dataset.crs))

    def read(self, tile: Tile, halo: int) -> npt.NDArray[np.float32]:
        """A tile with a margin, linear power, NaN where there is no data or no raster."""
        try:
            return rasters.read(self.path, self.grid[tile.rows, tile.cols].pad(halo), self._reading)
        except CohmapError as error:
            raise CohmapError(_as_options(str(error))) from None


def _as_options(sentence: str) -> str:
    """What a sentence says of a region file's settings, said of this command's options."""
    nodata = "declare it as the file's nodata value, "
    return sentence.replace("source.units = ", "--units ").replace("set source.nodata = ", nodata)


def estimate_files(
    reference: str, secondary: str, output: str, estimator: Estimator, units: Units, progress: Progress
) -> str:
    """Estimate coherence of two rasters on one grid and write a COG: band 1 coherence, band 2 sigma.

    Parameters
    ----------
    reference, secondary, output
        Paths or URIs.

    Returns
    -------
    str
        Where the COG is.

    Raises
    ------
    CohmapError
        A file can't be read, the two are not on one grid, or the output is one of them or no .tif.
    """
    folder, name = _target(output, (reference, secondary))
    images = Raster(reference, units), Raster(secondary, units)
    grid = images[0].grid
    _require_one_grid(images[0], images[1])
    for doubt in _doubts(reference, secondary):
        progress.note(doubt)
    folder.require_writable()
    height, width = grid.shape
    tiles = [Tile(row, col, TILE, (height, width)) for row in _count(height) for col in _count(width)]
    shift = coregister.combine_shifts(
        [coregister.estimate_shift(*(image.read(tile, 0) for image in images)) for tile in spread(tiles, SAMPLE_TILES)]
    )
    product = Product(
        id=name.removesuffix(".tif"),
        kind="coherence",
        path=name,
        title=f"InSAR coherence of {Path(reference).name} and {Path(secondary).name}",
        bands=PAIR_BANDS,
        track="",
        polarisation="",
        reference="",
        secondary="",
        days=0,
        pairs=(),
        estimator=f"{estimator.name} {estimator.version}",
        reference_assets=(Path(reference).name,),
        secondary_assets=(Path(secondary).name,),
        properties={"shift_dy": round(shift.dy, 3), "shift_dx": round(shift.dx, 3)},
    )

    def blocks() -> Iterator[tuple[Tile, npt.NDArray[Any]]]:
        halo, margin = estimator.halo, coregister.shift_halo(shift)
        inner = slice(halo, -halo)
        progress.start("estimate", len(tiles), 0)
        for tile in tiles:
            around = images[1].read(tile, halo + margin)
            pair = images[0].read(tile, halo), coregister.apply_shift_trimmed(around, shift)
            maps = one_thread(lambda arrays: estimator.estimate(*arrays), pair)
            yield tile, np.stack([values[inner, inner] for values in maps])
            progress.advance()

    with explain_full_disk(folder):
        write_cog(folder, product, grid, blocks())
    return folder.address(name)


def _target(output: str, images: tuple[str, str]) -> tuple[Folder, str]:
    """Folder and name of the output, once it is sure that none of the images is overwritten."""
    parent, _, name = output.rpartition("/") if "://" in output else (Path(output).parent, "", Path(output).name)
    folder = Folder(str(parent))
    if not name or (folder.local and (folder.local / name).is_dir()):
        raise CohmapError(f"--output '{output}' is a folder; give a file, such as coherence.tif in it")
    if not name.lower().endswith((".tif", ".tiff")):
        raise CohmapError(f"--output {output} is no GeoTIFF by its name; let it end in .tif")
    for image in images:
        if _is_same_file(folder.address(name), image):
            raise CohmapError(f"--output {output} would overwrite the image {image}; give another file")
    return folder, name


def _is_same_file(first: str, second: str) -> bool:
    if first == second:
        return True
    paths = local_path(first), local_path(second)
    return all(path and Path(path).exists() for path in paths) and Path(str(paths[0])).samefile(str(paths[1]))


def _doubts(reference: str, secondary: str) -> Iterator[str]:
    """What looks like a mistake and may be none."""
    if _is_same_file(reference, secondary):
        yield f"{reference} is compared with itself"
    found = [re.findall(r"(?<![A-Z])(?:VV|VH|HH|HV)(?![A-Z])", Path(image).name) for image in (reference, secondary)]
    if all(found) and not set(found[0]) & set(found[1]):
        yield f"by their names one image is {found[0][-1]} and the other {found[1][-1]}; that gives no coherence"


def spacing_of(path: str) -> float:
    """Pixel spacing of a raster in metres, roughly where it counts in degrees: it only chooses the calibration."""
    grid = Raster(path, "db").grid
    spacing = float(abs(grid.affine.a))
    if grid.crs is not None and grid.crs.geographic:
        spacing *= 111_320 * math.cos(math.radians(grid.affine.f))
    return spacing


def _count(length: int) -> range:
    return range(math.ceil(length / TILE))


def _require_one_grid(first: Raster, second: Raster) -> None:
    if first.grid.shape != second.grid.shape:
        sizes = [f"{image.path} has {image.grid.shape[1]} x {image.grid.shape[0]} pixels" for image in (first, second)]
        raise CohmapError(f"{sizes[0]}, {sizes[1]}; both must be on one grid: crop or resample one of them")
    if first.grid != second.grid:
        raise CohmapError(
            f"{first.path} and {second.path} are not on one grid (CRS or origin differ): resample one of them"
        )
