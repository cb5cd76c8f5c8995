"""The contract, part one: what a search finds, and what is said of it."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import ee
import numpy as np
import pytest
from shapely.geometry import MultiPoint, Point, Polygon, box, mapping

from pipeline.passes import Track, group
from pipeline.sources import Query
from pipeline.sources.ee_records import read_footprint
from tests.earthengine.contract.conftest import DAY, Service
from tests.earthengine.contract.scene import NAME, SCENE, START
from tests.earthengine.world import S1

AROUND = box(18.9, 49.1, 19.1, 49.3)


def listed(area: Any = AROUND, days: int = 1, **more: Any) -> dict[str, Any]:
    """One page of the listing, as the source asks for it."""
    asked = {
        "parent": S1,
        "region": mapping(area),
        "startTime": f"{DAY}T00:00:00Z",
        "endTime": f"{DAY + dt.timedelta(days=days)}T01:00:00Z",
        **more,
    }
    answer: dict[str, Any] = ee.data.listImages(asked)
    return answer


def record() -> dict[str, Any]:
    (found,) = [each for each in listed()["images"] if each["id"] == SCENE]
    return dict(found)


def test_a_known_scene_is_found_and_placed(service: Service) -> None:
    """[S] The properties that passes are told apart by: platform, direction, relative orbit, data take, time."""
    (piece,) = service.scene().slices
    assert piece.id == SCENE
    assert (piece.platform, piece.track, piece.data_take) == ("S1A", Track("ascending", 175), "225956")
    assert START <= piece.start < START + dt.timedelta(seconds=1)
    assert set(piece.hrefs) == {"VV", "VH", "angle"}


def test_a_record_has_the_fields_that_are_read(service: Service) -> None:
    """[B] ``listImages`` gives id, times, update time, bands and properties at the places where they are looked for."""
    del service
    found = record()
    assert found["id"] == SCENE
    assert found["startTime"].startswith("2019-12-02T16:34:55")
    assert [band["id"] for band in found["bands"]] == ["VV", "VH", "angle"]
    properties = found["properties"]
    assert properties["instrumentMode"] == "IW"
    told = {"orbitProperties_pass": "ASCENDING", "platform_number": "A"}
    assert {name: properties[name] for name in told} == told
    assert int(properties["relativeOrbitNumber_start"]) == int(properties["relativeOrbitNumber_stop"]) == 175
    assert properties["transmitterReceiverPolarisation"] == ["VV", "VH"]


def test_an_image_tells_when_it_was_updated(service: Service) -> None:
    """[B] ``updateTime`` is there, in RFC 3339, after the acquisition, and the same when asked again."""
    first, second = service.scene().slices[0], service.scene().slices[0]
    updated = dt.datetime.fromisoformat(first.updated)
    assert updated.tzinfo is not None
    assert updated > START
    assert (first.updated, first.version) == (second.updated, second.version)


def test_the_processor_is_told_as_a_number_with_a_point(service: Service) -> None:
    """[B] ``GRD_Post_Processing_software_version`` reads like "003.10": border noise ended with 2.90."""
    (piece,) = service.scene().slices
    major, _, minor = piece.processor.partition(".")
    assert (int(major), int(minor)) == (3, 10)


def test_the_footprint_is_a_linear_ring_around_the_pixels(service: Service) -> None:
    """[B] The geometry of a record is a LinearRing; its inside is where there are pixels."""
    del service
    outline = record()["geometry"]
    assert outline["type"] == "LinearRing"
    footprint = read_footprint(outline)
    assert isinstance(footprint, Polygon)
    assert footprint.contains(MultiPoint([(19, 49.2), (17.3, 49.0), (20.3, 49.9)]))
    assert not footprint.intersects(Point(16.8, 49.0))


def test_days_before_and_after_do_not_have_it(service: Service) -> None:
    """[S] startTime and endTime of the listing are those of the acquisition, the end exclusive or a second later."""
    for shift in (-1, 1):
        day = DAY + dt.timedelta(days=shift)
        found = service.source().search(Query(AROUND, day, day, ("VV",)))
        assert SCENE not in [piece.id for piece in found]


def test_places_beside_the_footprint_do_not_have_it(service: Service) -> None:
    """[S] ``intersects`` compares with the footprint, not with a box around it."""
    found = service.source().search(Query(box(16.92, 48.35, 16.98, 48.40), DAY, DAY, ("VV",)))
    assert SCENE not in [piece.id for piece in found]


def test_a_long_listing_comes_in_pages(service: Service) -> None:
    """[S] ``pageSize`` bounds a page, ``nextPageToken`` leads to the next one, and no image is lost or twice."""
    del service
    wide = box(16, 44, 21, 52)
    ids, token = [], None
    for _ in range(50):
        page = listed(wide, pageSize=1, **({"pageToken": token} if token else {}))
        assert len(page["images"]) <= 1
        ids += [each["id"] for each in page["images"]]
        token = page.get("nextPageToken")
        if not token:
            break
    assert SCENE in ids
    assert len(ids) == len(set(ids)) >= 2
    assert set(ids) == {each["id"] for each in listed(wide)["images"]}


def test_slices_of_one_overflight_share_their_data_take(service: Service) -> None:
    """[S] Slices follow each other by some 25 s, with one ``missionDataTakeID``: they make one pass."""
    found = service.source().search(Query(box(18, 46, 20, 50), DAY, DAY, ("VV", "VH")))
    mine = [item for item in group(found) if SCENE in [piece.id for piece in item.slices]]
    assert len(mine) == 1
    starts = [piece.start for piece in mine[0].slices]
    assert len(starts) >= 2
    assert {piece.data_take for piece in mine[0].slices} == {"225956"}
    for one, other in itertools.pairwise(starts):
        assert dt.timedelta(seconds=20) < other - one < dt.timedelta(seconds=30)


def test_every_linear_image_is_there_in_decibels_under_the_same_name(service: Service) -> None:
    """[S] COPERNICUS/S1_GRD holds 10 log10 of COPERNICUS/S1_GRD_FLOAT, which is why it is refused by name."""
    linear = service.pixels(ee.Image(SCENE).select(["VV"]))["VV"].astype(float)
    decibels = service.pixels(ee.Image(f"COPERNICUS/S1_GRD/{NAME}").select(["VV"]))["VV"].astype(float)
    assert linear.min() > 0
    # the image in decibels may be stored rounded
    assert decibels == pytest.approx(10 * np.log10(linear), abs=0.01)
