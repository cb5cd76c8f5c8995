"""The functions that the client wraps around an image to export it on an exact grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from affine import Affine

from tests.earthengine.errors import EarthEngineError
from tests.earthengine.graph import Call, Table
from tests.earthengine.images import Band, Image, PixelGrid, Pixels, Precision, apply

EXPORT_FUNCTIONS = Table()


@dataclass(frozen=True, eq=False)
class PlacedBand:
    """A band that is computed on one lattice; asked for another, it gives the nearest of its own pixels.

    The part of it that is asked for may lie anywhere on the lattice: what lies outside is computed too.
    """

    inner: Band
    native: PixelGrid

    @property
    def precision(self) -> Precision:
        return self.inner.precision

    def read(self, grid: PixelGrid) -> Pixels:
        if grid.crs != self.native.crs or grid.transform.a != self.native.transform.a:
            raise EarthEngineError("stand-in: pixels of a reprojected image on another lattice are not simulated")
        cols, rows = apply(~self.native.transform, np.array(grid.transform.c), np.array(grid.transform.f))
        if abs(cols - np.round(cols)) > 1e-6 or abs(rows - np.round(rows)) > 1e-6:
            raise EarthEngineError("stand-in: pixels of a reprojected image on another lattice are not simulated")
        return self.inner.read(grid)

    def resampled(self, mode: str) -> Band:
        raise EarthEngineError(f"stand-in: Image.resample('{mode}') after Image.reproject is not simulated")


@dataclass(frozen=True)
class Rectangle:
    """Corners in the pixels of a projection."""

    left: float
    top: float
    right: float
    bottom: float
    projection: PixelGrid


@EXPORT_FUNCTIONS.enter("Image.reproject")
def _reproject(call: Call) -> Image:
    image, crs = call.image("image"), call.get("crs")
    if not isinstance(crs, PixelGrid):
        raise call.mismatch("crs", "Projection", crs)
    transform = Affine(*call.sequence("crsTransform"))
    lattice = PixelGrid(crs.crs, transform, 1, 1)
    return replace(image, bands={name: PlacedBand(band, lattice) for name, band in image.bands.items()})


@EXPORT_FUNCTIONS.enter("Projection")
def _projection(call: Call) -> PixelGrid:
    return PixelGrid(call.text("crs"), Affine.identity(), 1, 1)


@EXPORT_FUNCTIONS.enter("GeometryConstructors.Rectangle")
def _rectangle(call: Call) -> Rectangle:
    projection = call.get("crs")
    if not isinstance(projection, PixelGrid):
        raise EarthEngineError("stand-in: GeometryConstructors.Rectangle is simulated in a projection's pixels only")
    left, top, right, bottom = call.sequence("coordinates")
    return Rectangle(left, top, right, bottom, projection)


@EXPORT_FUNCTIONS.enter("Image.clipToBoundsAndScale")
def _clip(call: Call) -> Image:
    image, bounds = call.image("input"), call.get("geometry")
    if not isinstance(bounds, Rectangle) or any(
        call.get(name) for name in ("width", "height", "maxDimension", "scale")
    ):
        raise EarthEngineError("stand-in: Image.clipToBoundsAndScale is simulated for a rectangle of pixels only")
    natives = {band.native for band in image.bands.values()}
    if natives != {bounds.projection} or (bounds.left, bounds.top) != (0, 0):
        raise EarthEngineError("stand-in: Image.clipToBoundsAndScale is simulated for the image's own pixels only")
    place = replace(bounds.projection, width=round(bounds.right), height=round(bounds.bottom))
    return replace(image, bands={name: PlacedBand(band, place) for name, band in image.bands.items()})
