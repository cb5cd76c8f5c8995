"""Where the radar stands."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from pipeline.look import azimuth_to_radar

RECORD = Path(__file__).resolve().parents[1] / "../shared/data/ee-s1-grd-metadata"


def test_ascending_passes_look_east_and_descending_ones_west() -> None:
    assert azimuth_to_radar(0, "ascending") == pytest.approx(258, abs=0.5)  # the track leaves the equator at 348
    assert azimuth_to_radar(0, "descending") == pytest.approx(102, abs=0.5)


@pytest.mark.parametrize("latitude", [-60, -35, 10, 49, 70])
def test_the_two_directions_are_mirror_images(latitude: float) -> None:
    up, down = azimuth_to_radar(latitude, "ascending"), azimuth_to_radar(latitude, "descending")
    assert up + down == pytest.approx(360)


def test_a_real_scene_has_its_range_where_the_orbit_puts_it() -> None:
    files = list(RECORD.glob("*.json"))
    if not files:
        pytest.skip(f"no real record at {RECORD}")
    record = json.loads(files[0].read_text())
    (angle,) = (band for band in record["bands"] if band["id"] == "angle")
    east, south = angle["crs_transform"][0], -angle["crs_transform"][3]
    # its columns run along the radar's range; UTM's north is 2.25 sin(49.2) degrees off, that far west of its meridian
    away = math.degrees(math.atan2(east, -south)) - 2.25 * math.sin(math.radians(49.2))
    assert azimuth_to_radar(49.2, "ascending") == pytest.approx(away + 180, abs=0.5)
