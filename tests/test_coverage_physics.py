"""The physics of coverage studies: orbits that close, swaths, phase noise; real orbits and scenes as checks."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from shapely.geometry import Polygon

from models.errors import ModelError
from models.orbit.circular import DAY, MU, RADIUS, nearest_revolutions, repeat_orbit
from models.orbit.sentinel1 import FAR, NEAR, sentinel1_orbit
from models.orbit.swath import Swath, incidence_at, swath_edges
from models.phase_noise import displacement_deviation, phase_density, phase_deviation
from models.slc.quality import phase_noise
from models.stack_noise import velocity_deviation
from tests.archive_rasters import CALIFORNIA

DATA = CALIFORNIA.parent
RECORD = DATA / "ee-s1-grd-metadata/S1A_IW_GRDH_1SDV_20191202T163455_image.json"
HEADERS = DATA / "s1-coherence-mexico-city/headers"


def test_sentinel1s_orbit_follows_from_175_revolutions_in_12_days() -> None:
    orbit = repeat_orbit(175, 12)
    assert orbit.cycle == pytest.approx(12, abs=1e-12)
    assert orbit.period * 1440 == pytest.approx(12 * 1440 / 175, abs=1e-9)
    assert orbit.altitude == pytest.approx(693e3, abs=1e3)  # ESA: 693 km, 98.18 degrees
    assert math.degrees(orbit.inclination) == pytest.approx(98.18, abs=0.05)
    assert nearest_revolutions(693e3, 12) == 175


def test_over_the_poles_the_node_stands_still_and_the_height_is_keplers() -> None:
    orbit = repeat_orbit(15, 1, inclination=math.pi / 2)
    assert orbit.node_rate == pytest.approx(0, abs=1e-20)
    assert orbit.cycle * DAY == pytest.approx(86164.09, abs=0.01)  # a turn of the Earth against the stars
    period = orbit.cycle * DAY / 15
    kepler = (MU * (period / (2 * math.pi)) ** 2) ** (1 / 3)
    # J2 changes the mean motion over the poles by -1.5 J2 (R / a)^2, the axis by two thirds of it
    assert orbit.semi_major_axis == pytest.approx(kepler * (1 - 1.08262668e-3 * (RADIUS / kepler) ** 2), abs=30)


def test_each_revolutions_node_lies_further_west() -> None:
    orbit = repeat_orbit(15, 1, inclination=math.pi / 2)
    assert [round(math.degrees(orbit.node(k))) for k in (1, 2, 3, 15, 16)] == [0, -24, -48, 24, 0]


@pytest.mark.parametrize(
    ("revolutions", "days", "sentence"),
    [(30, 2, "repeat after 1 already"), (20, 1, "radars fly at 250 to 2000 km"), (0, 1, "at least one revolution")],
)
def test_an_orbit_that_cannot_be_is_refused(revolutions: int, days: int, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        repeat_orbit(revolutions, days)


def test_edges_of_a_swath_have_the_incidence_and_the_width_asked_for() -> None:
    orbit, angle = sentinel1_orbit(), np.radians([-40.0, 5.0, 50.0])
    near, far = swath_edges(orbit, Swath(math.radians(30), math.radians(45)), angle, 0.3)
    np.testing.assert_allclose(incidence_at(orbit, 0.3, *near.T, ascending=True), 30, atol=1e-6)
    np.testing.assert_allclose(incidence_at(orbit, 0.3, *far.T, ascending=True), 45, atol=1e-6)
    assert (far[:, 0] > near[:, 0]).all()  # on the way north, right is east
    left = swath_edges(orbit, Swath(math.radians(30), math.radians(45), looks_right=False), angle, 0.3)[1]
    assert (left[:, 0] < near[:, 0]).all()
    one, other = swath_edges(orbit, Swath(math.radians(30), width=100e3), angle, 0.3)
    apart = np.radians(other - one) * np.column_stack([np.cos(np.radians(one[:, 1])), np.ones(3)])
    np.testing.assert_allclose(np.hypot(*apart.T) * 6.371e6, 100e3, rtol=0.01)
    with pytest.raises(ModelError, match="beyond the horizon"):
        swath_edges(orbit, Swath(math.radians(30), width=9000e3), angle, 0.3)


@pytest.mark.skipif(not HEADERS.is_dir(), reason="the Mexico City scenes are not beside the repository")
def test_real_orbits_have_the_node_and_the_incidence_of_relative_orbit_5() -> None:
    orbit = sentinel1_orbit()
    nodes = []
    for path in sorted(HEADERS.glob("*_slc.par")):
        text = path.read_text()
        first = re.search(r"state_vector_position_1:(.*)", text)
        assert first is not None
        x, y, z = (float(word) for word in first[1].split()[:3])
        u = math.asin(z / math.hypot(x, y, z) / math.sin(orbit.inclination))
        along = math.atan2(math.sin(u) * math.cos(orbit.inclination), math.cos(u))
        nodes.append(math.degrees(math.atan2(y, x) - along + u * 12 / 175))
        numbers = {key: float(value) for key, value in re.findall(r"^(\w+):\s+(-?[\d.]+)", text, re.MULTILINE)}
        place = numbers["center_longitude"], numbers["center_latitude"]
        told = incidence_at(orbit, orbit.node(5), *place, ascending=True)
        assert told == pytest.approx(numbers["incidence_angle"], abs=0.15)
    assert len(nodes) > 10
    np.testing.assert_allclose(nodes, math.degrees(orbit.node(5)), atol=0.005)


@pytest.mark.skipif(not RECORD.is_file(), reason="the Earth Engine record is not beside the repository")
def test_the_swath_lies_on_a_real_footprint() -> None:
    about = json.loads(RECORD.read_text())["properties"]
    real = Polygon(about["system:footprint"]["coordinates"])
    orbit = sentinel1_orbit()
    # seconds since the ascending node, in the record as milliseconds
    times = np.linspace(about["startTimeANX"], about["stopTimeANX"], 20) / 1000
    angle = 2 * math.pi * times / (orbit.period * DAY)
    node = orbit.node(about["relativeOrbitNumber_start"])
    near, far = swath_edges(orbit, Swath(math.radians(NEAR), math.radians(FAR)), angle, node)
    ours = Polygon(np.vstack([near, far[::-1]]))
    assert ours.intersection(real).area / ours.union(real).area > 0.93


def test_phase_noise_is_that_of_the_exact_density() -> None:
    # sqrt((1 - g^2) / (2 L g^2)) would say .612
    assert phase_deviation(0.5, 4) == pytest.approx(0.830, abs=0.001)
    rng = np.random.default_rng(4)
    one, noise = (rng.standard_normal((4, 100_000)) + 1j * rng.standard_normal((4, 100_000)) for _ in range(2))
    phases = np.angle(np.sum(one * (0.5 * one + math.sqrt(0.75) * noise).conj(), axis=0))
    assert phase_deviation(0.5, 4) == pytest.approx(math.sqrt(np.mean(phases**2)), abs=0.005)
    gamma = [0.0, 0.1, 0.5, 0.9, 0.99]
    np.testing.assert_allclose(phase_deviation(gamma, 1), phase_noise(gamma), atol=1e-9)  # closed form of one look
    assert phase_deviation(0.0, 30) == pytest.approx(math.pi / math.sqrt(3), abs=1e-9)
    assert phase_deviation(0.9, 1000) == pytest.approx(math.sqrt((1 - 0.81) / (2 * 1000 * 0.81)), rel=1e-3)
    assert phase_deviation(1.0, 3) == 0


def test_the_density_of_the_phase_is_one() -> None:
    phase = np.linspace(-math.pi, math.pi, 4001)
    for gamma, looks in ((0.2, 2.5), (0.8, 40)):
        assert np.trapezoid(phase_density(phase, gamma, looks), phase) == pytest.approx(1, abs=1e-6)


def test_whole_maps_agree_with_single_values_and_keep_what_is_missing() -> None:
    gamma = np.append(np.linspace(0, 1, 200), np.nan)
    np.testing.assert_allclose(phase_deviation(gamma, 7)[::40], phase_deviation(gamma[::40], 7), atol=1e-5)
    assert np.isnan(phase_deviation(gamma, 7)[-1])
    assert displacement_deviation(2 * math.pi, 55.4) == pytest.approx(27.7)
    with pytest.raises(ModelError, match=r"looks = 0\.5"):
        phase_deviation(0.5, 0.5)


def test_two_passes_tell_a_velocity_as_well_as_their_phase() -> None:
    # two passes: information 2 L g^2 / (1 - g^2), the bound of one interferogram
    gamma = 0.8 * math.exp(-12 / 20) + 0.2
    bound = math.sqrt((1 - gamma**2) / (2 * 50 * gamma**2)) * 55.4 / (4 * math.pi) / (12 / 365.25)
    assert velocity_deviation([0, 12], 20, 0.2, 50, 55.4) == pytest.approx(bound, rel=1e-4)
    assert math.isnan(velocity_deviation([3], 20, 0.2, 50, 55.4))
    # ground that never changes: only the atmosphere is left, and the line through its noise
    days = np.arange(0, 365, 12)
    line = 5 / math.sqrt(np.sum((days / 365.25 - np.mean(days / 365.25)) ** 2))
    assert velocity_deviation(days, 1e9, 0.2, 50, 55.4, atmosphere=5) == pytest.approx(line, rel=1e-3)
