"""Two files, no region: coherence and sigma of one pair of rasters on one grid."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo import CRS
from odc.geo.geobox import GeoBox

from models import coregister
from models.ahead import estimates
from models.estimator import Estimator, FloatArray
from pipeline.addresses import local_path
from pipeline.clusters import room_here
from pipeline.compute import one_thread
from pipeline.errors import CohmapError
from pipeline.mosaic import PAIR_BANDS
from pipeline.products import Product, write_cog
from pipeline.progress import Progress
from pipeline.register import SAMPLE_TILES, spread
from pipeline.room import block_side
from pipeline.sources.archive import files, rasters
from pipeline.sources.archive.units import Units
from pipeline.storage import Folder, explain_full_disk
from pipeline.tiles import Tile, Tiles

TILE = 512
"""Side of the windows in which shifts are looked for."""
# A data take of 25 minutes at 10 m has 25,000 x 1,000,000.
MOST_PIXELS = 3 * 10**10


class Raster:
    """One single-band raster, read in windows as linear power."""

    def __init__(self, path: str, units: Units) -> None:
        self.path, self._reading = path, rasters.Reading(units)
        if not files.exists(path):
            raise CohmapError(f"{path} does not exist")
        with rasters.opened(path) as dataset:
            self.grid = GeoBox(dataset.shape, dataset.transform, CRS(dataset.crs))
        if self.grid.shape[0] * self.grid.shape[1] > MOST_PIXELS:
            raise CohmapError(
                f"{path} says that it has {self.grid.shape[1]} x {self.grid.shape[0]} pixels, more than any Sentinel-1 "
                "product; cut it, or make a region of it"
            )

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
    reference: str,
    secondary: str,
    output: str,
    estimator: Estimator,
    units: Units,
    progress: Progress,
    context: Sequence[str] = (),
    device: str = "cpu",
) -> str:
    """Estimate coherence of two rasters on one grid and write a COG: band 1 coherence, band 2 sigma.

    Parameters
    ----------
    reference, secondary, output
        Paths or URIs.
    context
        Those of further dates on the same grid.
    device
        Where the estimator computes, so that blocks fit there: auto, cpu or cuda.

    Returns
    -------
    str
        Where the COG is.

    Raises
    ------
    CohmapError
        A file can't be read, they are not on one grid, the estimator takes fewer further dates, or the output is one of
        them or no .tif.
    """
    if len(context) > estimator.context:
        most = f"at most {estimator.context}" if estimator.context else "no"
        raise CohmapError(f"estimator '{estimator.name}' makes use of {most} further dates, not {len(context)}")
    folder, name = _target(output, (reference, secondary, *context))
    first, *others = (Raster(path, units) for path in (reference, secondary, *context))
    grid = first.grid
    for image in others:
        _require_one_grid(first, image)
    for doubt in _doubts(reference, secondary):
        progress.note(doubt)
    folder.require_writable()
    shape = grid.height, grid.width
    shifts = _shifts(first, others, spread(Tiles.of_grid(TILE, shape), SAMPLE_TILES))
    tiles = Tiles.of_grid(block_side(room_here(device)), shape)
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
        properties={
            "shift_dy": round(shifts[0].dy, 3),
            "shift_dx": round(shifts[0].dx, 3),
            "context_assets": ",".join(Path(path).name for path in context),
            "runtime": estimator.runtime,
        },
    )

    halo = estimator.halo

    def shown() -> Iterator[tuple[Tile, list[FloatArray]]]:
        for tile in tiles:
            moved = [
                coregister.apply_shift_trimmed(image.read(tile, halo + coregister.shift_halo(shift)), shift)
                for image, shift in zip(others, shifts, strict=True)
            ]
            yield tile, [first.read(tile, halo), *moved]

    def blocks() -> Iterator[tuple[Tile, npt.NDArray[Any]]]:
        progress.start("estimate", len(tiles), 0)
        with one_thread():
            for tile, maps in estimates(estimator, shown(), margin=halo):
                yield tile, np.stack(maps)
                progress.advance()

    with explain_full_disk(folder):
        write_cog(folder, product, grid, blocks())
    return folder.address(name)


def _shifts(first: Raster, others: Sequence[Raster], tiles: Sequence[Tile]) -> list[coregister.Shift]:
    """Where each of the other images lies relative to the first, from some tiles."""
    references = [first.read(tile, 0) for tile in tiles]
    return [
        coregister.combine_shifts(
            [
                coregister.estimate_shift(reference, image.read(tile, 0))
                for reference, tile in zip(references, tiles, strict=True)
            ]
        )
        for image in others
    ]


def _target(output: str, images: Sequence[str]) -> tuple[Folder, str]:
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


def _require_one_grid(first: Raster, second: Raster) -> None:
    if first.grid.shape != second.grid.shape:
        sizes = [f"{image.path} has {image.grid.shape[1]} x {image.grid.shape[0]} pixels" for image in (first, second)]
        raise CohmapError(f"{sizes[0]}, {sizes[1]}; both must be on one grid: crop or resample one of them")
    if first.grid != second.grid:
        raise CohmapError(
            f"{first.path} and {second.path} are not on one grid (CRS or origin differ): resample one of them"
        )
