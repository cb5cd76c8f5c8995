"""Close-ups: small windows at full resolution, for regions so large or sparse that their maps are decimated much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from affine import Affine
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from rasterio.windows import Window
from scipy import ndimage

from pipeline.figures import degrees_text
from pipeline.mosaic import Maps
from pipeline.plates import Plate
from pipeline.products import Product
from pipeline.quicklook import COHERENCE, LONGEST, MapImage, open_map, thumbnail
from pipeline.region import Tile
from pipeline.sampling import spread_out

# Decimated more than this, a map no longer shows what its pixels are like.
COARSE = 2.5
MOST_SPOTS, MOST_MAPS = 6, 8
# Pixels a side of a close-up, and of the window in which data are looked for.
SIDE, LOOK = 192, 1024


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
    keys = set(shown[0].pairs)
    islands = _islands(maps.tiles([pair for pair in maps.pairs if f"{pair.track}/{pair.id}" in keys]))
    spots, is_all = [], len(islands) <= MOST_SPOTS
    for window in _windows(islands)[:MOST_SPOTS]:
        images = [_read(maps.folder.address(product.path), window) for product in shown]
        data = _data_window(images)
        if data is not None:
            cut = _middle(data[0]), _middle(data[1])
            is_all = is_all and cut == data
            spots.append(_spot(images, cut, shown))
    return CloseUps(tuple(spots), is_all and bool(spots))


def _windows(islands: Sequence[Sequence[Tile]]) -> list[tuple[slice, slice]]:
    """Where to look: at each island of tiles with data, and at several places of one too large for one look."""
    found: list[tuple[slice, slice]] = []
    for island in islands:
        rows, cols = _around(island)
        if max(rows.stop - rows.start, cols.stop - cols.start) <= LOOK:
            found.append((rows, cols))
        else:
            share = max(MOST_SPOTS // len(islands), 2)
            found += [(tile.rows, tile.cols) for tile in spread_out(list(island), share)]
    return found


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
    with open_map(address) as dataset:
        values = np.asarray(dataset.read(1, window=place), dtype=np.float32)
        to_grid, crs = dataset.transform, CRS(dataset.crs.to_wkt())
    left, top = to_grid.c + to_grid.a * cols.start, to_grid.f + to_grid.e * rows.start
    return MapImage(values, GeoBox(values.shape, Affine(to_grid.a, 0.0, left, 0.0, to_grid.e, top), crs), 1)


def _data_window(images: Sequence[MapImage]) -> tuple[slice, slice] | None:
    """The part in which any of the images has data; None where there is none."""
    rows, cols = np.nonzero(np.any([np.isfinite(image.values) for image in images], axis=0))
    if rows.size == 0:
        return None
    return slice(int(rows.min()), int(rows.max()) + 1), slice(int(cols.min()), int(cols.max()) + 1)


def _middle(whole: slice) -> slice:
    """The middle `SIDE` pixels."""
    excess = max(whole.stop - whole.start - SIDE, 0)
    return slice(whole.start + excess // 2, whole.stop - (excess - excess // 2))


def _spot(images: Sequence[MapImage], data: tuple[slice, slice], products: Sequence[Product]) -> Spot:
    rows, cols = data
    where = degrees_text(*images[0].place((rows.start + rows.stop) / 2, (cols.start + cols.stop) / 2))
    plates = []
    for image, product in zip(images, products, strict=True):
        values = image.values[data]
        picture = thumbnail(MapImage(values, image.grid, 1), COHERENCE)
        caption = f"{product.polarisation}, {product.days} days"
        plates.append(Plate(picture, f"{product.title}, around {where}", caption, product.path))
    columns = sum(product.polarisation == products[0].polarisation for product in products)
    return Spot(where, (cols.stop - cols.start) * abs(images[0].grid.affine.a), columns, tuple(plates))


def _order(maps: Maps, product: Product) -> tuple[int, str, int]:
    """Polarisation first: a row of pictures then shows how coherence falls with the baseline."""
    bands = [str(band) for band in maps.region.config.passes.polarisations]
    return bands.index(product.polarisation), product.track, product.days
