"""Small scenes for the stand-in: speckle on a native grid, and OPERA's files as images."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from tests.earthengine.images import Band, Image, PixelGrid, RasterBand, raster_band, sentinel1
from tests.earthengine.world import S1

CRS = "EPSG:32611"
START = dt.datetime(2021, 11, 19, 1, 59, 4, tzinfo=dt.UTC)

OPERA_NAME = re.compile(
    r"OPERA_L2_RTC-S1_T(?P<track>\d{3})-(?P<burst>\d{6})-(?P<swath>IW\d)_(?P<start>\d{8}T\d{6})Z_\w+Z_"
    r"S1(?P<platform>\w)_30_v1.0_(?P<band>VV|VH).tif"
)


def native_grid(col: float = 0, row: float = 0, width: int = 40, height: int = 30, spacing: float = 10.0) -> PixelGrid:
    """A grid whose upper left corner lies that many pixels of 10 m east and south of (500 km, 3900 km)."""
    corner = Affine(spacing, 0, 500_000 + 10 * col, 0, -spacing, 3_900_000 - 10 * row)
    return PixelGrid(CRS, corner, width, height)


def speckle(grid: PixelGrid, seed: int, hole: tuple[slice, slice] | None = None) -> RasterBand:
    """Linear power with speckle of four looks, as float32 holds it; masked in the hole."""
    shape = (grid.height, grid.width)
    values = np.random.default_rng(seed).gamma(4, 0.025, shape).astype(np.float32).astype(float)
    mask = np.ones(shape, dtype=bool)
    if hole is not None:
        mask[hole] = False
    return RasterBand(values, mask, grid)


def image(
    name: str,
    start: dt.datetime = START,
    grid: PixelGrid | None = None,
    bands: Iterable[str] = ("VV", "VH", "angle"),
    *,
    platform: str = "A",
    data_take: int = 1,
    mode: str = "IW",
) -> Image:
    """An image of speckle in the Sentinel-1 collection; every name has its own speckle."""
    grid = grid or native_grid()
    layers: dict[str, Band] = {band: speckle(grid, sum(map(ord, f"{name}{band}"))) for band in bands}
    return sentinel1(f"{S1}/{name}", layers, start, platform=platform, data_take=data_take, mode=mode)


def write_geotiff(path: Path, band: RasterBand) -> None:
    """The band as a float32 GeoTIFF, NaN where masked."""
    values = np.where(band.mask, band.values, np.nan).astype(np.float32)
    grid = band.native
    profile = {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "count": 1,
        "dtype": "float32",
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": np.nan,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(values, 1)


def opera_images(files: Iterable[Path]) -> list[Image]:
    """OPERA RTC-S1 files as images of the Sentinel-1 collection: one a burst and date, both polarisations in it."""
    bands: dict[tuple[str, ...], dict[str, Band]] = defaultdict(dict)
    for path in sorted(files):
        name = OPERA_NAME.fullmatch(path.name)
        if name is not None:
            key = (name["start"], name["burst"], name["swath"], name["track"], name["platform"])
            bands[key][name["band"]] = raster_band(path)
    return [
        sentinel1(
            f"{S1}/S1{platform}_{start}_{burst}_{swath}",
            layers,
            dt.datetime.strptime(f"{start}Z", "%Y%m%dT%H%M%S%z"),
            platform=platform,
            relative_orbit=int(track),
            data_take=int(start[:8]),
        )
        for (start, burst, swath, track, platform), layers in bands.items()
    ]
