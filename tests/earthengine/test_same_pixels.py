"""The same rasters through the archive and through Earth Engine are the same pixels, bit for bit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from shapely.geometry import box

from pipeline import config
from pipeline.passes import Pass, group
from pipeline.sources import Query, Source
from pipeline.sources.archive import ArchiveSource
from tests.earthengine.conftest import StandIn
from tests.earthengine.images import RasterBand
from tests.earthengine.scenes import START, native_grid, opera_images, speckle, write_geotiff

CALIFORNIA = Path(__file__).resolve().parents[2] / "../shared/data/s1-rtc-california-t137"
BANDS = ("VV", "VH")


def archive(folder: Path) -> ArchiveSource:
    settings = config.ArchiveSource.model_validate(
        {"kind": "archive", "path": str(folder), "layout": "opera-rtc", "direction": "ascending"}
    )
    return ArchiveSource(settings)


def passes(source: Source) -> list[Pass]:
    everywhere = Query(box(-125, 30, -110, 40), dt.date(2021, 1, 1), dt.date(2025, 12, 31), BANDS)
    return group(source.search(everywhere))


def assert_same(one: Source, other: Source, windows: list[GeoBox], turns: int = 1) -> int:
    """Compare every pass, each on one window in `turns`, by rotation; the number of valid pixels."""
    pairs = zip(passes(one), passes(other), strict=True)
    valid = 0
    for number, (first, second) in enumerate(pairs):
        assert (first.id, first.track, len(first.slices)) == (second.id, second.track, len(second.slices))
        for window in windows[number % turns :: turns]:
            expected, got = one.read(first, window, BANDS), other.read(second, window, BANDS)
            assert expected.tobytes() == got.tobytes(), f"{first.id} differs on {window.boundingbox}"
            valid += int(np.isfinite(expected).sum())
    return valid


def overlapping_bursts(folder: Path) -> None:
    """Two dates of two bursts that overlap by ten columns: each with a hole, the first with zeros for fill."""
    seed = 0
    for day in (0, 12):
        for number, (burst, col) in enumerate((("292319-IW2", 0), ("292320-IW2", 30))):
            start = START + dt.timedelta(days=day, seconds=3 * number)
            for band in BANDS:
                seed += 1
                raster = speckle(native_grid(col=col), seed, hole=(slice(8, 12), slice(28, 36)))
                values = raster.values.copy()
                values[20:, 35:] = 0
                name = f"OPERA_L2_RTC-S1_T137-{burst}_{start:%Y%m%dT%H%M%SZ}_20250101T000000Z_S1A_30_v1.0_{band}.tif"
                write_geotiff(folder / name, RasterBand(values, raster.mask, raster.native))


def test_overlapping_bursts_are_the_same_either_way(standin: StandIn, tmp_path: Path) -> None:
    folder = tmp_path / "rasters"
    overlapping_bursts(folder)
    standin.world.add(opera_images(folder.glob("*.tif")))
    grid = native_grid(col=-7, row=-9, width=90, height=50)
    whole = GeoBox((grid.height, grid.width), grid.transform, grid.crs)
    valid = assert_same(archive(folder), standin.source(), [whole, whole[10:30, 25:60]])
    assert valid > 10_000


def burst_windows(folder: Path) -> Iterator[GeoBox]:
    """Around every burst, a window on the grid that all bursts share, with a margin that holds no data."""
    for burst in sorted(folder.glob("T137-*")):
        with rasterio.open(next(iter(sorted(burst.rglob("*.tif"))))) as raster:
            yield GeoBox(raster.shape, raster.transform, raster.crs.to_string()).pad(14)


@pytest.mark.skipif(not CALIFORNIA.is_dir(), reason=f"real OPERA RTC-S1 stack not at {CALIFORNIA}")
def test_a_real_stack_is_the_same_either_way(standin: StandIn) -> None:
    standin.world.add(opera_images(CALIFORNIA.rglob("*.tif")))
    valid = assert_same(archive(CALIFORNIA), standin.source(), list(burst_windows(CALIFORNIA)), turns=3)
    assert valid > 0.9 * 21 * 2 * 100 * 100 * len(BANDS)
