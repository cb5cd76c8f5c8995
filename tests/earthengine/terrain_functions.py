"""Earth Engine's functions of terrain, projections and angles, as far as the stand-in knows them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from pyproj import Geod, Transformer

from tests.earthengine.errors import EarthEngineError
from tests.earthengine.graph import Call, Function, Table
from tests.earthengine.images import Band, FloatArray, Image, PixelGrid, Pixels, Precision, RasterBand, apply

TERRAIN_FUNCTIONS = Table()

EARTH = Geod(ellps="WGS84")

# Terrain


def _only_band(call: Call) -> Band:
    image = call.image("input")
    if len(image.bands) != 1:
        raise EarthEngineError(f"stand-in: {call.function} is simulated for one band, not {list(image.bands)}")
    return next(iter(image.bands.values()))


def _padded(grid: PixelGrid) -> PixelGrid:
    return PixelGrid(grid.crs, grid.transform * Affine.translation(-1, -1), grid.width + 2, grid.height + 2)


@dataclass(frozen=True)
class _Gradient:
    """Rise over run towards true east and north."""

    east: FloatArray
    north: FloatArray
    mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def _gradient(band: Band, grid: PixelGrid) -> _Gradient:
    """Central differences over the four neighbours' true distances and bearings.

    Beliefs: neighbours are pixels of the grid asked for, not of the image's own; they count in metres on the Earth,
    and bearings from true north.
    """
    wide = _padded(grid)
    pixels = band.read(wide)
    x, y = wide.centres()
    lon, lat = Transformer.from_crs(wide.crs, "EPSG:4326", always_xy=True).transform(x, y)
    middle = slice(1, -1)
    slopes = []
    for first, second in (
        ((middle, slice(None, -2)), (middle, slice(2, None))),  # along columns
        ((slice(2, None), middle), (slice(None, -2), middle)),  # against rows
    ):
        bearing, _, metres = EARTH.inv(lon[first], lat[first], lon[second], lat[second])
        rise = (pixels.values[second] - pixels.values[first]) / metres
        slopes.append((rise, np.radians(bearing)))
    (a, toward_a), (b, toward_b) = slopes
    # the gradient whose components towards the two bearings are a and b
    turn = np.sin(toward_a - toward_b)
    east = (a * np.cos(toward_b) - b * np.cos(toward_a)) / turn
    north = (b * np.sin(toward_a) - a * np.sin(toward_b)) / turn
    mask = pixels.mask
    near = mask[middle, :-2] & mask[middle, 2:] & mask[:-2, middle] & mask[2:, middle]
    return _Gradient(east, north, near & mask[middle, middle])


@TERRAIN_FUNCTIONS.enter("Terrain.slope")
def _slope(call: Call) -> Image:
    band = _only_band(call)

    def compute(grid: PixelGrid) -> Pixels:
        found = _gradient(band, grid)
        return Pixels(np.degrees(np.arctan(np.hypot(found.east, found.north))), found.mask)

    return Image({"slope": LatticeBand("float", compute, band.native)})


@TERRAIN_FUNCTIONS.enter("Terrain.aspect")
def _aspect(call: Call) -> Image:
    """Azimuth downhill; masked on level ground. Belief: that it is masked, and not 0."""
    band = _only_band(call)

    def compute(grid: PixelGrid) -> Pixels:
        found = _gradient(band, grid)
        downhill = np.degrees(np.arctan2(-found.east, -found.north)) % 360
        return Pixels(downhill, found.mask & (np.hypot(found.east, found.north) > 0))

    return Image({"aspect": LatticeBand("float", compute, band.native)})


# Projections


@TERRAIN_FUNCTIONS.enter("Image.projection")
def _projection(call: Call) -> PixelGrid:
    natives = {band.native for band in call.image("image").bands.values()}
    if len(natives) != 1:
        raise EarthEngineError("Image.projection: The bands of the specified image contains different projections.")
    (native,) = natives
    return native or PixelGrid("EPSG:4326", Affine.identity(), 1, 1)  # Earth Engine's own default: 1 degree


@TERRAIN_FUNCTIONS.enter("Image.setDefaultProjection")
def _set_default_projection(call: Call) -> Image:
    image, native = call.image("image"), call.get("crs")
    if not isinstance(native, PixelGrid):
        raise EarthEngineError("stand-in: Image.setDefaultProjection is simulated with another image's projection")
    bands = {name: LatticeBand(band.precision, band.read, native) for name, band in image.bands.items()}
    return replace(image, bands=bands)


@dataclass(frozen=True, eq=False)
class LatticeBand:
    """A computed band on a lattice without end; interpolated, only the part around the pixels asked for is made."""

    precision: Precision
    compute: Callable[[PixelGrid], Pixels]
    native: PixelGrid | None
    mode: str = "nearest"

    def read(self, grid: PixelGrid) -> Pixels:
        if self.mode == "nearest" or self.native is None:
            return self.compute(grid)
        x, y = grid.centres()
        if grid.crs != self.native.crs:
            x, y = Transformer.from_crs(grid.crs, self.native.crs, always_xy=True).transform(x, y)
        cols, rows = apply(~self.native.transform, x, y)
        left, top = math.floor(cols.min()) - 3, math.floor(rows.min()) - 3
        width, height = math.ceil(cols.max()) + 3 - left, math.ceil(rows.max()) + 3 - top
        part = PixelGrid(self.native.crs, self.native.transform * Affine.translation(left, top), width, height)
        pixels = self.compute(part)
        return RasterBand(pixels.values, pixels.mask, part, self.precision).resampled(self.mode).read(grid)

    def resampled(self, mode: str) -> Band:
        if self.native is None:
            raise EarthEngineError(f"stand-in: Image.resample('{mode}') of an image without a pixel grid of its own")
        return replace(self, mode=mode)


# Angles, and what is true of both


def _of_each(operate: Callable[[FloatArray], FloatArray]) -> Function:
    def change(band: Band) -> Band:
        def compute(grid: PixelGrid) -> Pixels:
            pixels = band.read(grid)
            return Pixels(operate(pixels.values), pixels.mask)

        return LatticeBand("double", compute, band.native)

    return lambda call: replace(
        call.image("value"), bands={name: change(band) for name, band in call.image("value").bands.items()}
    )


OF_EACH: dict[str, Callable[[FloatArray], FloatArray]] = {
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "atan": np.arctan,
}

for _name, _operate in OF_EACH.items():
    TERRAIN_FUNCTIONS[f"Image.{_name}"] = _of_each(_operate)
