from __future__ import annotations

import datetime as dt
import pickle
from typing import Any

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry import box

from pipeline import config
from pipeline.errors import CohmapError
from pipeline.passes import Pair, Pass, group
from pipeline.region import Region
from pipeline.sources import Query
from pipeline.sources.simulated import TRACK, SimulatedSource
from pipeline.truth import KnowsTruth
from tests.fakes import make_region

START = dt.datetime(2023, 1, 8, 17, 14, tzinfo=dt.UTC)


def make_source(region: Region, **given: Any) -> SimulatedSource:
    """Four passes 12 days apart, the event between the second and the third."""
    settings = {"kind": "simulated", "passes": 4, "event_after_pass": 2, **given}
    return SimulatedSource(config.SimulatedSource.model_validate(settings), region.grid, START)


def all_passes(region: Region, source: SimulatedSource) -> list[Pass]:
    return group(source.search(Query(region.area, None, None, ("VV", "VH", "angle"))))


def pair_of(one: Pass, two: Pass) -> Pair:
    return Pair(TRACK, one.id, two.id, one.start, two.start)


@pytest.fixture(scope="module")
def region() -> Region:
    """256 x 256 pixels of 10 m."""
    return make_region(area={"bbox": [11.0505, 48.0020, 11.0735, 48.0190]}, grid={"crs": "EPSG:32632", "tile": 128})


@pytest.fixture(scope="module")
def source(region: Region) -> SimulatedSource:
    return make_source(region)


@pytest.fixture(scope="module")
def passes(region: Region, source: SimulatedSource) -> list[Pass]:
    return all_passes(region, source)


def test_passes_follow_each_other_on_one_track(source: SimulatedSource, passes: list[Pass]) -> None:
    assert [item.start - START for item in passes] == [dt.timedelta(days=days) for days in (0, 12, 24, 36)]
    assert {str(item.track) for item in passes} == {"ascending-015"}
    assert passes[0].id == "S1A_20230108T171400"
    assert passes[0].bands == ("VH", "VV", "angle")
    assert isinstance(source, KnowsTruth)


def test_the_time_span_counts_both_its_days(region: Region, source: SimulatedSource) -> None:
    query = Query(region.area, dt.date(2023, 1, 20), dt.date(2023, 2, 1), ("VV",))
    assert [piece.start.day for piece in source.search(query)] == [20, 1]
    late = Query(region.area, dt.date(2024, 1, 1), None, ("VV",))
    assert source.search(late) == []


def test_the_footprint_holds_the_grid(region: Region, source: SimulatedSource, passes: list[Pass]) -> None:
    assert passes[0].footprint.contains(region.area)
    elsewhere = Query(box(20, 10, 21, 11), None, None, ("VV",))
    assert source.search(elsewhere) == []


def test_overlapping_windows_agree_bit_for_bit(region: Region, source: SimulatedSource, passes: list[Pass]) -> None:
    whole = source.read(passes[2], region.grid[:150, 20:200], ("VH", "VV"))
    assert whole.shape == (2, 150, 180)
    assert whole.dtype == np.float32
    part = make_source(region).read(passes[2], region.grid[100:120, 30:90], ("VV",))
    np.testing.assert_array_equal(part[0], whole[1, 100:120, 10:70])
    truth = source.true_coherence(pair_of(passes[0], passes[1]), "VV", region.grid)
    tile = source.true_coherence(pair_of(passes[0], passes[1]), "VV", region.window(region.tiles[-1]))
    assert truth.dtype == np.float32
    np.testing.assert_array_equal(tile, truth[region.tiles[-1].rows, region.tiles[-1].cols])


def test_another_process_reads_the_same_pixels(region: Region, source: SimulatedSource, passes: list[Pass]) -> None:
    again = pickle.loads(pickle.dumps(source))  # noqa: S301  # our own bytes
    window = region.grid[3:20, 60:100]
    np.testing.assert_array_equal(again.read(passes[1], window, ("VV",)), source.read(passes[1], window, ("VV",)))
    assert again.event_date == source.event_date


def test_the_incidence_angle_grows_away_from_the_track(
    region: Region, source: SimulatedSource, passes: list[Pass]
) -> None:
    vv, angle = source.read(passes[0], region.grid, ("VV", "angle"))
    assert angle.mean() == pytest.approx(39.0, abs=0.1)
    assert (np.diff(angle, axis=1) > 0).all()
    assert vv.shape == angle.shape


def test_the_event_lies_between_its_passes_and_lowers_the_truth(
    region: Region, source: SimulatedSource, passes: list[Pass]
) -> None:
    assert source.event_date is not None
    assert passes[1].start.date() < source.event_date <= passes[2].start.date()
    struck = source.event_mask(region.grid)
    assert struck.shape == (256, 256)
    assert 0.01 < struck.mean() < 0.5
    before, across = (
        source.true_coherence(pair_of(passes[first], passes[first + 1]), "VV", region.grid) for first in (0, 1)
    )
    assert across[struck].mean() < 0.2
    assert before[struck].mean() > 0.5
    assert abs(float((across - before)[~struck].mean())) < 0.05


@pytest.mark.parametrize("after", [0, 4, 9])
def test_an_event_that_no_two_passes_see_is_none(region: Region, after: int) -> None:
    quiet = make_source(region, event_after_pass=after)
    assert quiet.event_date is None
    assert not quiet.event_mask(region.grid[:20, :20]).any()


def test_one_pass_is_enough_to_read(region: Region) -> None:
    lonely = make_source(region, passes=1)
    (only,) = all_passes(region, lonely)
    assert np.isfinite(lonely.read(only, region.grid[:10, :10], ("VV",))).all()


def test_a_coarser_region_is_simulated_as_terrain_corrected_product() -> None:
    region = make_region(
        grid={"crs": "EPSG:32632", "tile": 64, "spacing": 30.0}, area={"bbox": [11.05, 48.00, 11.06, 48.01]}
    )
    coarse = make_source(region, passes=1)
    (only,) = all_passes(region, coarse)
    image = coarse.read(only, region.grid[:32, :32], ("VV",))[0]
    assert (image > 0).all()


def test_what_the_source_lacks_is_told(region: Region, source: SimulatedSource, passes: list[Pass]) -> None:
    with pytest.raises(CohmapError, match=r"VV and VH, not HH; change passes\.polarisations"):
        source.search(Query(region.area, None, None, ("HH",)))
    with pytest.raises(CohmapError, match="not HV"):
        source.read(passes[0], region.grid, ("VV", "HV"))
    with pytest.raises(CohmapError, match="angle has no coherence"):
        source.true_coherence(pair_of(passes[0], passes[1]), "angle", region.grid)
    stranger = Pass("S1A", TRACK, START + dt.timedelta(days=5), ())
    with pytest.raises(CohmapError, match=r"no pass at 2023-01-13.*plan the region again"):
        source.read(stranger, region.grid, ("VV",))


def test_other_grids_are_refused(region: Region, source: SimulatedSource, passes: list[Pass]) -> None:
    grid = region.grid
    off = GeoBox((10, 10), Affine(10.0, 0.0, grid.affine.c + 4.0, 0.0, -10.0, grid.affine.f), grid.crs)
    coarse = GeoBox((10, 10), Affine(20.0, 0.0, grid.affine.c, 0.0, -20.0, grid.affine.f), grid.crs)
    abroad = GeoBox((10, 10), grid.affine, "EPSG:32633")
    for other in (off, coarse, abroad):
        with pytest.raises(CohmapError, match="own region's grid only"):
            source.read(passes[0], other, ("VV",))


@pytest.mark.parametrize("spacing", [2.0, 250.0])
def test_spacings_out_of_reach_are_refused(spacing: float) -> None:
    region = make_region(grid={"crs": "EPSG:32632", "tile": 64, "spacing": spacing})
    with pytest.raises(CohmapError, match=rf"5 to 60 m, not {spacing:g}; change grid\.spacing"):
        make_source(region)
