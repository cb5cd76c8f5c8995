import datetime as dt
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds
from shapely.geometry import Polygon, box, mapping

from pipeline.errors import CohmapError
from pipeline.passes import Slice, Track, group
from pipeline.sources import Query, Source
from pipeline.sources.archive import ArchiveSource
from tests.archive_rasters import AREA, CALIFORNIA, archive, hyp3, opera, plain, speckle, write

needs_california = pytest.mark.skipif(
    not CALIFORNIA.is_dir(), reason="the California stack is not beside the repository"
)


def find(source: ArchiveSource, *bands: str) -> list[Slice]:
    return source.search(Query(AREA, None, None, bands or ("VV",)))


def test_it_is_a_source(tmp_path: Path) -> None:
    source: Source = archive(tmp_path)
    assert source.name == "archive"
    assert 1 <= source.requests <= 16


def test_a_slice_carries_all_that_its_name_and_header_tell(tmp_path: Path) -> None:
    vv = write(tmp_path / opera(), speckle())
    vh = write(tmp_path / opera(polarisation="VH"), speckle())
    (found,) = find(archive(tmp_path), "VV", "VH")
    assert found.id == opera().removesuffix("_VV.tif")
    assert found.order == "T137-292320-IW2"
    assert found.platform == "S1A"
    assert found.start == dt.datetime(2021, 11, 19, 1, 59, tzinfo=dt.UTC)
    assert found.track == Track("ascending", 137)
    assert found.hrefs == {"VV": str(vv), "VH": str(vh)}
    assert (found.version, found.updated) == ("v1.0", "2025-08-30T12:03:33+00:00")
    with rasterio.open(vv) as file:
        expected = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    assert found.footprint.bounds == pytest.approx(expected, abs=1e-5)


def test_only_slices_that_meet_the_whole_query_are_found(tmp_path: Path) -> None:
    far = 100_000  # pixels
    write(tmp_path / opera(start="20211119T015900"), speckle())
    write(tmp_path / opera(start="20211201T015900"), speckle())
    write(tmp_path / opera(start="20211201T015900", polarisation="VH"), speckle())
    write(tmp_path / opera(start="20211213T015900"), speckle(), shift=(0, far))
    source = archive(tmp_path)

    def days(*bands: str, start: dt.date | None = None, end: dt.date | None = None) -> list[int]:
        return [piece.start.day for piece in source.search(Query(AREA, start, end, bands))]

    assert days("VV") == [19, 1]
    assert days("VV", "VH") == [1]
    assert days("VV", start=dt.date(2021, 11, 20)) == [1]
    assert days("VV", end=dt.date(2021, 11, 19)) == [19]
    assert days("VV", start=dt.date(2022, 1, 1)) == []
    assert source.search(Query(box(10, 50, 11, 51), None, None, ("VV",))) == []


def test_a_raster_that_only_touches_the_area_is_not_found(tmp_path: Path) -> None:
    write(tmp_path / opera(), speckle())
    (found,) = find(archive(tmp_path))
    x, y = max(mapping(found.footprint)["coordinates"][0], key=lambda point: point[1])
    beside = Polygon([(x, y), (x + 0.01, y + 0.02), (x - 0.01, y + 0.02)])
    assert beside.intersects(found.footprint)
    assert archive(tmp_path).search(Query(beside, None, None, ("VV",))) == []


def test_of_several_processings_the_newest_is_taken(tmp_path: Path) -> None:
    # a reprocessed burst may start a second earlier by its name
    old = opera(start="20211119T015900", processed="20220101T000000")
    new = opera(start="20211119T015859", processed="20250830T120333")
    for name in (old, new, old.replace("20220101", "20230101")):
        write(tmp_path / name, speckle())
    (found,) = find(archive(tmp_path))
    assert found.updated == "2025-08-30T12:03:33+00:00"


def test_a_newer_processing_without_a_wanted_band_does_not_hide_the_older_one(tmp_path: Path) -> None:
    for polarisation in ("VV", "VH"):
        write(tmp_path / opera(processed="20220101T000000", polarisation=polarisation), speckle())
    write(tmp_path / opera(processed="20250830T120333"), speckle())
    (found,) = find(archive(tmp_path), "VV", "VH")
    assert found.updated.startswith("2022")


def test_copies_of_a_file_in_two_folders_are_one_slice_always_of_the_same_folder(tmp_path: Path) -> None:
    for folder in ("b", "a"):
        write(tmp_path / folder / opera(), speckle())
    write(tmp_path / "b" / opera(polarisation="VH"), speckle())
    (found,) = find(archive(tmp_path), "VV", "VH")
    assert found.hrefs == {"VV": str(tmp_path / "a" / opera()), "VH": str(tmp_path / "b" / opera(polarisation="VH"))}


def test_hyp3_scenes_get_track_and_direction_from_their_time(tmp_path: Path) -> None:
    write(tmp_path / hyp3("20211119T015858"), speckle())
    write(tmp_path / hyp3("20211125T015816", platform="S1B"), speckle())
    (one, other) = find(archive(tmp_path, "hyp3-rtc"))
    assert (one.platform, other.platform) == ("S1A", "S1B")
    assert one.track == other.track == Track("ascending", 137)
    assert one.order < other.order


def test_of_two_hyp3_products_of_a_scene_the_better_one_is_taken(tmp_path: Path) -> None:
    for letters in ("gdunem", "gpuned", "gpwned"):
        write(tmp_path / hyp3(letters=letters, number="FFFF"), speckle())
    (found,) = find(archive(tmp_path, "hyp3-rtc"))
    assert "_gpuned_" in found.id


@pytest.mark.parametrize("other", [hyp3("20230331T015900", letters="spuned"), hyp3("20230331T015900", spacing="10")])
def test_unlike_hyp3_products_are_not_stacked(tmp_path: Path, other: str) -> None:
    write(tmp_path / hyp3(), speckle())
    write(tmp_path / other, speckle())
    with pytest.raises(CohmapError, match=r"mixes products of .* and of .*, which must not be compared"):
        find(archive(tmp_path, "hyp3-rtc"))


def test_unlike_products_that_the_query_does_not_want_do_no_harm(tmp_path: Path) -> None:
    write(tmp_path / hyp3(), speckle())
    write(tmp_path / hyp3("20230331T015900", letters="spuned"), speckle())
    query = Query(AREA, None, dt.date(2023, 3, 20), ("VV",))
    assert len(archive(tmp_path, "hyp3-rtc").search(query)) == 1


def test_own_names_take_from_the_settings_what_they_do_not_tell(tmp_path: Path) -> None:
    path = write(tmp_path / "20211119_VV.tif", speckle())
    os.utime(path, (1.7e9, 1.7e9))
    (found,) = find(plain(tmp_path))
    assert (found.platform, found.track) == ("S1A", Track("ascending", 137))
    assert found.start == dt.datetime(2021, 11, 19, tzinfo=dt.UTC)
    assert found.id == "20211119_*.tif"
    assert found.updated == "2023-11-14T22:13:20+00:00"


def test_shards_of_one_date_are_slices_of_one_pass(tmp_path: Path) -> None:
    for date in ("20211119", "20211201"):
        for column in range(2):
            write(tmp_path / f"{date}_VV-{column}.tif", speckle(), shift=(50 * column, 0))
    source = plain(tmp_path, pattern=r"(?P<date>\d{8})_(?P<polarisation>VV)-\d\.tif")
    passes = group(find(source))
    assert [len(one.slices) for one in passes] == [2, 2]
    assert [[piece.order for piece in one.slices] for one in passes] == [["*_*-0.tif", "*_*-1.tif"]] * 2


def test_two_tracks_of_one_day_stay_apart(tmp_path: Path) -> None:
    for track in ("A137", "D071"):
        write(tmp_path / f"{track}_20211119_frame1_VV.tif", speckle())
    pattern = r"(?P<direction>[AD])(?P<relative_orbit>\d+)_(?P<date>\d+)_(?P<slice>\w+)_(?P<polarisation>VV)"
    found = find(plain(tmp_path, pattern=pattern, relative_orbit=None, direction=None))
    assert [piece.track for piece in found] == [Track("ascending", 137), Track("descending", 71)]


@pytest.mark.parametrize(
    ("name", "left_out", "sentence"),
    [
        ("20211119_VV.tif", "platform", r"add source.platform = 'S1A'"),
        ("20211119_VV.tif", "relative_orbit", r"date without a time .* add source.relative_orbit = NUMBER to"),
        ("20211119_VV.tif", "direction", r"date without a time .* add source.direction = 'ascending' or 'descending'"),
    ],
)
def test_what_nothing_tells_has_to_be_declared(tmp_path: Path, name: str, left_out: str, sentence: str) -> None:
    write(tmp_path / name, speckle())
    with pytest.raises(CohmapError, match=sentence):
        find(plain(tmp_path, **{left_out: None}))


def test_a_new_satellite_needs_its_direction_declared(tmp_path: Path) -> None:
    write(tmp_path / opera(platform="S1C"), speckle())
    with pytest.raises(
        CohmapError, match=r"\(S1C\).* add source.direction = 'ascending' or 'descending' to \[source\]"
    ):
        find(archive(tmp_path))
    (found,) = find(archive(tmp_path, direction="ascending"))
    assert found.track == Track("ascending", 137)


def test_a_track_that_contradicts_the_time_is_not_trusted_with_a_computed_direction(tmp_path: Path) -> None:
    write(tmp_path / opera(burst="T064-135000-IW1"), speckle())
    with pytest.raises(CohmapError, match=r"add source.direction"):
        find(archive(tmp_path))


def test_the_source_can_be_sent_to_another_process(tmp_path: Path) -> None:
    write(tmp_path / opera(), speckle())
    source = archive(tmp_path)
    assert find(pickle.loads(pickle.dumps(source))) == find(source)  # noqa: S301 - our own bytes


def test_footprints_across_the_antimeridian_lie_on_both_sides(tmp_path: Path) -> None:
    write(tmp_path / opera(), speckle(), spacing=1000, shift=(510, 0), crs="EPSG:32660")
    area = box(-179.95, 34.5, -179.5, 34.6)
    (found,) = archive(tmp_path).search(Query(area, None, None, ("VV",)))
    west, _, east, _ = found.footprint.bounds
    assert (west, east) == (-180, 180)
    assert found.footprint.area < 1


@needs_california
def test_california_is_21_passes_of_six_bursts() -> None:
    query = Query(box(-121, 34.3, -119.6, 35.4), None, None, ("VV", "VH"))
    passes = group(archive(CALIFORNIA).search(query))
    assert len(passes) == 21
    assert {one.track for one in passes} == {Track("ascending", 137)}
    bursts = {tuple(piece.order for piece in one.slices) for one in passes}
    assert bursts == {
        (
            "T137-292319-IW2",
            "T137-292320-IW1",
            "T137-292320-IW2",
            "T137-292322-IW2",
            "T137-292323-IW2",
            "T137-292325-IW1",
        )
    }


@needs_california
def test_california_pixels_come_through_bit_for_bit() -> None:
    source = archive(CALIFORNIA)
    passes = group(source.search(Query(box(-121, 34.3, -119.6, 35.4), None, None, ("VV", "VH"))))
    zeros = 0
    for one in passes[:2]:
        for piece in one.slices:
            with rasterio.open(piece.hrefs["VV"]) as vv, rasterio.open(piece.hrefs["VH"]) as vh:
                expected = np.stack([vv.read(1), vh.read(1)])
                zeros += int(np.count_nonzero(expected == 0))
                expected[expected == 0] = np.nan
                # a window larger than the burst on every side
                window = GeoBox((140, 140), vv.transform @ vv.transform.translation(-20, -20), "EPSG:32611")
            pixels = source.read(one, window, ("VV", "VH"))
            np.testing.assert_array_equal(pixels[:, 20:120, 20:120].view(np.uint32), expected.view(np.uint32))
            pixels[:, 20:120, 20:120] = np.nan
            assert np.isnan(pixels).all()
    assert zeros == 1  # one dark pixel of the sea, clipped at 0 by the thermal noise correction
