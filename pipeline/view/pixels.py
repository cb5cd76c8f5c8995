"""A place's values: of one product, and of every pair over time, from COGs or, where pairs have none, from cubes."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from odc.geo import CRS
from rasterio.errors import RasterioError
from rasterio.windows import Window

from pipeline.cube import open_cube
from pipeline.errors import CohmapError
from pipeline.products import Product
from pipeline.quicklook import open_map
from pipeline.storage import Folder

# Files read at once: reading is waiting for the disk or the network and unpacking, which leaves Python free.
_THREADS = 4


@dataclass(frozen=True)
class Observation:
    """What one pair says of a place.

    Attributes
    ----------
    coherence, sigma
        The coherence and its standard deviation; NaN where the pair has no data there.
    """

    track: str
    polarisation: str
    reference: dt.datetime
    secondary: dt.datetime
    days: int
    coherence: float
    sigma: float

    @property
    def has_data(self) -> bool:
        """Whether the pair has data there."""
        return math.isfinite(self.coherence)

    @property
    def middle(self) -> dt.datetime:
        """Halfway between the passes."""
        return self.reference + (self.secondary - self.reference) / 2


def values_at(folder: Folder, product: Product, x: float, y: float, crs: str) -> list[float]:
    """All bands of a product at a place, of the file's own pixels; NaN without data, empty off the map.

    Parameters
    ----------
    x, y
        The place, in units of `crs`.
    """
    address = folder.address(product.path)
    with open_map(address) as dataset:
        if dataset.crs is not None and dataset.crs != crs:
            x, y = CRS(crs).transformer_to_crs(CRS(dataset.crs.to_wkt()))(x, y)
        col, row = (math.floor(place) for place in ~dataset.transform @ (x, y))
        if not (0 <= col < dataset.width and 0 <= row < dataset.height):
            return []
        try:
            raw = dataset.read(window=Window(col, row, 1, 1), masked=True)[:, 0, 0]
        except RasterioError as error:
            raise CohmapError(f"{address} can't be read ({error}); delete it and give `cohmap run` again") from None
    return [float(value) for value in np.ma.filled(raw.astype(np.float64), np.nan)]


def series_at(
    folder: Folder, products: Sequence[Product], polarisation: str, x: float, y: float, crs: str
) -> Iterator[Observation]:
    """Every pair at a place, one after another as they are read, in no order; pairs without data there too.

    Raises
    ------
    CohmapError
        A file is gone or damaged.
    """
    pairs = [p for p in products if p.kind == "coherence" and p.polarisation == polarisation]
    if not pairs:
        yield from _from_cubes(folder, polarisation, x, y, crs)
        return

    def observe(product: Product) -> Observation:
        values = [*values_at(folder, product, x, y, crs), math.nan, math.nan]
        reference, secondary = map(dt.datetime.fromisoformat, (product.reference, product.secondary))
        return Observation(product.track, polarisation, reference, secondary, product.days, values[0], values[1])

    with ThreadPoolExecutor(_THREADS) as threads:
        yield from threads.map(observe, pairs)


def cube_polarisations(folder: Folder) -> list[str]:
    """Polarisations that the pairs' cubes hold."""
    found = {
        str(name).partition("_")[2].upper()
        for cube in _cubes(folder)
        for name in open_cube(folder, f"pairs/{cube}", "reference_time").data_vars
        if str(name).startswith("coherence_")
    }
    return sorted(found, reverse=True)


def _cubes(folder: Folder) -> list[str]:
    return [name for name in folder.names("pairs") if name.endswith(".zarr")]


def _from_cubes(folder: Folder, polarisation: str, x: float, y: float, crs: str) -> Iterator[Observation]:
    band = polarisation.lower()
    for name in _cubes(folder):
        cube = open_cube(folder, f"pairs/{name}", "reference_time")
        if f"coherence_{band}" not in cube:
            continue
        own = (x, y) if cube.rio.crs == crs else CRS(crs).transformer_to_crs(CRS(cube.rio.crs.to_wkt()))(x, y)
        here = cube.sel(x=own[0], y=own[1], method="nearest")
        half = abs(float(cube.x[1] - cube.x[0])) / 2
        if abs(float(here.x) - own[0]) > half or abs(float(here.y) - own[1]) > half:
            continue
        columns = [here[name].to_numpy() for name in ("reference_time", "secondary_time", "temporal_baseline")]
        columns += [here[f"{value}_{band}"].to_numpy() for value in ("coherence", "sigma")]
        for reference, secondary, days, coherence, sigma in zip(*columns, strict=True):
            yield Observation(
                name.removesuffix(".zarr"),
                polarisation,
                _moment(reference),
                _moment(secondary),
                int(days),
                float(coherence),
                float(sigma),
            )


def _moment(clock: np.datetime64) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(clock.astype("datetime64[s]").astype(np.int64)), dt.UTC)
