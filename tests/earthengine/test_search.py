"""The earthengine source, through the real client: what it finds."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
import shapely
from shapely.geometry import LinearRing, Polygon, box, mapping

from pipeline.errors import CohmapError
from pipeline.passes import Track, group
from pipeline.sources.ee_records import read_footprint, read_record
from tests.earthengine.conftest import HERE, StandIn, query
from tests.earthengine.images import outline, sentinel1
from tests.earthengine.scenes import START, image, native_grid, speckle
from tests.earthengine.world import S1

RECORD = Path(__file__).resolve().parents[2] / "../shared/data/ee-s1-grd-metadata"


def test_an_image_becomes_a_slice(standin: StandIn) -> None:
    bands = image("A").bands
    about = {"platform": "B", "direction": "DESCENDING"}
    standin.world.add([sentinel1(f"{S1}/A", bands, START, **about, relative_orbit=64, data_take=225956)])
    (piece,) = standin.source().search(query())
    assert (piece.id, piece.platform, piece.start) == (f"{S1}/A", "S1B", START)
    assert piece.track == Track("descending", 64)
    assert piece.hrefs == dict.fromkeys(["VV", "VH", "angle"], f"{S1}/A")
    assert (piece.data_take, piece.updated) == ("225956", "2020-11-19T07:18:22.269949Z")
    assert piece.footprint.equals(outline(native_grid()))


def test_a_real_record_is_understood() -> None:
    files = list(RECORD.glob("*.json"))
    if not files:
        pytest.skip(f"no real record at {RECORD}")
    info = json.loads(files[0].read_text())
    properties = info["properties"]
    # The client's form of the record, put as the interface gives it.
    record = {
        "id": info["id"],
        "startTime": "2019-12-02T16:34:55Z",
        "geometry": properties["system:footprint"],
        "properties": properties,
        "bands": [{"id": band["id"]} for band in info["bands"]],
    }
    piece = read_record(record, HERE)
    assert piece.track == Track("ascending", 175)
    assert (piece.platform, piece.data_take) == ("S1A", "225956")
    assert set(piece.hrefs) == {"VV", "VH", "angle"}
    assert isinstance(piece.footprint, Polygon)
    assert piece.footprint.contains(shapely.Point(19, 49.2))


def test_slices_of_one_overflight_make_one_pass(standin: StandIn) -> None:
    later = START + dt.timedelta(seconds=25)
    standin.world.add(
        [
            image("B", later, native_grid(row=30)),
            image("A", START),
            image("C", START + dt.timedelta(days=6), platform="B", data_take=2),
        ]
    )
    passes = group(standin.source().search(query()))
    assert [[piece.id for piece in item.slices] for item in passes] == [[f"{S1}/A", f"{S1}/B"], [f"{S1}/C"]]


def test_every_page_of_a_long_listing_is_read(standin: StandIn) -> None:
    standin.world.page = 3
    standin.world.add([image(f"I{day:02d}", START + dt.timedelta(days=day)) for day in range(8)])
    assert len(standin.source().search(query())) == 8
    assert len(standin.world.requests("listAssets")) == 3


def test_the_last_day_is_included_to_its_last_second(standin: StandIn) -> None:
    midnight = dt.datetime(2021, 11, 20, tzinfo=dt.UTC)
    second = dt.timedelta(seconds=1)
    standin.world.add([image("before", midnight - second), image("after", midnight), image("early", START)])
    found = standin.source().search(query(dt.date(2021, 11, 19), dt.date(2021, 11, 19)))
    assert [piece.id.rpartition("/")[2] for piece in found] == ["early", "before"]
    assert not standin.source().search(query(dt.date(2021, 11, 21), None))


def test_other_places_modes_and_polarisations_are_left_out(standin: StandIn) -> None:
    standin.world.add(
        [
            image("elsewhere", grid=native_grid(col=10_000)),
            image("wide", mode="EW"),
            image("single", bands=["VV", "angle"]),
            image("dual"),
        ]
    )
    found = standin.source().search(query(bands=("VV", "VH")))
    assert [piece.id for piece in found] == [f"{S1}/dual"]


def test_an_area_of_many_corners_is_asked_for_by_a_box_and_cut_exactly(standin: StandIn) -> None:
    ring = shapely.Point(-117, 35.24).buffer(0.3, quad_segs=2000).difference(shapely.Point(-117, 35.24).buffer(0.2))
    standin.world.add([image("in the hole"), image("on the ring", grid=native_grid(col=2300))])
    found = standin.source().search(query(area=ring))
    assert [piece.id for piece in found] == [f"{S1}/on the ring"]
    (request,) = standin.world.requests("listAssets")
    assert len(request.query["filter"]) < 400


def test_nothing_there_is_an_empty_list(standin: StandIn) -> None:
    assert standin.source().search(query()) == []


def test_the_collection_in_decibels_is_refused(standin: StandIn) -> None:
    with pytest.raises(CohmapError, match=r"'COPERNICUS/S1_GRD' holds dB; take 'COPERNICUS/S1_GRD_FLOAT'"):
        standin.source(collection="COPERNICUS/S1_GRD").search(query())


def test_an_unknown_collection_is_named(standin: StandIn) -> None:
    with pytest.raises(CohmapError, match=r"image collection 'MY/S1' is not on Earth Engine.*\[source\] collection"):
        standin.source(collection="MY/S1").search(query())


def test_images_that_are_not_sentinel_1_are_named(standin: StandIn) -> None:
    scene = sentinel1("MY/S2/A", {"VV": speckle(native_grid(), 1)}, START, direction="SIDEWAYS")
    standin.world.add([scene])
    with pytest.raises(CohmapError, match="image MY/S2/A can't be placed on a track"):
        standin.source(collection="MY/S2").search(query())


@pytest.mark.parametrize(("area_lat", "track"), [(1.0, 43), (-1.0, 42)])
def test_at_the_equator_a_pass_is_one_track_wherever_its_slices_are_cut(area_lat: float, track: int) -> None:
    area = box(10, area_lat - 0.1, 11, area_lat + 0.1)

    def orbit(south: float, north: float, start: int, stop: int) -> int:
        record = {
            "id": "A",
            "startTime": "2021-11-19T01:59:04Z",
            "geometry": mapping(box(9, south, 12, north)),
            "properties": {
                "orbitProperties_pass": "ASCENDING",
                "platform_number": "A",
                "relativeOrbitNumber_start": start,
                "relativeOrbitNumber_stop": stop,
            },
        }
        return read_record(record, area).track.relative_orbit

    assert orbit(-2, -0.2, 42, 42) == track
    assert orbit(-0.8, 0.9, 42, 43) == track
    assert orbit(0.1, 1.8, 43, 43) == track


@pytest.mark.parametrize(
    "ring", [[(179, 50), (-179, 50), (-179, 52), (179, 52)], [(179, 50), (181, 50), (181, 52), (179, 52)]]
)
def test_a_footprint_across_the_antimeridian_lies_on_both_sides(ring: list[tuple[float, float]]) -> None:
    footprint = read_footprint(mapping(LinearRing(ring)))
    assert footprint.equals(shapely.union_all([box(179, 50, 180, 52), box(-180, 50, -179, 52)]))
