"""Images: named bands that can be asked for their pixels on any grid, made from rasters or from other bands."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from affine import Affine
from pyproj import Transformer
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

from tests.earthengine.errors import EarthEngineError

Precision = Literal["float", "double", "int"]
DTYPES: Mapping[Precision, str] = {"float": "<f4", "double": "<f8", "int": "<i4"}
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def apply(transform: Affine, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coordinates after an affine transform."""
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f


@dataclass(frozen=True)
class PixelGrid:
    """Where pixels lie."""

    crs: str
    transform: Affine
    width: int
    height: int

    def centres(self) -> tuple[FloatArray, FloatArray]:
        """Coordinates of the pixel centres, each of shape (height, width)."""
        cols, rows = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        return apply(self.transform, cols, rows)


@dataclass(frozen=True)
class Pixels:
    """Values of one band on a grid, and whether each is valid."""

    values: FloatArray
    mask: BoolArray


class Band(Protocol):
    """Something that has pixels on any grid."""

    @property
    def precision(self) -> Precision:
        """Kind of number."""
        ...

    @property
    def native(self) -> PixelGrid | None:
        """The band's own grid, None for one that is computed."""
        ...

    def read(self, grid: PixelGrid) -> Pixels:
        """Its pixels on a grid."""
        ...

    def resampled(self, mode: str) -> Band:
        """The same band, interpolated rather than taken from the nearest pixel."""
        ...


def _nearest_weight(distance: FloatArray) -> FloatArray:
    return np.ones_like(distance)


def _linear_weight(distance: FloatArray) -> FloatArray:
    return 1 - np.abs(distance)


def _cubic_weight(distance: FloatArray) -> FloatArray:
    # Belief: Keys' kernel with a = -1/2, the usual "bicubic"; Earth Engine doesn't say which.
    d = np.abs(distance)
    return np.where(d <= 1, (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2)


# Per mode: pixels taken a side, how far their centres lie from the point, and what each weighs.
KERNELS: Mapping[str, tuple[int, Callable[[FloatArray], FloatArray]]] = {
    "nearest": (1, _nearest_weight),
    "bilinear": (2, _linear_weight),
    "bicubic": (4, _cubic_weight),
}


@dataclass(frozen=True, eq=False)
class RasterBand:
    """A band held as pixels on a native grid of its own."""

    values: FloatArray
    mask: BoolArray
    native: PixelGrid
    precision: Precision = "float"
    mode: str = "nearest"

    def read(self, grid: PixelGrid) -> Pixels:
        x, y = grid.centres()
        if grid.crs != self.native.crs:
            x, y = _transformer(grid.crs, self.native.crs).transform(x, y)
        return self._interpolate(*apply(~self.native.transform, x, y))

    def resampled(self, mode: str) -> Band:
        if mode not in KERNELS or mode == "nearest":
            raise EarthEngineError(f"Image.resample: Unrecognized interpolation mode '{mode}'.")
        return replace(self, mode=mode)

    def _interpolate(self, cols: FloatArray, rows: FloatArray) -> Pixels:
        """Weigh the pixels around each point, given in pixels from the native grid's corner.

        Belief: a point is masked where any pixel that weighs in is masked or lies outside the image.
        """
        taps, weight = KERNELS[self.mode]
        offset = 0.0 if taps == 1 else 0.5  # nearest: the pixel that holds the point; others count from the centres
        first_col = np.floor(cols - offset) - (taps - 1) // 2
        first_row = np.floor(rows - offset) - (taps - 1) // 2
        total, mask = np.zeros(cols.shape), np.ones(cols.shape, dtype=bool)
        for row in range(taps):
            for col in range(taps):
                share = weight(first_row + row + 0.5 - rows) * weight(first_col + col + 0.5 - cols)
                values, valid = self._take(first_row + row, first_col + col)
                total += np.where(share == 0, 0.0, share * values)
                mask &= valid | (share == 0)
        return Pixels(np.where(mask, total, 0.0), mask)

    def _take(self, rows: FloatArray, cols: FloatArray) -> tuple[FloatArray, BoolArray]:
        height, width = self.values.shape
        inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        row, col = np.where(inside, rows, 0).astype(int), np.where(inside, cols, 0).astype(int)
        return np.where(inside, self.values[row, col], 0.0), inside & self.mask[row, col]


@dataclass(frozen=True, eq=False)
class ComputedBand:
    """A band that a function of the grid makes; pixel by pixel from one with a native grid, it has that grid too.

    Interpolated, it is made on its native grid, and there only around the pixels asked for.
    """

    precision: Precision
    compute: Callable[[PixelGrid], Pixels]
    native: PixelGrid | None = None
    mode: str = "nearest"

    def read(self, grid: PixelGrid) -> Pixels:
        if self.mode == "nearest" or self.native is None:
            return self.compute(grid)
        x, y = grid.centres()
        if grid.crs != self.native.crs:
            x, y = _transformer(grid.crs, self.native.crs).transform(x, y)
        cols, rows = apply(~self.native.transform, x, y)
        left, top = math.floor(cols.min()) - 3, math.floor(rows.min()) - 3
        width, height = math.ceil(cols.max()) + 3 - left, math.ceil(rows.max()) + 3 - top
        part = PixelGrid(self.native.crs, self.native.transform @ Affine.translation(left, top), width, height)
        pixels = self.compute(part)
        return RasterBand(pixels.values, pixels.mask, part, self.precision).resampled(self.mode).read(grid)

    def resampled(self, mode: str) -> Band:
        if self.native is None:
            raise EarthEngineError(f"stand-in: Image.resample('{mode}') of an image without a pixel grid of its own")
        return replace(self, mode=mode)


@cache
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


@dataclass(frozen=True, eq=False)
class Image:
    """Bands with properties; one that is an asset has an id."""

    bands: Mapping[str, Band]
    properties: Mapping[str, Any] = field(default_factory=dict)
    footprint: BaseGeometry | None = None
    id: str = ""
    updated: dt.datetime = dt.datetime(2020, 11, 19, 7, 18, 22, 269949, tzinfo=dt.UTC)

    def property(self, name: str) -> Any:
        """A property, or what the server keeps beside them; None where there is none."""
        if name == "system:id":
            return self.id or None
        if name == "system:footprint":  # Sentinel-1's is the ring around the area that filters look at
            return self.footprint.exterior if isinstance(self.footprint, Polygon) else self.footprint
        return self.properties.get(name)


@dataclass(frozen=True, eq=False)
class ImageCollection:
    """Images in order."""

    images: tuple[Image, ...]


def raster_band(path: Path) -> RasterBand:
    """The first band of a GeoTIFF; masked where it is NaN or the declared nodata value."""
    with rasterio.open(path) as raster:
        values = raster.read(1)
        mask = (raster.dataset_mask() != 0) & np.isfinite(values)
        native = PixelGrid(raster.crs.to_string(), raster.transform, raster.width, raster.height)
    precision: Precision = "double" if values.dtype.itemsize == 8 else "float"
    return RasterBand(np.where(mask, values, 0).astype(float), mask, native, precision)


def outline(grid: PixelGrid) -> Polygon:
    """The grid's outline in longitude and latitude."""
    corners = box(0, 0, grid.width, grid.height)
    to_degrees = _transformer(grid.crs, "EPSG:4326")

    def place(points: FloatArray) -> FloatArray:
        return np.column_stack(to_degrees.transform(*apply(grid.transform, *points.T)))

    return shapely.transform(shapely.segmentize(corners, max(grid.width, grid.height) / 4), place)


def sentinel1(
    identifier: str,
    bands: Mapping[str, Band],
    start: dt.datetime,
    *,
    platform: str = "A",
    direction: str = "ASCENDING",
    relative_orbit: int = 137,
    data_take: int = 1,
    mode: str = "IW",
) -> Image:
    """A Sentinel-1 GRD image with the properties that its kind has on Earth Engine, as far as programs read them.

    Parameters
    ----------
    identifier
        Asset id: ``COLLECTION/NAME``.
    bands
        By name; the first one's grid gives the footprint.
    """
    milliseconds = round(start.timestamp() * 1000)
    native = next(iter(bands.values())).native
    properties = {
        "system:index": identifier.rpartition("/")[2],
        "system:time_start": milliseconds,
        "system:time_end": milliseconds,
        "instrumentMode": mode,
        "productType": "GRD",
        "resolution_meters": 10,
        "platform_number": platform,
        "orbitProperties_pass": direction,
        "relativeOrbitNumber_start": relative_orbit,
        "relativeOrbitNumber_stop": relative_orbit,
        "missionDataTakeID": data_take,
        "transmitterReceiverPolarisation": [band for band in bands if band != "angle"],
    }
    return Image(bands, properties, None if native is None else outline(native), identifier)
