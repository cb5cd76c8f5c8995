"""Radiometry on the server: the same formulas in NumPy, and the expression that is sent."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.errors import CohmapError
from pipeline.look import azimuth_to_radar
from pipeline.sources import FloatArray
from tests.earthengine.conftest import StandIn
from tests.earthengine.images import Image, PixelGrid, RasterBand
from tests.earthengine.scenes import START, native_grid
from tests.earthengine.terrain import elevation, slanted
from tests.earthengine.test_read import read

SNAPSHOTS = Path(__file__).with_name("snapshots")
SRTM, GLO30 = "USGS/SRTMGL1_003", "COPERNICUS/DEM/GLO30"
GRID = native_grid()
OLD = dt.datetime(2017, 6, 1, 2, tzinfo=dt.UTC)
Array = npt.NDArray[np.float64]

# On UTM's central meridian, where the scenes lie, a metre of the map is 1 / 0.9996 m of the ground.
MAP_SCALE = 0.9996


def hills(x: Array, y: Array) -> Array:
    return np.asarray(300 + 90 * np.sin(x / 90) * np.cos(y / 70) + 0.1 * x)


def interpolated(grid: PixelGrid) -> Array:
    """The hills as their 30 m pixels give them, bilinear, at a grid's centres."""
    model = elevation(SRTM, hills).bands["elevation"]
    return model.resampled("bilinear").read(grid).values


def flattened(sigma0: FloatArray, model: str, direction: str = "ascending") -> Array:
    """Vollrath et al. 2020, in NumPy, over the hills: equations by their numbers in the paper."""
    wide = interpolated(native_grid(col=-1, row=-1, width=42, height=32))
    east = (wide[1:-1, 2:] - wide[1:-1, :-2]) / 20 * MAP_SCALE
    north = (wide[:-2, 1:-1] - wide[2:, 1:-1]) / 20 * MAP_SCALE
    theta = np.radians(38 + (GRID.centres()[0] - 500_000) / 1000)
    phi = np.radians(azimuth_to_radar(35.2415, "ascending" if direction == "ascending" else "descending"))
    slope, downhill = np.arctan(np.hypot(east, north)), np.arctan2(-east, -north)
    alpha_r = np.arctan(np.tan(slope) * np.cos(phi - downhill))  # 2
    alpha_az = np.arctan(np.tan(slope) * np.sin(phi - downhill))  # 3
    left = np.pi / 2 - theta
    if model == "terrain-volume":
        factor = np.tan(left + alpha_r) / np.tan(left)
    else:
        factor = np.cos(left) / (np.cos(alpha_az) * np.cos(left + alpha_r))
    seen = (alpha_r < theta) & (alpha_r > -left)
    return np.where(seen, sigma0 / np.cos(theta) / factor, np.nan)


def both(standin: StandIn, scene: Image, **settings: object) -> tuple[FloatArray, FloatArray]:
    """VV as delivered, and as the settings have it."""
    standin.world.add([scene])
    (plain,), (changed,) = read(standin, GRID), read(standin, GRID, ("VV",), **settings)
    return plain, changed


def test_gamma0_is_sigma0_over_the_cosine_of_the_angle(standin: StandIn) -> None:
    sigma0, gamma0 = both(standin, slanted(), radiometry="gamma0")
    theta = np.radians(38 + (GRID.centres()[0] - 500_000) / 1000)
    np.testing.assert_allclose(gamma0, sigma0 / np.cos(theta), rtol=1e-6)


@pytest.mark.parametrize("direction", ["ascending", "descending"])
@pytest.mark.parametrize("model", ["terrain-volume", "terrain-surface"])
def test_slopes_are_taken_out_as_the_paper_has_it(standin: StandIn, model: str, direction: str) -> None:
    standin.world.add([elevation(SRTM, hills)])
    scene = slanted(direction=direction.upper())
    sigma0, corrected = both(standin, scene, radiometry=model, dem=SRTM)
    expected = flattened(sigma0, model, direction)
    assert np.isfinite(expected).mean() > 0.8
    assert np.isnan(expected).any(), "the hills are steep enough for layover"
    np.testing.assert_array_equal(np.isnan(corrected), np.isnan(expected))
    # beside layover and shadow the factor has no bound, and the last digits of a slope count
    middling = (expected > 0.2 * sigma0) & (expected < 5 * sigma0)
    assert middling.mean() > 0.6
    np.testing.assert_allclose(corrected[middling], expected[middling], rtol=2e-4)
    np.testing.assert_allclose(corrected, expected, rtol=2e-2)


def test_tiles_of_elevation_without_a_seam_are_one_model(standin: StandIn) -> None:
    standin.world.add([elevation(SRTM, hills)])
    halves = [native_grid(-60, -60, 25, 60, 30.0), native_grid(15, -60, 35, 60, 30.0)]
    standin.world.add([elevation(f"{GLO30}/{i}", hills, "DEM", half) for i, half in enumerate(halves)])
    standin.world.add([slanted()])
    (one,) = read(standin, GRID, radiometry="terrain-volume", dem=SRTM)
    (tiled,) = read(standin, GRID, radiometry="terrain-volume")
    np.testing.assert_array_equal(tiled, one)


def test_open_sea_without_a_tile_of_elevation_is_masked(standin: StandIn) -> None:
    far = native_grid(4000, -60, 25, 60, 30.0)
    standin.world.add([elevation(f"{GLO30}/0", hills, "DEM", far), slanted()])
    (corrected,) = read(standin, GRID, radiometry="terrain-volume")
    assert np.isnan(corrected).all()


def test_ground_that_faces_the_radar_is_darkened_and_the_back_of_a_hill_lit(standin: StandIn) -> None:
    standin.world.add([elevation("MY/RISE", lambda x, y: 1000 + 0.2 * x + 0 * y)])  # an ascending pass looks east
    gamma0, corrected = (
        both(standin, slanted(), radiometry="terrain-volume", dem="MY/RISE")[1],
        read(standin, GRID, radiometry="gamma0")[0],
    )
    assert (gamma0 < 0.75 * corrected).all()
    standin.world.add([elevation("MY/FALL", lambda x, y: 1000 - 0.2 * x + 0 * y)])
    (back,) = read(standin, GRID, radiometry="terrain-volume", dem="MY/FALL")
    assert (back > 1.25 * corrected).all()


def test_level_ground_is_gamma0_and_no_ground_is_no_data(standin: StandIn) -> None:
    standin.world.add([elevation("MY/PLAIN", lambda x, y: 0 * x * y)])
    level = both(standin, slanted(), radiometry="terrain-surface", dem="MY/PLAIN")[1]
    np.testing.assert_allclose(level, read(standin, GRID, radiometry="gamma0")[0], rtol=1e-6)
    standin.world.add([elevation("MY/AWAY", hills, grid=native_grid(9000, 0, 20, 20, 30.0))])
    assert np.isnan(read(standin, GRID, radiometry="terrain-surface", dem="MY/AWAY")).all()


@pytest.mark.parametrize("model", ["terrain-volume", "terrain-surface"])
def test_the_expression_is_the_one_on_file(standin: StandIn, model: str) -> None:
    """Where it changes on purpose: write what the test prints to the file, and look at the difference."""
    standin.world.add([elevation(f"{GLO30}/N35", hills, "DEM"), slanted(start=OLD)])
    read(standin, native_grid(width=8, height=6), radiometry=model, border_noise=True)
    (request,) = standin.world.requests("computePixels")
    sent = json.dumps(request.body["expression"], indent=1, sort_keys=True) + "\n"
    assert sent == (SNAPSHOTS / f"{model}.json").read_text(), sent


def edges(x: Array, y: Array) -> Array:
    """From 30.4 degrees at the image's western edge to 31 degrees at its eastern one."""
    return np.asarray(30.4 + 0.6 * x / 400 + 0 * y)


def test_borders_of_old_images_are_masked_where_asked(standin: StandIn) -> None:
    plain, masked = both(standin, slanted(incidence=edges, start=OLD), border_noise=True)
    lost = 30.4 + 0.6 * (GRID.centres()[0] - 500_000) / 400 <= 30.63993
    np.testing.assert_array_equal(np.isnan(masked), lost)
    np.testing.assert_array_equal(masked[~lost], plain[~lost])


def test_what_is_as_dark_as_a_border_goes_from_every_band(standin: StandIn) -> None:
    scene = slanted(start=OLD)
    dark = scene.bands["VV"].read(GRID).values.copy()
    dark[:, :5] = 1e-4
    faint = Image({**scene.bands, "VV": RasterBand(dark, dark > 0, GRID)}, scene.properties,
                  scene.footprint, scene.id)  # fmt: skip
    standin.world.add([faint])
    values = read(standin, GRID, ("VH",), border_noise=True)
    np.testing.assert_array_equal(np.isnan(values[0]), dark < 1e-3)


@pytest.mark.parametrize(
    ("start", "processor", "expected"),
    [(START, "", "whole"), (OLD, "002.91", "whole"), (OLD, "002.84", "masked"), (START, "002.84", "masked")],
)
def test_the_processor_decides_and_where_it_is_unknown_the_date(
    standin: StandIn, start: dt.datetime, processor: str, expected: str
) -> None:
    told = {"GRD_Post_Processing_software_version": processor} if processor else {}
    _, values = both(standin, slanted(incidence=edges, start=start, **told), border_noise=True)
    assert np.isnan(values).any() == (expected == "masked")


def test_an_elevation_model_goes_with_a_slope_correction_only(standin: StandIn) -> None:
    with pytest.raises(ValueError, match="dem goes with radiometry = 'terrain-volume' or 'terrain-surface'"):
        standin.settings(radiometry="gamma0", dem=SRTM)


def test_an_elevation_model_that_is_not_there_is_named(standin: StandIn) -> None:
    standin.world.add([slanted()])
    with pytest.raises(CohmapError, match="'MY/DEM' not found"):
        read(standin, GRID, radiometry="terrain-volume", dem="MY/DEM")
