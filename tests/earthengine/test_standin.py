"""The stand-in itself: what it computes, what it refuses."""

from __future__ import annotations

from typing import Any

import ee
import numpy as np
import numpy.typing as npt
import pytest
from affine import Affine
from pyproj import Transformer

from tests.earthengine.conftest import StandIn
from tests.earthengine.images import PixelGrid, RasterBand
from tests.earthengine.scenes import CRS, START, image, native_grid, speckle
from tests.earthengine.world import S1


@pytest.fixture
def client(standin: StandIn) -> StandIn:
    """The stand-in with the client started for it."""
    standin.source()._session.open()
    return standin


def pixels(expression: Any, grid: PixelGrid) -> npt.NDArray[Any]:
    names = ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")
    asked = {
        "dimensions": {"width": grid.width, "height": grid.height},
        "affineTransform": dict(zip(names, grid.transform, strict=False)),
        "crsCode": grid.crs,
    }
    answer: npt.NDArray[Any] = ee.data.computePixels(
        {"expression": expression, "fileFormat": "NUMPY_NDARRAY", "grid": asked}
    )
    return answer


def test_a_function_it_does_not_know_fails_by_name(client: StandIn) -> None:
    client.world.add([image("A")])
    with pytest.raises(ee.EEException, match=r"function Image\.cosh\(value\) is not simulated"):
        ee.Image(f"{S1}/A").cosh().bandNames().getInfo()


def test_an_argument_that_earth_engine_does_not_have_is_refused(client: StandIn) -> None:
    client.world.add([image("A")])
    body = {
        "functionName": "Image.load",
        "arguments": {"id": {"constantValue": f"{S1}/A"}, "size": {"constantValue": 1}},
    }
    request = {"expression": {"result": "0", "values": {"0": {"functionInvocationValue": body}}}}
    with pytest.raises(ee.EEException, match=r"Image\.load: Unknown argument 'size'"):
        ee.data._execute_cloud_call(
            ee.data._get_cloud_projects().value().compute(body=request, project=f"projects/{client.world.project}")
        )


def test_nearest_takes_the_native_pixel_that_holds_the_centre() -> None:
    band = RasterBand(np.arange(12.0).reshape(3, 4), np.ones((3, 4), dtype=bool), native_grid(width=4, height=3))
    moved = native_grid(col=0.4, row=-0.4, width=4, height=3)  # 4 m east and north: still the same pixels
    np.testing.assert_array_equal(band.read(moved).values, band.values)
    further = native_grid(col=0.6, width=4, height=3)  # 6 m east: the next ones, and none beyond the edge
    np.testing.assert_array_equal(band.read(further).values[:, :3], band.values[:, 1:])
    np.testing.assert_array_equal(band.read(further).mask[:, 3], [False] * 3)


def test_nearest_finds_its_pixels_through_another_crs() -> None:
    band = speckle(native_grid(), seed=1)
    lon, lat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(
        500_205.0, 3_899_855.0
    )  # row 14, col 20
    here = PixelGrid("EPSG:4326", Affine(1e-6, 0, lon - 0.5e-6, 0, -1e-6, lat + 0.5e-6), 1, 1)
    assert band.read(here).values.item() == band.values[14, 20]


def test_bilinear_is_the_mean_halfway_and_masked_beside_a_hole() -> None:
    band = speckle(native_grid(width=4, height=3), seed=1, hole=(slice(0, 1), slice(3, 4)))
    halfway = band.resampled("bilinear").read(native_grid(col=0.5, width=4, height=3))
    np.testing.assert_allclose(halfway.values[0, :2], (band.values[0, :2] + band.values[0, 1:3]) / 2)
    np.testing.assert_array_equal(
        halfway.mask, [[True, True, False, False], [True, True, True, False], [True, True, True, False]]
    )


def test_interpolation_on_the_native_grid_changes_nothing() -> None:
    band = speckle(native_grid(width=6, height=6), seed=1)
    for mode in ("bilinear", "bicubic"):
        np.testing.assert_allclose(band.resampled(mode).read(band.native).values, band.values, rtol=1e-12)


def test_collections_filter_map_and_aggregate_as_users_write_it(client: StandIn) -> None:
    client.world.add([image("A"), image("B", START.replace(day=25)), image("C", bands=["HH"]), image("D", mode="EW")])
    mine = (
        ee.ImageCollection(S1)
        .filterDate("2021-11-19", "2021-11-25")
        .filterBounds(ee.Geometry.Point([-116.998, 35.2415]))
        .filter(ee.Filter.listContains("transmitterReceiverPolarisation", "VV"))
        .filter(ee.Filter.eq("instrumentMode", "IW"))
    )
    assert mine.aggregate_array("system:index").getInfo() == ["A"]
    assert mine.map(lambda each: each.select("VH")).first().bandNames().getInfo() == ["VH"]
    assert ee.ImageCollection(S1).filterBounds(ee.Geometry.Point([0, 0])).size().getInfo() == 0
    assert client.world.requests("value:compute")


def test_getinfo_describes_an_image_as_earth_engine_does(client: StandIn) -> None:
    client.world.add([image("A", bands=["VV"])])
    info = ee.Image(f"{S1}/A").getInfo()
    assert info["id"] == f"{S1}/A"
    assert info["bands"][0]["crs_transform"] == [10, 0, 500_000, 0, -10, 3_900_000]
    assert ee.data.getAsset(f"{S1}/A")["geometry"]["type"] == "LinearRing"
