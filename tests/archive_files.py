"""A small archive of GeoTIFFs named as OPERA names them, for end-to-end tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

from tests.fakes import FIRST, SpeckleSource, make_region

REGION = make_region()


def write_archive(folder: Path, days: Iterable[int] = (0, 12, 24, 36, 48), bands: Iterable[str] = ("VV",)) -> Path:
    """One 128 x 128 file a date and band, linear power, on the small region's own grid."""
    source = SpeckleSource(REGION)
    for day in days:
        start = FIRST + dt.timedelta(days=day)
        for band in bands:
            pixels = _speckle(source, start, band)
            write_tif(folder / opera_name(start, band), pixels)
    return folder


def opera_name(start: dt.datetime, band: str) -> str:
    """E.g. ``OPERA_L2_RTC-S1_T015-031234-IW2_20230104T171412Z_20230109T000000Z_S1A_30_v1.0_VV.tif``."""
    made = start + dt.timedelta(days=1)
    return f"OPERA_L2_RTC-S1_T015-031234-IW2_{start:%Y%m%dT%H%M%SZ}_{made:%Y%m%dT%H%M%SZ}_S1A_30_v1.0_{band}.tif"


def write_tif(path: Path, pixels: Any, **profile: Any) -> None:
    """A float32 GeoTIFF on the small region's grid."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = REGION.grid.affine
    settings = {
        "driver": "GTiff",
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "count": 1,
        "dtype": "float32",
        "crs": "EPSG:32632",
        "transform": from_origin(affine.c, affine.f, 10, 10),
        "nodata": np.nan,
    }
    with rasterio.open(path, "w", **(settings | profile)) as dataset:
        dataset.write(pixels.astype(np.float32), 1)


def _speckle(source: SpeckleSource, start: dt.datetime, band: str) -> Any:
    from pipeline.passes import group
    from pipeline.sources import Query

    query = Query(REGION.area, None, None, (band,))
    day = (start - FIRST).days
    item = group(SpeckleSource(REGION, days=(day,)).search(query))[0]
    return source.read(item, REGION.grid, (band,))[0]


def region_file(path: Path, archive: Path, **tables: str) -> Path:
    """A region file over the small archive; `tables` are extra TOML tables by name, e.g. ``pairs='mode = "chain"'``."""
    west, south, east, north = REGION.area.bounds
    text = {
        "area": f"bbox = [{west}, {south}, {east}, {north}]",
        "grid": 'crs = "EPSG:32632"\ntile = 64',
        "source": f'kind = "archive"\npath = "{archive}"\nlayout = "opera-rtc"',
        "estimator": 'name = "log-correlation"\ncoregister = false',
    } | tables
    body = "\n".join(f"[{name}]\n{content}\n" for name, content in text.items() if content)
    path.write_text(f'name = "small"\n{body}')
    return path
