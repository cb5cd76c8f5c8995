"""What a screen shows of a COG: the window in view, read from the overview that has about the screen's pixels."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from pipeline.cube import FloatArray
from pipeline.quicklook import open_map
from pipeline.storage import Folder
from pipeline.view.layers import Layer

# What is read beyond each edge of the view, as a share of its side: a short pan shows no blank edge.
MARGIN = 0.15
# A pixel of the picture may be so much larger than one of the screen before the next finer overview is taken.
COARSEST = 1.25


@dataclass(frozen=True)
class Frame:
    """A rectangle in map units."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        """Extent from left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Extent from bottom to top."""
        return self.top - self.bottom

    def grown(self, share: float) -> Frame:
        """The frame with a margin around it."""
        wide, tall = self.width * share, self.height * share
        return Frame(self.left - wide, self.bottom - tall, self.right + wide, self.top + tall)


@dataclass(frozen=True)
class Picture:
    """Pixels that lie in a frame.

    Attributes
    ----------
    values
        Shape (height, width), float32, the first row northernmost, NaN where there is no data.
    frame
        Exactly what `values` covers.
    step
        How many pixels of the file one value stands for, along each side.
    """

    values: FloatArray
    frame: Frame
    step: int

    def at(self, x: float, y: float) -> float:
        """The value at a place; NaN outside the picture or where there is no data."""
        height, width = self.values.shape
        if not height or not width:
            return math.nan
        col = math.floor((x - self.frame.left) / self.frame.width * width)
        row = math.floor((self.frame.top - y) / self.frame.height * height)
        return float(self.values[row, col]) if 0 <= row < height and 0 <= col < width else math.nan


@contextlib.contextmanager
def open_layer(folder: Folder, layer: Layer, crs: str) -> Iterator[Any]:
    """A layer's file as an open dataset in the view's CRS; reprojected as it is read where its own is another.

    Raises
    ------
    CohmapError
        The file is gone or damaged.
    """
    with open_map(folder.address(layer.product.path)) as dataset:
        if dataset.crs is None or dataset.crs == crs:
            yield dataset
        else:
            with WarpedVRT(dataset, crs=crs, resampling=Resampling.nearest) as warped:
                yield warped


def read_frame(dataset: Any, band: int, frame: Frame, pixels: tuple[int, int]) -> Picture:
    """The part of a band that lies in a frame and around it.

    Parameters
    ----------
    pixels
        Width and height in screen pixels that the frame is shown in.

    Returns
    -------
    picture
        Empty (0 x 0) where the frame lies off the map.
    """
    to_grid = dataset.transform
    finest = max(frame.width / pixels[0] / to_grid.a, frame.height / pixels[1] / -to_grid.e)
    step = 2 ** max(math.ceil(math.log2(max(finest / COARSEST, 1))), 0)
    wide = frame.grown(MARGIN)
    # whole blocks of `step` pixels, so that a value is an overview's own and not a mixture of two
    first_col = max(math.floor((wide.left - to_grid.c) / to_grid.a / step), 0) * step
    first_row = max(math.floor((wide.top - to_grid.f) / to_grid.e / step), 0) * step
    last_col = min(math.ceil((wide.right - to_grid.c) / to_grid.a / step) * step, dataset.width)
    last_row = min(math.ceil((wide.bottom - to_grid.f) / to_grid.e / step) * step, dataset.height)
    if last_col <= first_col or last_row <= first_row:
        return Picture(np.empty((0, 0), dtype=np.float32), frame, step)
    window = Window(first_col, first_row, last_col - first_col, last_row - first_row)
    shape = (math.ceil(window.height / step), math.ceil(window.width / step))
    classes = np.issubdtype(np.dtype(dataset.dtypes[band - 1]), np.integer)
    rule = Resampling.mode if classes else Resampling.average
    raw = dataset.read(band, window=window, out_shape=shape, resampling=rule, masked=True)
    values = np.asarray(np.ma.filled(raw.astype(np.float32), np.nan), dtype=np.float32)
    left, top = to_grid @ (first_col, first_row)
    right, bottom = to_grid @ (last_col, last_row)
    return Picture(values, Frame(left, bottom, right, top), step)
