"""From the radar's rows and columns to the map's: rotation, relief, misregistration, and the resampling that follows.

A product on a map is resampled from an image in radar geometry, by nearest neighbour or bilinear interpolation, on a
grid turned by the orbit's heading, and each date's radar grid begins at another fraction of a pixel. So pixels of two
dates lie up to half a pixel apart, in a pattern that changes over the image; slopes that face the radar are stretched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from models.simulate.fields import FloatArray, smooth_noise
from models.simulate.speckle import MARGIN

Resampling = Literal["none", "nearest", "bilinear"]
ORDERS: dict[Resampling, Literal[0, 1, 5]] = {"none": 5, "nearest": 0, "bilinear": 1}
"""Order of the spline. A product that wasn't resampled is moved by one so long that it costs nothing."""

STEEPEST_HEADING = np.deg2rad(15.0)
"""Greatest angle between the orbit and the map's north; the margin may allow less."""
STEEPEST = 0.6
"""Greatest relative stretch that relief causes."""


@dataclass(frozen=True)
class Placement:
    """Where the pixels of the map lie in radar geometry.

    Attributes
    ----------
    rows, cols
        float32, shape (height, width), in pixels of the radar image.
    shading
        Factor on the power, as slopes that face the radar send more back to a pixel; same shape.
    resampling
        How the products are resampled onto the map.
    angle
        By which the map is turned in the radar image, radians.
    window
        The map's rows and columns, where it is a piece of the radar image as it is.
    """

    rows: FloatArray
    cols: FloatArray
    shading: FloatArray
    resampling: Resampling
    angle: float = 0.0
    window: tuple[slice, slice] | None = None

    def moved(self, displacement: tuple[FloatArray, FloatArray] | None) -> Placement:
        """The same map with every pixel found this much further down and right in the radar image."""
        if displacement is None:
            return self
        return Placement(
            self.rows + displacement[0], self.cols + displacement[1], self.shading, self.resampling, self.angle
        )

    def on_map(self, rows: float, cols: float) -> tuple[float, float]:
        """A displacement in the radar image, in rows and columns of the map."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        return cosine * rows - sine * cols, sine * rows + cosine * cols

    def sample(self, image: FloatArray, *, as_product: bool = True, offset: tuple[float, float] = (0, 0)) -> FloatArray:
        """An image in radar geometry, seen on the map.

        Parameters
        ----------
        as_product
            True: a detected image, resampled as products are. False: truth, interpolated linearly.
        offset
            Rows and columns at which the image's first pixel lies.
        """
        if self.window is not None:
            return image[self.window].copy()
        order = ORDERS[self.resampling] if as_product else 1
        places = np.stack([self.rows - np.float32(offset[0]), self.cols - np.float32(offset[1])])
        sampled: FloatArray = ndimage.map_coordinates(image, places, None, order, mode="nearest")
        return np.maximum(sampled, np.float32(0.0)) if order > 1 else sampled


def place(rng: np.random.Generator, size: int, margin: int, resampling: Resampling, *, relief: bool) -> Placement:
    """Place a map of `size` pixels in a radar image of `size` + 2 `margin`; what it can't hold is left out.

    Parameters
    ----------
    relief
        Stretch and shade slopes along range.
    """
    middle = 0.5 * (size - 1)
    rows, cols = np.meshgrid(*[np.arange(size, dtype=np.float32) - np.float32(middle)] * 2, indexing="ij")
    shading = np.ones_like(rows)
    angle = 0.0
    if resampling != "none":
        # the corner of the turned square, and what resampling needs around it, must stay inside the radar image
        reach = (0.5 * size + margin - MARGIN) / (np.sqrt(0.5) * size)
        limit = float(np.arcsin(np.clip(reach, np.sqrt(0.5), 1.0)) - 0.25 * np.pi)
        angle = float(rng.uniform(-1.0, 1.0)) * min(STEEPEST_HEADING, limit)
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        rows, cols = cosine * rows + sine * cols, cosine * cols - sine * rows
    if relief:
        slope = smooth_noise(rng, (size, size), rng.uniform(4.0, 20.0)) * np.float32(rng.uniform(0.05, 0.35))
        slope = np.clip(slope, -STEEPEST, STEEPEST)
        stretch = np.cumsum(slope, axis=1)
        stretch -= ndimage.uniform_filter1d(stretch, 61, axis=1)
        cols = cols + np.clip(stretch, -6.0, 6.0)
        shading = (1.0 / (1.0 + slope)).astype(np.float32)
    shift = np.float32(middle + margin)
    whole = slice(margin, margin + size)
    window = None if relief or resampling != "none" else (whole, whole)
    return Placement(rows + shift, cols + shift, shading, resampling, angle, window)


def warp(rng: np.random.Generator, size: int, greatest: float) -> tuple[FloatArray, FloatArray]:
    """A smooth displacement field along rows and columns, `greatest` pixels long where it is longest."""
    fields = [smooth_noise(rng, (size, size), rng.uniform(25.0, 80.0)) for _ in range(2)]
    longest = float(np.hypot(*fields).max())
    down, right = (field * np.float32(greatest / longest) for field in fields)
    return down, right
