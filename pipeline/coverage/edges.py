"""Outlines as edges in pixels, and where they cross the rows of a block: counting by lines instead of by pixels.

A pixel belongs to an outline if its centre lies inside, as GDAL's rasterisation has it. In each row the outline's edges
are crossed at certain columns; left of a pixel inside lies an odd number of them. So a row is known from its crossings,
however wide the outline is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from pipeline.region import Tile, crs_of

IntArray = npt.NDArray[np.int64]
DoubleArray = npt.NDArray[np.float64]

# Degrees between corners on long edges; straight in degrees, they bend on the grid: by half a metre over 5 km.
DENSE = 0.05


def outlines_on_grid(outlines: Sequence[BaseGeometry], grid: GeoBox) -> npt.NDArray[np.object_]:
    """Outlines in EPSG:4326 moved to the grid, in units of its pixels from the upper left corner."""
    to_grid = CRS("EPSG:4326").transformer_to_crs(crs_of(grid))
    to_pixels = ~grid.affine

    def move(points: DoubleArray) -> DoubleArray:
        x, y = to_grid(points[:, 0], points[:, 1])
        return np.column_stack(
            [to_pixels.a * x + to_pixels.b * y + to_pixels.c, to_pixels.d * x + to_pixels.e * y + to_pixels.f]
        )

    made: npt.NDArray[np.object_] = shapely.transform(shapely.segmentize(np.asarray(outlines, object), DENSE), move)
    return made


@dataclass(frozen=True)
class Crossings:
    """Where rows of a block are crossed, in any order.

    Attributes
    ----------
    place
        row * (width + 1) + column: from this pixel on one is inside, or outside again.
    who
        Which outline.
    whole
        Outlines that hold the whole block; nothing of theirs crosses it.
    """

    place: IntArray
    who: IntArray
    whole: IntArray


class Edges:
    """All edges of all outlines.

    Parameters
    ----------
    outlines
        Polygons in pixels, as `outlines_on_grid` gives them.
    """

    def __init__(self, outlines: npt.NDArray[np.object_]) -> None:
        parts, part_of = shapely.get_parts(outlines, return_index=True)
        is_area = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
        rings, ring_of = shapely.get_rings(parts[is_area], return_index=True)
        owner = part_of[is_area][ring_of]
        corners, corner_of = shapely.get_coordinates(rings, return_index=True)
        same = corner_of[1:] == corner_of[:-1]
        (x0, y0), (x1, y1) = corners[:-1][same].T, corners[1:][same].T
        who = owner[corner_of[1:][same]]
        downwards = y0 <= y1
        top, bottom = np.where(downwards, y0, y1), np.where(downwards, y1, y0)
        # rows whose centre lies between the ends: the upper one included, the lower one not
        first, stop = np.ceil(top - 0.5).astype(np.int64), np.ceil(bottom - 0.5).astype(np.int64)
        slanted = stop > first
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (x1 - x0) / (y1 - y0)
        self._first, self._stop = first[slanted], stop[slanted]
        self._slope = slope[slanted]
        self._start = (x0 + (0.5 - y0) * slope)[slanted]  # where the edge crosses the middle of row 0
        self._who: IntArray = np.asarray(who[slanted], np.int64)
        self._outlines = outlines
        self._bounds: DoubleArray = shapely.bounds(outlines)

    def crossings(self, block: Tile) -> Crossings:
        """What crosses the rows of a block; crossings left of it count at its first column."""
        west, north, east, south = self._bounds.T
        meets = (
            (west < block.cols.stop)
            & (east > block.cols.start)
            & (north < block.rows.stop)
            & (south > block.rows.start)
        )
        near = np.flatnonzero(meets)
        square = shapely.box(block.cols.start, block.rows.start, block.cols.stop, block.rows.stop)
        whole: IntArray = near[shapely.covers(self._outlines[near], square)]
        meets[whole] = False
        chosen = np.flatnonzero((self._first < block.rows.stop) & (self._stop > block.rows.start) & meets[self._who])
        first = np.maximum(self._first[chosen], block.rows.start)
        count = np.minimum(self._stop[chosen], block.rows.stop) - first
        edge = np.repeat(chosen, count)
        row = np.arange(edge.size) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
        x = self._start[edge] + row * self._slope[edge]
        width = block.shape[1]
        column = np.clip(np.ceil(x - 0.5) - block.cols.start, 0, width).astype(np.int64)
        place = (row - block.rows.start) * (width + 1) + column
        return Crossings(place, self._who[edge], whole)
