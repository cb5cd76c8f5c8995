"""What the stand-in believes of Earth Engine, put to the real one.

Needs an account, and a Google Cloud project registered for Earth Engine::

    earthengine authenticate
    COHMAP_EE_PROJECT=my-project pytest -m live tests/live

COHMAP_EE_URL, where given, is another address of the interface. It reads about 100 kB of one scene of 2019. What fails
here is a belief to correct in tests/earthengine.
"""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

import ee
import numpy as np
import numpy.typing as npt
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry import Point, Polygon, box

from pipeline import config
from pipeline.errors import CohmapError
from pipeline.passes import Pass, Track, group
from pipeline.sources import Query
from pipeline.sources.earthengine import EarthEngineSource

pytestmark = [
    pytest.mark.live,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif("COHMAP_EE_PROJECT" not in os.environ, reason="COHMAP_EE_PROJECT names no project"),
]

DAY = dt.date(2019, 12, 2)
SCENE = "COPERNICUS/S1_GRD_FLOAT/S1A_IW_GRDH_1SDV_20191202T163455_20191202T163520_030172_0372A4_67BA"
MIDDLE = (19.0, 49.2)
# Near the scene's middle, on its own pixel grid: 15,000 columns and 11,000 rows from its corner.
WINDOW = GeoBox((64, 64), Affine(10, 0, 190615.1700898306 + 150_000, 0, -10, 5568907.024637105 - 110_000), "EPSG:32634")
# Across the swath's western edge, about 17.13 E 49.02 N: left of it every pixel is masked.
EDGE = GeoBox((64, 64), Affine(400, 0, 205_000, 0, -400, 5_447_000), "EPSG:32634")


@pytest.fixture(scope="module")
def source() -> EarthEngineSource:
    settings = {"kind": "earthengine", "url": os.environ.get("COHMAP_EE_URL")}
    return EarthEngineSource(config.EarthEngineSource.model_validate(settings), os.environ["COHMAP_EE_PROJECT"])


@pytest.fixture(scope="module")
def item(source: EarthEngineSource) -> Pass:
    (found,) = group(source.search(Query(Point(MIDDLE).buffer(0.02), DAY, DAY, ("VV", "VH", "angle"))))
    return found


def grid(window: GeoBox) -> dict[str, Any]:
    names = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
    return {
        "dimensions": {"width": window.shape[1], "height": window.shape[0]},
        "affineTransform": dict(zip(names, list(window.affine)[:6], strict=True)),
        "crsCode": str(window.crs),
    }


def pixels(image: Any, window: GeoBox = EDGE) -> npt.NDArray[Any]:
    """The band VV of an expression of the test's own."""
    parameters = {"expression": image, "fileFormat": "NUMPY_NDARRAY", "grid": grid(window)}
    answer: npt.NDArray[Any] = ee.data.computePixels(parameters)["VV"]
    return answer


def test_a_known_scene_is_found(item: Pass) -> None:
    (piece,) = item.slices
    assert piece.id == SCENE
    assert (piece.platform, piece.track, piece.data_take) == ("S1A", Track("ascending", 175), "225956")
    assert isinstance(piece.footprint, Polygon)
    assert piece.footprint.contains(Point(MIDDLE))
    assert piece.updated


def test_the_day_before_and_the_day_after_do_not_have_it(source: EarthEngineSource) -> None:
    one = dt.timedelta(days=1)
    for day in (DAY - one, DAY + one):
        found = source.search(Query(box(18.9, 49.1, 19.1, 49.3), day, day, ("VV",)))
        assert SCENE not in [piece.id for piece in found]


def test_a_window_holds_plausible_power_and_angles(source: EarthEngineSource, item: Pass) -> None:
    vv, vh, angle = source.read(item, WINDOW, ("VV", "VH", "angle"))
    assert np.isfinite([vv, vh, angle]).all()
    assert 0.005 < np.median(vh) < np.median(vv) < 2
    assert 29 < angle.min() <= angle.max() < 47


def test_on_the_scenes_own_grid_pixels_are_the_stored_ones(source: EarthEngineSource, item: Pass) -> None:
    (vv,) = source.read(item, WINDOW, ("VV",))
    parameters = {"assetId": SCENE, "fileFormat": "NUMPY_NDARRAY", "grid": grid(WINDOW), "bandIds": ["VV"]}
    np.testing.assert_array_equal(vv, ee.data.getPixels(parameters)["VV"].astype(np.float32))


def test_a_window_in_parts_is_the_window(source: EarthEngineSource, item: Pass) -> None:
    (whole,) = source.read(item, WINDOW, ("VV",))
    parts = [source.read(item, WINDOW[:, cols], ("VV",))[0] for cols in (slice(0, 23), slice(23, 64))]
    np.testing.assert_array_equal(np.hstack(parts), whole)


def test_outside_the_swath_is_nan_and_inside_is_not(source: EarthEngineSource, item: Pass) -> None:
    (vv,) = source.read(item, EDGE, ("VV",))
    assert np.isnan(vv[:, 0]).all()
    assert np.isfinite(vv[:, -1]).all()


def test_belief_masked_pixels_are_zero_in_npy(source: EarthEngineSource, item: Pass) -> None:
    (vv,) = source.read(item, EDGE, ("VV",))
    bare = pixels(ee.Image(SCENE).select(["VV"]))
    assert (bare[np.isnan(vv)] == 0).all()


def test_belief_an_integer_in_unmask_makes_doubles_and_a_float_keeps_floats(item: Pass) -> None:
    del item  # the client is started
    image = ee.Image(SCENE).select(["VV"]).toFloat()
    assert pixels(image.unmask(-9999, False)).dtype == np.float64
    assert pixels(image.unmask(ee.Image.constant(-9999).toFloat(), False)).dtype == np.float32


def test_belief_bilinear_weighs_the_four_pixels_around(source: EarthEngineSource, item: Pass) -> None:
    (vv,) = source.read(item, WINDOW, ("VV",))
    corner = WINDOW.affine
    halfway = GeoBox((63, 63), Affine(10, 0, corner.c + 5, 0, -10, corner.f - 5), WINDOW.crs)
    mean = (vv[:-1, :-1] + vv[1:, :-1] + vv[:-1, 1:] + vv[1:, 1:]) / 4
    bilinear = pixels(ee.Image(SCENE).select(["VV"]).resample("bilinear"), halfway)
    np.testing.assert_allclose(bilinear, mean, rtol=1e-4)


def test_belief_a_collection_that_is_not_there_is_named(source: EarthEngineSource) -> None:
    del source
    missing = config.EarthEngineSource.model_validate(
        {"kind": "earthengine", "url": os.environ.get("COHMAP_EE_URL"), "collection": "COPERNICUS/NO_SUCH"}
    )
    with pytest.raises(CohmapError, match="'COPERNICUS/NO_SUCH' is not on Earth Engine"):
        EarthEngineSource(missing, os.environ["COHMAP_EE_PROJECT"]).search(
            Query(Point(MIDDLE).buffer(0.02), DAY, DAY, ("VV",))
        )
