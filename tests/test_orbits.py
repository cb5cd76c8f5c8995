import datetime as dt
import json
import re
from pathlib import Path

import pytest

from pipeline import orbits
from tests.archive_rasters import CALIFORNIA

RECORD = CALIFORNIA.parent / "ee-s1-grd-metadata/S1A_IW_GRDH_1SDV_20191202T163455_image.json"

# Public Sentinel-1 products: the absolute orbit number in the name gives the relative orbit by the mission's own rule,
# (absolute - 73) mod 175 + 1 for S1A and (absolute - 27) mod 175 + 1 for S1B. The direction is known from the place:
# Sentinel-1 passes at about six in the evening going north and at about six in the morning going south.
PRODUCTS = [
    ("S1A", "2015-01-17T17:05:23", 4214, "ascending"),
    ("S1A", "2015-03-05T05:19:37", 4892, "descending"),
    ("S1A", "2015-06-07T01:49:36", 6261, "ascending"),
    ("S1A", "2015-11-21T20:04:47", 8707, "descending"),
    ("S1A", "2018-09-27T23:45:35", 23891, "ascending"),
    ("S1A", "2024-04-08T01:50:45", 53336, "ascending"),
    ("S1A", "2024-09-02T17:06:06", 55489, "ascending"),
    ("S1B", "2017-02-26T05:35:24", 4467, "descending"),
    ("S1B", "2017-03-02T05:00:53", 4525, "descending"),
    ("S1B", "2021-12-17T17:05:02", 30068, "ascending"),
]


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(("platform", "start", "absolute", "direction"), PRODUCTS)
def test_relative_orbit_follows_from_the_time(platform: str, start: str, absolute: int, direction: str) -> None:
    first = {"S1A": 73, "S1B": 27}[platform]
    assert orbits.relative_orbit(platform, utc(start)) == (absolute - first) % 175 + 1
    assert orbits.direction(platform, utc(start)) == direction


@pytest.mark.skipif(not CALIFORNIA.is_dir(), reason="the California stack is not beside the repository")
def test_every_file_of_track_137_is_computed_to_track_137() -> None:
    names = [path.name for path in CALIFORNIA.rglob("*_VV.tif")]
    found = [re.search(r"_T(\d+)-.*?_(\d{8}T\d{6})Z_.*_(S1[AB])_", name) for name in names]
    tracks = {
        (int(match[1]), orbits.relative_orbit(match[3], utc(match[2])), orbits.direction(match[3], utc(match[2])))
        for match in found
        if match
    }
    assert len(names) == 126
    assert tracks == {(137, 137, "ascending")}


@pytest.mark.skipif(not RECORD.is_file(), reason="the Earth Engine record is not beside the repository")
def test_an_earth_engine_record_agrees() -> None:
    properties = json.loads(Path(RECORD).read_text())["properties"]
    start = dt.datetime.fromtimestamp(properties["system:time_start"] / 1000, dt.UTC)
    assert orbits.relative_orbit("S1A", start) == properties["relativeOrbitNumber_start"]
    assert orbits.direction("S1A", start) == properties["orbitProperties_pass"].lower()


def test_the_track_repeats_after_twelve_days_and_not_after_six() -> None:
    start = utc("2021-11-19T01:58:58")
    assert orbits.relative_orbit("S1A", start + dt.timedelta(days=12)) == 137
    assert orbits.relative_orbit("S1A", start + dt.timedelta(days=6)) != 137
    assert orbits.relative_orbit("S1B", start + dt.timedelta(days=6)) == 137


def test_one_orbit_is_half_ascending_and_half_descending() -> None:
    node = utc("2019-12-02T16:21:46")
    seconds = range(0, round(orbits.PERIOD), 10)
    told = [orbits.direction("S1A", node + dt.timedelta(seconds=s)) for s in seconds]
    assert told.count("ascending") == pytest.approx(told.count("descending"), abs=2)
    assert told[0] == told[-1] == "ascending"
    assert told[len(told) // 2] == "descending"
    assert told.count(None) == pytest.approx(2 * 2 * orbits.MARGIN / 10, abs=2)  # both turning points


@pytest.mark.parametrize("seconds", [-40, 0, 40])
def test_no_number_is_claimed_where_it_changes(seconds: int) -> None:
    at_node = utc("2019-12-02T16:21:46") + dt.timedelta(seconds=seconds)
    assert orbits.relative_orbit("S1A", at_node) is None
    assert orbits.direction("S1A", at_node) == "ascending"


def test_the_number_steps_at_the_ascending_node() -> None:
    node = utc("2019-12-02T16:21:46")
    assert orbits.relative_orbit("S1A", node - dt.timedelta(seconds=60)) == 174
    assert orbits.relative_orbit("S1A", node + dt.timedelta(seconds=60)) == 175
    assert orbits.relative_orbit("S1A", node + dt.timedelta(seconds=60 + orbits.PERIOD)) == 1


@pytest.mark.parametrize(("platform", "start"), [("S1C", "2025-06-01T05:00:00"), ("S1A", "2014-06-01T05:00:00")])
def test_nothing_is_claimed_for_unknown_orbits(platform: str, start: str) -> None:
    assert orbits.relative_orbit(platform, utc(start)) is None
    assert orbits.direction(platform, utc(start)) is None


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        orbits.relative_orbit("S1A", dt.datetime(2021, 11, 19))  # noqa: DTZ001 - that is the point
