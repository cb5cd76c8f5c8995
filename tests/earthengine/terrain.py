"""Ground for the stand-in: elevation models as assets, and images whose incidence angle is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tests.earthengine.images import Image, PixelGrid, RasterBand, outline, sentinel1
from tests.earthengine.scenes import START, native_grid, speckle
from tests.earthengine.world import S1

Ground = Callable[[npt.NDArray[np.float64], npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""Elevation at easting and northing, counted in metres from the scenes' upper left corner."""

GROUND_GRID = native_grid(col=-60, row=-60, width=60, height=60, spacing=30.0)


def elevation(identifier: str, ground: Ground, band: str = "elevation", grid: PixelGrid = GROUND_GRID) -> Image:
    """An elevation model of 30 m pixels around the scenes."""
    x, y = grid.centres()
    values = np.asarray(ground(x - 500_000, y - 3_900_000), dtype=float)
    model = RasterBand(values, np.ones(values.shape, dtype=bool), grid)
    return Image({band: model}, {"system:time_start": 0}, outline(grid), identifier)


def slanted(
    name: str = "A",
    incidence: Ground = lambda x, y: 38.0 + x / 1000 + 0 * y,
    start: dt.datetime = START,
    direction: str = "ASCENDING",
    **properties: str,
) -> Image:
    """An image of speckle with an angle band of coarse pixels."""
    coarse = native_grid(col=-100, row=-100, width=6, height=6, spacing=500.0)
    x, y = coarse.centres()
    angle = np.asarray(incidence(x - 500_000, y - 3_900_000), dtype=float)
    bands = {
        "VV": speckle(native_grid(), sum(map(ord, name))),
        "VH": speckle(native_grid(), 7 + sum(map(ord, name))),
        "angle": RasterBand(angle, np.ones(angle.shape, dtype=bool), coarse),
    }
    made = sentinel1(f"{S1}/{name}", bands, start, direction=direction)
    return Image(made.bands, {**made.properties, **properties}, made.footprint, made.id)
