"""Earth Engine's functions of terrain, projections and angles, as far as the stand-in knows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from pyproj import Geod, Transformer

from tests.earthengine.errors import EarthEngineError
from tests.earthengine.graph import Call, Function, Table
from tests.earthengine.images import (
    Band,
    ComputedBand,
    FloatArray,
    Image,
    PixelGrid,
    Pixels,
)

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

    return Image({"slope": ComputedBand("float", compute, band.native)})


@TERRAIN_FUNCTIONS.enter("Terrain.aspect")
def _aspect(call: Call) -> Image:
    """Azimuth downhill; masked on level ground. Belief: that it is masked, and not 0."""
    band = _only_band(call)

    def compute(grid: PixelGrid) -> Pixels:
        found = _gradient(band, grid)
        downhill = np.degrees(np.arctan2(-found.east, -found.north)) % 360
        return Pixels(downhill, found.mask & (np.hypot(found.east, found.north) > 0))

    return Image({"aspect": ComputedBand("float", compute, band.native)})


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
    bands = {name: ComputedBand(band.precision, band.read, native) for name, band in image.bands.items()}
    return replace(image, bands=bands)


@TERRAIN_FUNCTIONS.enter("Projection")
def _make_projection(call: Call) -> PixelGrid:
    if call.get("transform") is not None:
        raise EarthEngineError("stand-in: Projection is simulated with a CRS alone")
    return PixelGrid(call.text("crs"), Affine.identity(), 1, 1)


# Where pixels are


def _place(crs: str) -> Callable[[PixelGrid], tuple[FloatArray, FloatArray]]:
    def centres(grid: PixelGrid) -> tuple[FloatArray, FloatArray]:
        x, y = grid.centres()
        return Transformer.from_crs(grid.crs, crs, always_xy=True).transform(x, y) if grid.crs != crs else (x, y)

    return centres


def _coordinates(native: PixelGrid, names: tuple[str, str]) -> Image:
    """Two bands: coordinates of pixel centres in the grid's CRS, in its own units."""
    where = _place(native.crs)

    def band(axis: int) -> Band:
        def compute(grid: PixelGrid) -> Pixels:
            values = where(grid)[axis]
            return Pixels(values, np.ones(values.shape, dtype=bool))

        return ComputedBand("double", compute, native)

    return Image({name: band(axis) for axis, name in enumerate(names)})


@TERRAIN_FUNCTIONS.enter("Image.pixelCoordinates")
def _pixel_coordinates(call: Call) -> Image:
    native = call.get("projection")
    if not isinstance(native, PixelGrid):
        raise call.mismatch("projection", "Projection", native)
    return _coordinates(native, ("x", "y"))


@TERRAIN_FUNCTIONS.enter("Image.pixelLonLat")
def _pixel_lon_lat(call: Call) -> Image:
    del call
    return _coordinates(PixelGrid("EPSG:4326", Affine.identity(), 1, 1), ("longitude", "latitude"))


# Angles, and what is true of both


def _of_each(operate: Callable[[FloatArray], FloatArray]) -> Function:
    def change(band: Band) -> Band:
        def compute(grid: PixelGrid) -> Pixels:
            pixels = band.read(grid)
            return Pixels(operate(pixels.values), pixels.mask)

        return ComputedBand("double", compute, band.native)

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
