"""Close-ups: small windows at full resolution, for regions so large or sparse that their maps are decimated much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
from affine import Affine
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from rasterio.windows import Window
from scipy import ndimage

from pipeline.figures import degrees_text
from pipeline.mosaic import Maps
from pipeline.plates import Plate
from pipeline.products import Product
from pipeline.quicklook import COHERENCE, LONGEST, MapImage, thumbnail
from pipeline.region import Tile
from pipeline.sampling import spread_out

# Decimated more than this, a map no longer shows what its pixels are like.
COARSE = 2.5
MOST_SPOTS, MOST_MAPS = 6, 8
# Pixels a side of a close-up.
SIDE = 192


@dataclass(frozen=True)
class Spot:
    """A window at full resolution, through several maps.

    Attributes
    ----------
    where
        Its middle, in degrees.
    metres
        Its width on the ground.
    columns
        How many pictures make a row: those of one polarisation.
    """

    where: str
    metres: float
    columns: int
    plates: tuple[Plate, ...]


@dataclass(frozen=True)
class CloseUps:
    """The close-ups of a region.

    Attributes
    ----------
    is_all
        Whether they show every pixel that has data, as they do where a region holds a few small islands of it.
    """

    spots: tuple[Spot, ...]
    is_all: bool


def close_ups(maps: Maps, products: Sequence[Product]) -> CloseUps:
    """Windows at full resolution through the given coherence maps; none where the maps are fine enough as they are."""
    shown = sorted(products[:MOST_MAPS], key=lambda product: _order(maps, product))
    if not shown or max(maps.region.grid.shape) / LONGEST <= COARSE:
        return CloseUps((), is_all=False)
    windows, is_all = _windows(maps, shown[0])
    spots = []
    for window in windows:
        images = [_read(maps.folder.address(product.path), window) for product in shown]
        data = _data_window(images)
        if data is not None:
            spots.append(_spot(images, data, shown))
    return CloseUps(tuple(spots), is_all)


def _windows(maps: Maps, product: Product) -> tuple[list[tuple[slice, slice]], bool]:
    """Where to look: at each island of tiles with data, and at several places of an island too large for one look."""
    keys = set(product.pairs)
    tiles = maps.tiles([pair for pair in maps.pairs if f"{pair.track}/{pair.id}" in keys])
    found: list[tuple[slice, slice]] = []
    islands = _islands(tiles)
    is_all = len(islands) <= MOST_SPOTS
    for island in islands[:MOST_SPOTS]:
        rows, cols = _around(island)
        if max(rows.stop - rows.start, cols.stop - cols.start) <= 2 * SIDE:
            found.append((rows, cols))
        else:
            is_all = False
            share = max(MOST_SPOTS // len(islands), 1)
            found += [(tile.rows, tile.cols) for tile in spread_out(island, share)]
    return found[:MOST_SPOTS], is_all


def _islands(tiles: Sequence[Tile]) -> list[list[Tile]]:
    """Groups of tiles that touch each other, corners included, from north to south."""
    if not tiles:
        return []
    taken = np.zeros((max(tile.row for tile in tiles) + 1, max(tile.col for tile in tiles) + 1), dtype=bool)
    for tile in tiles:
        taken[tile.row, tile.col] = True
    labels, number = ndimage.label(taken, structure=np.ones((3, 3)))
    return [[tile for tile in tiles if labels[tile.row, tile.col] == index + 1] for index in range(number)]


def _around(tiles: Sequence[Tile]) -> tuple[slice, slice]:
    return (
        slice(min(tile.rows.start for tile in tiles), max(tile.rows.stop for tile in tiles)),
        slice(min(tile.cols.start for tile in tiles), max(tile.cols.stop for tile in tiles)),
    )


def _read(address: str, window: tuple[slice, slice]) -> MapImage:
    rows, cols = window
    place = Window(cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start)
    with rasterio.open(address) as dataset:
        values = np.asarray(dataset.read(1, window=place), dtype=np.float32)
        to_grid, crs = dataset.transform, CRS(dataset.crs.to_wkt())
    left, top = to_grid.c + to_grid.a * cols.start, to_grid.f + to_grid.e * rows.start
    return MapImage(values, GeoBox(values.shape, Affine(to_grid.a, 0.0, left, 0.0, to_grid.e, top), crs), 1.0)


def _data_window(images: Sequence[MapImage]) -> tuple[slice, slice] | None:
    """The part with data of any of the images, no larger than `SIDE`; None where there is none."""
    rows, cols = np.nonzero(np.any([np.isfinite(image.values) for image in images], axis=0))
    if rows.size == 0:
        return None
    return _middle(int(rows.min()), int(rows.max()) + 1), _middle(int(cols.min()), int(cols.max()) + 1)


def _middle(start: int, stop: int) -> slice:
    excess = max(stop - start - SIDE, 0)
    return slice(start + excess // 2, stop - (excess - excess // 2))


def _spot(images: Sequence[MapImage], data: tuple[slice, slice], products: Sequence[Product]) -> Spot:
    rows, cols = data
    where = degrees_text(*images[0].place((rows.start + rows.stop) / 2, (cols.start + cols.stop) / 2))
    plates = []
    for image, product in zip(images, products, strict=True):
        values = image.values[data]
        picture = thumbnail(MapImage(values, image.grid, 1.0), COHERENCE)
        caption = f"{product.polarisation}, {product.days} days"
        plates.append(Plate(picture, f"{product.title}, around {where}", caption, product.path))
    columns = sum(product.polarisation == products[0].polarisation for product in products)
    return Spot(where, (cols.stop - cols.start) * abs(images[0].grid.affine.a), columns, tuple(plates))


def _order(maps: Maps, product: Product) -> tuple[int, str, int]:
    """Polarisation first: a row of pictures then shows how coherence falls with the baseline."""
    bands = [str(band) for band in maps.region.config.passes.polarisations]
    return bands.index(product.polarisation), product.track, product.days
