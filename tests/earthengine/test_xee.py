"""Xee, the reader of Earth Engine that others wrote, sees the same pixels in the stand-in as cohmap."""

from __future__ import annotations

import datetime as dt

import ee
import numpy as np
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox

from pipeline.passes import group
from tests.earthengine.conftest import StandIn, query
from tests.earthengine.images import sentinel1
from tests.earthengine.scenes import START, native_grid, speckle
from tests.earthengine.world import S1

pytest.importorskip("xee", reason="Xee isn't installed: `pip install -c constraints.txt -e '.[dev]'` brings it")

BANDS = ("VV", "VH")


def xee(window: GeoBox, names: list[str], bands: tuple[str, ...]) -> xr.Dataset:
    """The window, as Xee reads it: a band a request, masked pixels NaN."""
    height, width = window.shape
    images = ee.ImageCollection([ee.Image(f"{S1}/{name}").select(list(bands)) for name in names])
    return xr.open_dataset(
        images,
        engine="ee",
        crs=str(window.crs),
        crs_transform=tuple(window.affine)[:6],
        shape_2d=(width, height),
    ).load()


def test_xee_and_the_exporter_read_the_same_bits(standin: StandIn) -> None:
    days = (0, 12, 24)
    for day in days:
        bands = {
            band: speckle(native_grid(), seed=10 * day + i, hole=(slice(5, 9), slice(7 + i, 12)))
            for i, band in enumerate(BANDS)
        }
        standin.world.add([sentinel1(f"{S1}/P{day}", bands, START + dt.timedelta(days=day), data_take=day)])
    source = standin.source()
    items = group(source.search(query(bands=BANDS)))
    wide = native_grid(col=-4.3, row=-3.2, width=50, height=40)  # off the images' own pixels, beyond their edges
    window = GeoBox((40, 50), wide.transform, wide.crs)
    ours = source.read_many(items, window, BANDS)
    theirs = xee(window, [f"P{day}" for day in days], BANDS)
    assert [str(time)[:10] for time in theirs.time.values] == ["2021-11-19", "2021-12-01", "2021-12-13"]
    for i, band in enumerate(BANDS):
        read = theirs[band].transpose("time", "y", "x").to_numpy().astype(np.float32)
        assert np.isfinite(read).any()
        assert np.isnan(read).any()
        assert read.tobytes() == np.stack([block[i] for block in ours]).tobytes()
