"""Two files, no region: coherence and sigma of one pair of rasters on one grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.windows import Window

from models import coregister
from models.estimator import Estimator
from pipeline.compute import one_thread
from pipeline.errors import CohmapError
from pipeline.mosaic import PAIR_BANDS
from pipeline.products import Product, write_cog
from pipeline.progress import Progress
from pipeline.region import Tile
from pipeline.register import SAMPLE_TILES, spread
from pipeline.storage import Folder

TILE = 512

Units = Literal["linear", "db", "amplitude"]


class Raster:
    """One single-band raster, read in windows as linear power."""

    def __init__(self, path: str, units: Units) -> None:
        self.path, self.units = path, units
        try:
            self._dataset = rasterio.open(path)
        except RasterioError:
            there = "://" in path or Path(path).exists()
            what = "is no raster that GDAL can read; is it whole?" if there else "does not exist"
            raise CohmapError(f"{path} {what}") from None
        if self._dataset.count != 1:
            raise CohmapError(f"{path} has {self._dataset.count} bands; give a file with one polarisation")
        if np.issubdtype(np.dtype(self._dataset.dtypes[0]), np.complexfloating):
            raise CohmapError(f"{path} is complex (SLC); this command takes detected images")
        self.grid = GeoBox(self._dataset.shape, self._dataset.transform, self._dataset.crs)

    def read(self, tile: Tile, halo: int) -> npt.NDArray[np.float32]:
        """A tile with a margin, linear power, NaN where there is no data or no raster."""
        window = Window(
            tile.cols.start - halo, tile.rows.start - halo, tile.shape[1] + 2 * halo, tile.shape[0] + 2 * halo
        )
        try:
            masked = self._dataset.read(1, window=window, boundless=True, masked=True)
        except RasterioError as error:
            raise CohmapError(f"{self.path} can't be read ({error}); the file may be truncated, get it again") from None
        values = np.ma.filled(masked.astype(np.float32), np.nan)
        return self._to_power(values)

    def _to_power(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self.units == "db":
            return np.asarray(10 ** (values / 10), dtype=np.float32)
        if np.any(values < 0):
            raise CohmapError(
                f"{self.path} holds values below zero, so it is not {self.units}; say --units db if it is dB"
            )
        if self.units == "amplitude":
            values = values**2
        values[values == 0] = np.nan  # a zero-filled border is no backscatter
        return values


def estimate_files(
    reference: str, secondary: str, output: Path, estimator: Estimator, units: Units, progress: Progress
) -> Path:
    """Estimate coherence of two rasters on one grid and write a COG: band 1 coherence, band 2 sigma.

    Raises
    ------
    CohmapError
        A file can't be read, or the two are not on one grid.
    """
    images = Raster(reference, units), Raster(secondary, units)
    grid = images[0].grid
    _require_one_grid(images[0], images[1])
    if output.is_dir() or not output.name:
        raise CohmapError(f"--output {output} is a folder; give a file, e.g. {output / 'coherence.tif'}")
    folder = Folder(str(output.parent))
    folder.require_writable()
    height, width = grid.shape
    tiles = [Tile(row, col, TILE, (height, width)) for row in _count(height) for col in _count(width)]
    shift = coregister.combine_shifts(
        [coregister.estimate_shift(*(image.read(tile, 0) for image in images)) for tile in spread(tiles, SAMPLE_TILES)]
    )
    product = Product(
        id=output.stem,
        kind="coherence",
        path=output.name,
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
        halo = estimator.halo + coregister.shift_halo(shift)
        inner = slice(halo, -halo)
        progress.start("estimate", len(tiles), 0)
        for tile in tiles:
            pair = images[0].read(tile, halo), coregister.apply_shift(images[1].read(tile, halo), shift)
            maps = one_thread(lambda arrays: estimator.estimate(*arrays), pair)
            yield tile, np.stack([values[inner, inner] for values in maps])
            progress.advance()

    write_cog(folder, product, grid, blocks())
    return output


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
