"""The contract, part two: which pixel comes where, and as what number."""

from __future__ import annotations

import io
from typing import Any

import ee
import numpy as np
import pyproj
import pytest
from odc.geo.geobox import GeoBox

from pipeline.sources.ee_requests import SENTINEL, grid_of
from tests.earthengine.contract.conftest import EDGE, INSIDE, Service, moved
from tests.earthengine.contract.scene import SCENE


def scene(*bands: str) -> Any:
    return ee.Image(SCENE).select(list(bands or ("VV",)))


# The grid


def test_on_the_scenes_own_grid_pixels_are_the_stored_ones(service: Service) -> None:
    """[B] ``affineTransform`` counts from the upper left corner of the first pixel: nothing is moved on the way."""
    asked = {"assetId": SCENE, "fileFormat": "NUMPY_NDARRAY", "grid": grid_of(INSIDE), "bandIds": ["VV"]}
    np.testing.assert_array_equal(service.read()[0], ee.data.getPixels(asked)["VV"].astype(np.float32))


@pytest.mark.parametrize(("east", "north"), [(4.0, -4.0), (-4.0, 4.0)])
def test_nearest_takes_the_pixel_that_holds_the_centre(service: Service, east: float, north: float) -> None:
    """[S] Nearest neighbour by default; [B] by the pixel's centre: 4 m aside is still the same pixel of 10 m."""
    np.testing.assert_array_equal(service.read(moved(INSIDE, east, north)), service.read())


def test_six_metres_further_is_the_next_pixel(service: Service) -> None:
    """[B] Beyond half a pixel nearest neighbour takes the next one, eastwards along columns, southwards along rows."""
    (here,), (there,) = service.read(), service.read(moved(INSIDE, 6.0, -6.0))
    np.testing.assert_array_equal(there[:-1, :-1], here[1:, 1:])


def test_a_window_in_parts_is_the_window(service: Service) -> None:
    """[B] A pixel does not depend on the window that it is asked for with."""
    (whole,) = service.read()
    parts = [service.read(INSIDE[:, cols])[0] for cols in (slice(0, 23), slice(23, 64))]
    np.testing.assert_array_equal(np.hstack(parts), whole)


def test_coordinates_are_those_of_pixel_centres(service: Service) -> None:
    """[B] ``pixelCoordinates`` in the request's own CRS: the first pixel's centre is half a pixel from the corner."""
    found = service.pixels(ee.Image.pixelCoordinates(ee.Projection(str(INSIDE.crs))))
    corner = INSIDE.affine
    assert found["x"][0, 0] == pytest.approx(corner.c + 5, abs=1e-3)
    assert found["y"][0, 0] == pytest.approx(corner.f - 5, abs=1e-3)
    assert found["x"][0, 1] - found["x"][0, 0] == pytest.approx(10)


def test_a_crs_may_be_told_in_words(service: Service) -> None:
    """[B] ``crsWkt`` in place of ``crsCode``, for a CRS without a code, gives the same pixels."""
    grid = {name: value for name, value in grid_of(INSIDE).items() if name != "crsCode"}
    grid["crsWkt"] = pyproj.CRS(str(INSIDE.crs)).to_wkt()
    asked = {"expression": scene(), "fileFormat": "NUMPY_NDARRAY", "grid": grid}
    np.testing.assert_array_equal(ee.data.computePixels(asked)["VV"], service.pixels(scene())["VV"])


# The file


def test_the_file_is_numpys_own_with_a_field_a_band_in_their_order(service: Service) -> None:
    """[S] NPY is a structured array, (height, width), one field a band; [B] in the expression's order."""
    wide = INSIDE[:20, :30]
    image = scene("VH", "VV").rename(["p0_VH", "p0_VV"]).toFloat().addBands(scene("VV").rename(["p1_VV"]).toFloat())
    raw = ee.data.computePixels({"expression": image, "fileFormat": "NPY", "grid": grid_of(wide)})
    found = np.load(io.BytesIO(raw), allow_pickle=False)
    assert found.shape == (20, 30)
    assert found.dtype.names == ("p0_VH", "p0_VV", "p1_VV")
    np.testing.assert_array_equal(found["p0_VV"], found["p1_VV"])
    np.testing.assert_array_equal(found["p0_VH"], service.read(wide, ("VH",))[0])


def test_floats_stay_floats_and_an_integer_beside_them_makes_doubles(service: Service) -> None:
    """[B] ``toFloat`` gives float32; unmask with an integer promotes to double, with a float image it doesn't."""
    image = scene().toFloat()
    assert service.pixels(image)["VV"].dtype == np.float32
    assert service.pixels(image.unmask(-9999, False))["VV"].dtype == np.float64
    assert service.pixels(image.unmask(ee.Image.constant(-9999).toFloat(), False))["VV"].dtype == np.float32


def test_masked_pixels_are_zero(service: Service) -> None:
    """[B] Masked pixels come back as 0, inside the footprint's box and outside: not to be told from data."""
    (known,) = service.read(EDGE)
    bare = service.pixels(scene(), EDGE)["VV"]
    assert np.isnan(known).any()
    assert (bare[np.isnan(known)] == 0).all()


def test_unmask_puts_the_sentinel_wherever_there_is_no_pixel(service: Service) -> None:
    """[S] ``unmask(value, False)`` fills outside the footprint too, and leaves what is valid as it was."""
    filled = service.pixels(scene().toFloat().unmask(ee.Image.constant(SENTINEL).toFloat(), False), EDGE)["VV"]
    bare = service.pixels(scene().toFloat(), EDGE)["VV"]
    assert (filled[:, 0] == SENTINEL).all()
    np.testing.assert_array_equal(filled[filled != SENTINEL], bare[filled != SENTINEL])
    assert (bare[filled == SENTINEL] == 0).all()


def test_outside_the_swath_is_nan_and_inside_is_not(service: Service) -> None:
    """[S] Nothing outside the swath, power inside."""
    (vv,) = service.read(EDGE)
    assert np.isnan(vv[:, 0]).all()
    assert np.isfinite(vv[:, -1]).all()


def test_power_is_linear_and_plausible(service: Service) -> None:
    """[S] COPERNICUS/S1_GRD_FLOAT is linear power, sigma0, not decibels."""
    vv, vh = service.read(INSIDE, ("VV", "VH"))
    assert np.isfinite([vv, vh]).all()
    assert 0.005 < np.median(vh) < np.median(vv) < 2


# Interpolation


def test_bilinear_weighs_the_four_pixels_around(service: Service) -> None:
    """[B] ``resample("bilinear")`` halfway between four pixels is their mean."""
    (vv,) = service.read()
    mean = (vv[:-1, :-1] + vv[1:, :-1] + vv[:-1, 1:] + vv[1:, 1:]) / 4
    halfway = service.pixels(scene().resample("bilinear"), moved(INSIDE, 5.0, -5.0)[:63, :63])["VV"]
    np.testing.assert_allclose(halfway, mean, rtol=1e-4)


def test_bicubic_is_keys_kernel(service: Service) -> None:
    """[B] ``resample("bicubic")`` is Keys' kernel with a = -1/2: -1, 9, 9, -1 sixteenths halfway."""
    (vv,) = service.read()
    weights = np.array([-1, 9, 9, -1]) / 16
    expected = sum(weights[i] * vv[:, i : 61 + i] for i in range(4))
    halfway = service.pixels(scene().resample("bicubic"), moved(INSIDE, 15.0)[:, :61])["VV"]
    np.testing.assert_allclose(halfway, expected, rtol=1e-3, atol=1e-5)


def test_interpolation_beside_a_masked_pixel_is_masked(service: Service) -> None:
    """[B] A point is masked where any pixel that weighs in is masked: a hole grows, it isn't filled from its rim."""
    image = scene()
    bright = image.updateMask(image.gt(0.1))
    masked = service.pixels(bright.mask())["VV"] == 0
    near = masked[:-1, :-1] | masked[1:, :-1] | masked[:-1, 1:] | masked[1:, 1:]
    halfway = service.pixels(bright.resample("bilinear").mask(), moved(INSIDE, 5.0, -5.0)[:63, :63])["VV"]
    assert masked.any()
    np.testing.assert_array_equal(halfway == 0, near)


# Images together


def test_the_last_valid_image_of_a_mosaic_is_on_top(service: Service) -> None:
    """[S] ``mosaic`` takes the last image of the list that is valid at a pixel, and keeps floats floats."""
    below, vv = ee.Image.constant(7).toFloat().rename(["VV"]), scene().toFloat()
    found = service.pixels(ee.ImageCollection([below, vv.updateMask(vv.gt(0.1))]).mosaic())["VV"]
    (known,) = service.read()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.where(known > np.float32(0.1), known, np.float32(7)))


def test_two_passes_in_one_request_are_each_itself(service: Service) -> None:
    """[B] Passes side by side in one request, with their own names, are those that come one by one."""
    source, item = service.source(), service.scene()
    one, other = source.read_many([item, item], INSIDE, ("VV", "VH"))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one, source.read(item, INSIDE, ("VV", "VH")))


# The angle


def test_the_angle_is_in_degrees_and_grows_away_from_the_radar(service: Service) -> None:
    """[S] ``angle`` is the incidence angle on the ellipsoid in degrees: about 30 to 46 over IW, growing with range."""
    wide = GeoBox((8, 64), EDGE.affine @ EDGE.affine.translation(70, 20) @ EDGE.affine.scale(8), EDGE.crs)
    (angle,) = service.read(wide, ("angle",))
    inside = angle[np.isfinite(angle)]
    assert inside.size > 60
    assert 28 < inside.min() < inside.max() < 48
    steps = np.diff(angle, axis=1)
    assert (steps[np.isfinite(steps)] > 0).all(), "an ascending pass looks east"


def test_the_angle_is_coarse_and_has_a_grid_of_its_own(service: Service) -> None:
    """[B] Nearest neighbour steps by up to half a degree, so it is interpolated: to a smooth field of 10 m pixels."""
    (smooth,) = service.read(INSIDE, ("angle",))
    assert 0 < np.abs(np.diff(smooth, axis=1)).max() < 0.01
    stepped = service.pixels(scene("angle"))["angle"]
    assert np.unique(stepped).size <= 4
    assert np.abs(stepped - smooth).max() < 0.8
