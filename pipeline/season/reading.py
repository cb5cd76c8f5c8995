"""Windows of the products that a season's later steps are made from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from pipeline.cube import FloatArray
from pipeline.products import Product
from pipeline.quicklook import open_map
from pipeline.region import Tile
from pipeline.storage import Folder


def read_window(folder: Folder, product: Product, rows: slice, cols: slice) -> FloatArray:
    """All bands of a product in a window of the grid: shape (bands, height, width), NaN where there is no data."""
    window = Window(cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start)
    with open_map(folder.address(product.path)) as dataset:
        values: npt.NDArray[np.float32] = dataset.read(window=window)
    return values


def read_tile(folder: Folder, product: Product, tile: Tile) -> FloatArray:
    """The same for a tile."""
    return read_window(folder, product, tile.rows, tile.cols)
