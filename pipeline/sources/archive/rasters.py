"""One raster file: its header, and its pixels on a window of the region's grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window
from shapely.affinity import translate
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

from pipeline.addresses import StreamError, open_raster
from pipeline.config import Resampling
from pipeline.errors import CohmapError
from pipeline.sources.archive import files
from pipeline.sources.archive.resample import REACH, resample
from pipeline.sources.archive.units import Units, complaint, to_power

FloatArray = npt.NDArray[np.float32]
Coordinates = npt.NDArray[np.float64]

# grids nest where pixel edges agree to this part of a pixel
NESTS = 1e-6
# pixels that are resampled at once: bounds the memory of large tiles
_STRIP = 1 << 20
# a file of a few bytes may claim to hold blocks larger than the memory
MOST_BLOCK_BYTES = 1 << 30
_EDGE_POINTS = 17
_NOWHERE = -1e9


@dataclass(frozen=True)
class Reading:
    """How to read a file's pixels.

    Attributes
    ----------
    units
        What the pixels are.
    declared
        Whether the user said so (then the settings can mend it), or the file's name.
    nodata
        A value that marks no data, besides what the file declares.
    resampling
        Used only where the file's grid differs from the region's.
    """

    units: Units
    declared: bool = True
    nodata: float | None = None
    resampling: Resampling = "nearest"


@contextmanager
def opened(href: str) -> Iterator[Any]:
    """A raster opened for one thread; what goes wrong with it becomes one sentence.

    Raises
    ------
    CohmapError
        The file is gone, damaged, not georeferenced, or has more than one band.
    """
    try:
        with open_raster(href) as dataset:
            _require_usable(dataset, href)
            yield dataset
    except NotGeoreferencedWarning:  # raised where warnings are errors
        raise _not_georeferenced(href) from None
    except (RasterioError, CPLE_BaseError, OSError) as error:  # rasterio lets some of GDAL's own errors through
        if not files.exists(href):
            raise CohmapError(f"{href} does not exist (any more); restore it, or plan again without it") from None
        if isinstance(error, StreamError):
            raise CohmapError(
                f"{href} can't be read ({error}); check the connection and the server, and run again"
            ) from None
        reason = str(error.__cause__ or error).splitlines()[0]
        raise CohmapError(f"{href} is truncated or damaged ({reason}); download it again") from None


def _require_usable(dataset: Any, href: str) -> None:
    if dataset.crs is None or dataset.transform.is_identity or dataset.transform.determinant == 0:
        raise _not_georeferenced(href)
    if dataset.count != 1:
        raise CohmapError(
            f"{href} has {dataset.count} bands, but a file of one polarisation must have one; split it into one file "
            "per polarisation"
        )
    kind = np.dtype(dataset.dtypes[0])
    height, width = dataset.block_shapes[0]
    if height * width * kind.itemsize > MOST_BLOCK_BYTES:
        raise CohmapError(
            f"{href} is stored in blocks of {height} x {width} pixels, each of which has to be unpacked whole; rewrite "
            "it with gdal_translate -co TILED=YES"
        )
    if kind.kind == "c":
        raise CohmapError(f"{href} holds complex numbers; detect it first: cohmap reads backscatter, not SLC data")


def _not_georeferenced(href: str) -> CohmapError:
    return CohmapError(f"{href} is not georeferenced on a map grid; geocode (terrain-correct) it first")


def outline_of(href: str) -> BaseGeometry:
    """A file's outline in EPSG:4326, from its header."""
    with opened(href) as dataset:
        return window_outline(GeoBox(dataset.shape, dataset.transform, CRS(dataset.crs)))


def window_outline(window: GeoBox, margin: float = 0.0) -> BaseGeometry:
    """Outline of a grid in EPSG:4326, widened by `margin` pixels; in two parts where it crosses the antimeridian."""
    height, width = window.shape
    steps = np.linspace(0.0, 1.0, _EDGE_POINTS)[:-1]
    zeros, ones = np.zeros_like(steps), np.ones_like(steps)
    across = np.concatenate([steps, ones, 1 - steps, zeros]) * (width + 2 * margin) - margin
    down = np.concatenate([zeros, steps, ones, 1 - steps]) * (height + 2 * margin) - margin
    x, y = _apply(window.affine, across, down)
    lon, lat = _crs(window).transformer_to_crs(CRS("EPSG:4326"))(x, y)
    if np.ptp(lon) <= 180:
        return Polygon(np.column_stack([lon, lat]))
    eastern = Polygon(np.column_stack([np.where(lon < 0, lon + 360, lon), lat]))
    west_of_it = eastern.intersection(box(0, -90, 180, 90))
    east_of_it = translate(eastern.intersection(box(180, -90, 360, 90)), xoff=-360)
    return shapely.union_all([west_of_it, east_of_it])


def read(href: str, window: GeoBox, reading: Reading) -> FloatArray:
    """A file's pixels on a window of the region's grid.

    Where the file's grid nests with the window's (same CRS and spacing, north up, whole pixels apart) pixels are copied
    bit for bit; elsewhere they are converted to linear power first and resampled then.

    Returns
    -------
    FloatArray
        Linear power, shape of the window, NaN where there is no data.

    Raises
    ------
    CohmapError
        The file can't be used (see `opened`), or its values contradict its units.
    """
    with opened(href) as dataset:
        offset = _offset(dataset, window)
        if offset is not None:
            return _copy(dataset, href, window, offset, reading)
        return _warp(dataset, href, window, reading)


def _offset(dataset: Any, window: GeoBox) -> tuple[int, int] | None:
    """Row and column of the window's corner on the file's grid where the two nest, else None."""
    there, here = dataset.transform, window.affine
    if CRS(dataset.crs) != window.crs or there.b or there.d or there.a <= 0 or there.e >= 0:
        return None
    height, width = window.shape
    left, top = ~there * (here * (0, 0))
    right, bottom = ~there * (here * (width, height))
    col, row = round(left), round(top)
    misfit = max(abs(left - col), abs(top - row), abs(right - col - width), abs(bottom - row - height))
    return (row, col) if misfit <= NESTS else None


def _copy(dataset: Any, href: str, window: GeoBox, offset: tuple[int, int], reading: Reading) -> FloatArray:
    (row, col), (height, width) = offset, window.shape
    result = np.full(window.shape, np.nan, dtype=np.float32)
    top, left = max(row, 0), max(col, 0)
    bottom, right = min(row + height, dataset.height), min(col + width, dataset.width)
    if top < bottom and left < right:
        power = _power(dataset, href, (top, bottom, left, right), reading)
        result[top - row : bottom - row, left - col : right - col] = power
    return result


def _warp(dataset: Any, href: str, window: GeoBox, reading: Reading) -> FloatArray:
    height, width = window.shape
    result = np.full((height, width), np.nan, dtype=np.float32)
    strip = max(1, _STRIP // width)
    for first in range(0, height, strip):
        last = min(first + strip, height)
        rows, cols = _positions(dataset, window, first, last)
        margin = REACH[reading.resampling] + 1
        near = (rows > -margin) & (rows < dataset.height + margin) & (cols > -margin) & (cols < dataset.width + margin)
        if not near.any():
            continue
        top = max(math.floor(rows[near].min()) - margin, 0)
        bottom = min(math.ceil(rows[near].max()) + margin, dataset.height)
        left = max(math.floor(cols[near].min()) - margin, 0)
        right = min(math.ceil(cols[near].max()) + margin, dataset.width)
        if top < bottom and left < right:
            power = _power(dataset, href, (top, bottom, left, right), reading)
            result[first:last] = resample(power, rows - top, cols - left, reading.resampling)
    return result


def _positions(dataset: Any, window: GeoBox, first: int, last: int) -> tuple[Coordinates, Coordinates]:
    """Where the centres of some rows of the window lie, in rows and columns of the file."""
    cols, rows = np.meshgrid(np.arange(window.shape[1]) + 0.5, np.arange(first, last) + 0.5)
    x, y = _apply(window.affine, cols, rows)
    crs = CRS(dataset.crs)
    if crs != window.crs:
        x, y = _crs(window).transformer_to_crs(crs)(x, y)
    there_cols, there_rows = _apply(~dataset.transform, x, y)
    # where a projection has no answer the pixel is nowhere
    nowhere = ~(np.isfinite(there_rows) & np.isfinite(there_cols))
    return np.where(nowhere, _NOWHERE, there_rows), np.where(nowhere, _NOWHERE, there_cols)


def _apply(transform: Affine, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f


def _crs(window: GeoBox) -> CRS:
    if window.crs is None:
        raise ValueError("the window has no CRS")
    return window.crs


def _power(dataset: Any, href: str, bounds: tuple[int, int, int, int], reading: Reading) -> FloatArray:
    """Linear power of a part of the file (top, bottom, left, right), once its values agree with its units."""
    top, bottom, left, right = bounds
    part = Window(left, top, right - left, bottom - top)
    raw = dataset.read(1, window=part)
    invalid = ~np.isfinite(raw)
    with np.errstate(over="ignore"):  # a nodata value outside of the file's type marks nothing
        for value in (dataset.nodata, reading.nodata):
            if value is not None:
                invalid |= raw == value
    if MaskFlags.per_dataset in dataset.mask_flag_enums[0]:
        invalid |= dataset.read_masks(1, window=part) == 0
    values = raw.astype(np.float32)
    scale, shift = dataset.scales[0], dataset.offsets[0]
    if (scale, shift) != (1.0, 0.0):
        values = (raw * scale + shift).astype(np.float32)
    values = np.where(invalid, np.float32(np.nan), values)
    against = complaint(values, reading.units)
    if against:
        what, mend = against
        said = f"source.units = '{reading.units}' says" if reading.declared else f"its name says {reading.units}"
        if not reading.declared and "source.units" in mend:
            mend += " with source.layout = 'pattern'"
        raise CohmapError(f"{href} {what}, which is not what {said}; {mend}")
    return to_power(values, reading.units)
