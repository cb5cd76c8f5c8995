"""How much a track counts near the edge of what it covers: nothing at the edge, fully some way inside.

The distance to the edge is taken on a coarse picture of the coverage and interpolated, so that memory stays bounded
whatever the region's size. The region's own edge is none: beyond it the track goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from scipy import ndimage

from pipeline.products import Product
from pipeline.quicklook import read_cog
from pipeline.season.products import LEVEL_BANDS
from pipeline.storage import Folder

DoubleArray = npt.NDArray[np.float64]

# Longer side in pixels of the picture on which distances are taken.
LONGEST = 1024
# Weight at the very edge: where no other track has data, this one alone still counts.
LEAST = 1e-3


@dataclass(frozen=True, eq=False)
class Feather:
    """Weights of one track: a coarse picture, and how many pixels one of its cells stands for along each side."""

    coarse: DoubleArray
    step: tuple[float, float]

    def weights(self, rows: slice, cols: slice) -> DoubleArray:
        """Weights in a window of the grid, in [LEAST, 1], interpolated between the cells' middles."""
        places = (
            (np.arange(part.start, part.stop) + 0.5) / step - 0.5
            for part, step in zip((rows, cols), self.step, strict=True)
        )
        grid = np.meshgrid(*places, indexing="ij")
        return np.asarray(ndimage.map_coordinates(self.coarse, grid, order=1, mode="nearest"), np.float64)


def open_feather(folder: Folder, product: Product, grid: GeoBox, metres: float) -> Feather:
    """The weights of a track's product, rising from its edge over so many metres; 0 metres: the same everywhere."""
    count = [band.name for band in LEVEL_BANDS].index("count") + 1
    picture = read_cog(folder.address(product.path), band=count, longest=LONGEST)
    there = np.nan_to_num(picture.values) > 0
    step = (grid.shape[0] / there.shape[0], grid.shape[1] / there.shape[1])
    return Feather(ramp(there, step[0] * abs(grid.affine.e), metres), step)


def ramp(there: npt.NDArray[np.bool_], cell: float, metres: float) -> DoubleArray:
    """Weight of each cell of a coverage, from `LEAST` at its edge to 1 so many metres inside."""
    if metres <= 0 or there.all() or not there.any():
        return np.ones(there.shape)
    distance = ndimage.distance_transform_edt(there)
    return np.asarray(np.clip((distance - 0.5) * cell / metres, LEAST, 1.0), np.float64)
