"""The contract, part four: what slopes are computed from."""

from __future__ import annotations

from typing import Any

import ee
import numpy as np
import pytest

from tests.earthengine.contract.conftest import INSIDE, Service
from tests.earthengine.contract.scene import GLO30, SRTM

HERE = INSIDE[:24, :24]


def plane(east: float, north: float) -> Any:
    """Ground that rises so much a metre eastwards and northwards on the map."""
    place = ee.Image.pixelCoordinates(ee.Projection(str(HERE.crs)))
    x, y = place.select(["x"]), place.select(["y"])
    return x.multiply(ee.Image.constant(east)).add(y.multiply(ee.Image.constant(north)))


def bearing_of_the_maps_north(service: Service) -> float:
    """Degrees from true north to the map's, from how longitude and latitude change down a column."""
    where = service.pixels(ee.Image.pixelLonLat(), HERE)
    d_lon = (where["longitude"][0, 0] - where["longitude"][-1, 0]) * np.cos(np.radians(where["latitude"][0, 0]))
    return float(np.degrees(np.arctan2(d_lon, where["latitude"][0, 0] - where["latitude"][-1, 0])))


@pytest.mark.parametrize(("east", "north", "downhill"), [(-0.3, 0.0, 90), (0.0, -0.3, 0), (0.2, 0.2, 225)])
def test_slope_is_in_degrees_and_aspect_looks_downhill_from_true_north(
    service: Service, east: float, north: float, downhill: float
) -> None:
    """[S] Terrain.slope and .aspect are in degrees, aspect clockwise; [B] downhill, from true north, per true metre."""
    slope = service.pixels(ee.Terrain.slope(plane(east, north)), HERE)["slope"][4:-4, 4:-4]
    np.testing.assert_allclose(slope, np.degrees(np.arctan(np.hypot(east, north))), rtol=5e-3)
    aspect = service.pixels(ee.Terrain.aspect(plane(east, north)), HERE)["aspect"][4:-4, 4:-4]
    turned = downhill + bearing_of_the_maps_north(service)
    np.testing.assert_allclose((aspect - turned + 180) % 360 - 180, 0, atol=0.5)


def test_level_ground_has_no_aspect(service: Service) -> None:
    """[B] The aspect of level ground is masked, or 0: code fills it, so that either does."""
    level = ee.Terrain.aspect(plane(0.0, 0.0)).unmask(ee.Image.constant(0).toFloat(), False)
    assert (service.pixels(level, HERE)["aspect"] == 0).all()


def test_slope_is_taken_on_the_pixels_asked_for(service: Service) -> None:
    """[B] Neighbours are pixels of the request: a 30 m model seen in 2 m pixels is steps, unless interpolated."""
    ground, fine = ee.Image(SRTM).select([0]), HERE.zoom_to(resolution=2)[:24, :24]
    steps = service.pixels(ee.Terrain.slope(ground), fine)["slope"]
    smooth = service.pixels(ee.Terrain.slope(ground.resample("bilinear")), fine)["slope"]
    assert (steps == 0).mean() > 0.5
    assert (smooth == 0).mean() < 0.1


def test_elevation_comes_in_tiles_with_a_projection(service: Service) -> None:
    """[S] GLO30 is a collection of tiles with a band DEM; [B] its mosaic can be interpolated once it has their grid."""
    tiles = ee.ImageCollection(GLO30).filterBounds(ee.Geometry.Point([18.81, 49.27])).select(["DEM"])
    placed = tiles.mosaic().setDefaultProjection(tiles.first().projection()).resample("bilinear")
    height = service.pixels(placed, HERE)["DEM"]
    assert 100 < height.min() <= height.max() < 2700
    assert np.unique(height).size > 200, "interpolated, every pixel has a height of its own"


def test_sines_take_radians(service: Service) -> None:
    """[S] cos, sin, tan take radians and atan gives them."""
    third = ee.Image.constant(np.pi / 3)
    image = third.cos().rename(["c"]).addBands(third.sin().rename(["s"])).addBands(third.tan().atan().rename(["a"]))
    found = service.pixels(image, HERE)
    assert [round(float(found[name][0, 0]), 9) for name in "csa"] == [0.5, 0.866025404, 1.047197551]


def test_a_false_pixel_masks(service: Service) -> None:
    """[S] gt, lt and And give 1 or 0, and ``updateMask`` masks where it is 0."""
    x = plane(1.0, 0.0)
    middle = float(HERE.affine.c + 120)
    inside = x.gt(ee.Image.constant(middle - 50)).And(x.lt(ee.Image.constant(middle + 50)))
    found = service.pixels(ee.Image.constant(1).updateMask(inside), HERE)["constant"]
    np.testing.assert_array_equal(found.sum(axis=1), 10)
