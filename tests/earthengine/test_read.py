"""The earthengine source, through the real client: what it reads."""

from __future__ import annotations

import datetime as dt
import io
import json
from concurrent.futures import ThreadPoolExecutor

import ee
import numpy as np
import pytest
from google.oauth2.credentials import Credentials
from odc.geo.geobox import GeoBox
from shapely.geometry import box

from pipeline.errors import CohmapError
from pipeline.passes import Pass, Slice, Track, group
from pipeline.sources import FloatArray
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_failures import Garbled
from pipeline.sources.ee_requests import Part, decode
from tests.earthengine.conftest import HERE, StandIn, query
from tests.earthengine.faults import Fault
from tests.earthengine.graph import function_names
from tests.earthengine.images import PixelGrid, RasterBand, sentinel1
from tests.earthengine.scenes import CRS, START, image, native_grid, speckle
from tests.earthengine.world import S1


def window(grid: PixelGrid) -> GeoBox:
    return GeoBox((grid.height, grid.width), grid.transform, grid.crs)


def only_pass(source: EarthEngineSource, bands: tuple[str, ...] = ("VV",)) -> Pass:
    (item,) = group(source.search(query(bands=bands)))
    return item


def read(standin: StandIn, grid: PixelGrid, bands: tuple[str, ...] = ("VV",), **settings: object) -> FloatArray:
    source = standin.source(**settings)
    return source.read(only_pass(source, bands), window(grid), bands)


def test_what_is_sent_is_one_small_explicit_request(standin: StandIn) -> None:
    standin.world.add([image("A")])
    read(standin, native_grid(width=8, height=6))
    (request,) = standin.world.requests("computePixels")
    assert request.body["fileFormat"] == "NPY"
    assert request.body["grid"] == {
        "dimensions": {"width": 8, "height": 6},
        "affineTransform": {
            "scaleX": 10, "shearX": 0, "translateX": 500_000, "shearY": 0, "scaleY": -10, "translateY": 3_900_000
        },
        "crsCode": CRS,
    }  # fmt: skip
    assert function_names(request.body["expression"]) == {
        "Image.load",
        "Image.select",
        "Image.rename",
        "Image.gt",
        "Image.updateMask",
        "Image.toFloat",
        "Image.constant",
        "ImageCollection.fromImages",
        "ImageCollection.mosaic",
        "Image.unmask",
    }


def test_a_window_reads_the_bands_in_the_order_asked_for(standin: StandIn) -> None:
    grid = native_grid()
    scene = image("A", grid=grid)
    standin.world.add([scene])
    values = read(standin, grid, ("VH", "VV"))
    assert values.dtype == np.float32
    assert values.shape == (2, 30, 40)
    np.testing.assert_array_equal(values[0], scene.bands["VH"].read(grid).values)
    np.testing.assert_array_equal(values[1], scene.bands["VV"].read(grid).values)


def test_masked_pixels_and_those_outside_are_nan(standin: StandIn) -> None:
    band = speckle(native_grid(), 1, hole=(slice(5, 9), slice(7, 12)))
    standin.world.add([sentinel1(f"{S1}/A", {"VV": band}, START)])
    (values,) = read(standin, native_grid(col=-5, row=-5, width=50, height=40))
    np.testing.assert_array_equal(np.isnan(values[5:35, 5:45]), ~band.mask)
    assert np.isnan(values[:5]).all()
    assert np.isnan(values[:, 45:]).all()


def test_power_of_exactly_zero_is_no_data_but_an_angle_of_zero_is_one(standin: StandIn) -> None:
    zeros = np.zeros((30, 40))
    band = RasterBand(zeros, np.ones_like(zeros, dtype=bool), native_grid())
    standin.world.add([sentinel1(f"{S1}/A", {"VV": band, "angle": band}, START)])
    power, angle = read(standin, native_grid(width=39, height=29), ("VV", "angle"))
    assert np.isnan(power).all()
    assert (angle == 0).all()


def test_a_coarse_angle_is_interpolated_not_stepped(standin: StandIn) -> None:
    coarse = native_grid(col=-100, row=-100, width=4, height=4, spacing=1000.0)
    slope = RasterBand(np.tile(np.arange(4.0) + 30, (4, 1)), np.ones((4, 4), dtype=bool), coarse)
    standin.world.add([sentinel1(f"{S1}/A", {"VV": speckle(native_grid(), 1), "angle": slope}, START)])
    _, angle = read(standin, native_grid(), ("VV", "angle"))
    eastwards = 30 + (native_grid().centres()[0] - 499_000 - 500) / 1000
    np.testing.assert_allclose(angle, eastwards, rtol=1e-6)
    _, beyond = read(standin, native_grid(col=300), ("VV", "angle"))
    assert np.isnan(beyond).all()


def test_where_slices_overlap_the_first_of_the_pass_wins(standin: StandIn) -> None:
    first, second = image("A", START), image("B", START + dt.timedelta(seconds=3), native_grid(col=10))
    standin.world.add([second, first])
    wide = native_grid(width=50)
    (values,) = read(standin, wide)
    np.testing.assert_array_equal(values[:, :40], first.bands["VV"].read(wide).values[:, :40])
    np.testing.assert_array_equal(values[:, 40:], second.bands["VV"].read(wide).values[:, 40:])


def test_fill_of_the_first_slice_does_not_hide_the_second(standin: StandIn) -> None:
    grid = native_grid()
    values = speckle(grid, 1).values.copy()
    values[:, 30:] = 0
    everywhere = np.ones_like(values, dtype=bool)
    filled = sentinel1(f"{S1}/A", {"VV": RasterBand(values, everywhere, grid)}, START)
    second = image("B", START + dt.timedelta(seconds=3))
    standin.world.add([filled, second])
    (got,) = read(standin, grid)
    np.testing.assert_array_equal(got[:, :30], values[:, :30])
    np.testing.assert_array_equal(got[:, 30:], second.bands["VV"].read(grid).values[:, 30:])


def test_resampling_is_nearest_unless_the_settings_say_otherwise(standin: StandIn) -> None:
    scene = image("A")
    standin.world.add([scene])
    shifted = native_grid(col=3.3, row=3.3, width=20, height=20)
    (nearest,) = read(standin, shifted)
    (bilinear,) = read(standin, shifted, resampling="bilinear")
    (cubic,) = read(standin, shifted, resampling="cubic")
    np.testing.assert_array_equal(nearest, scene.bands["VV"].read(native_grid(3, 3, 20, 20)).values)
    np.testing.assert_allclose(bilinear, scene.bands["VV"].resampled("bilinear").read(shifted).values, rtol=1e-6)
    assert bilinear.std() < 0.9 * nearest.std()
    assert not np.array_equal(cubic, bilinear)


def test_a_source_may_read_before_it_searches(standin: StandIn) -> None:
    standin.world.add([image("A")])
    item = only_pass(standin.source())
    ee.Reset()  # as in a new process
    fresh = EarthEngineSource(standin.settings(), credentials=Credentials(standin.world.token))
    assert np.isfinite(fresh.read(item, window(native_grid()), ("VV",))).all()


def test_windows_may_be_read_from_several_threads(standin: StandIn) -> None:
    scene = image("A")
    standin.world.add([scene])
    source = standin.source(requests=5)
    item, whole = only_pass(source), window(native_grid())
    with ThreadPoolExecutor(source.requests) as pool:
        columns = pool.map(lambda col: source.read(item, whole[:, col : col + 2], ("VV",))[0], range(0, 40, 2))
    np.testing.assert_array_equal(np.hstack(list(columns)), scene.bands["VV"].read(native_grid()).values)


def test_a_window_far_from_every_slice_asks_for_nothing(standin: StandIn) -> None:
    standin.world.add([image("A")])
    (values,) = read(standin, native_grid(col=5000))
    assert np.isnan(values).all()
    assert not standin.world.requests("computePixels")


def test_only_slices_near_the_window_are_in_the_request(standin: StandIn) -> None:
    standin.world.add([image("A"), image("B", START + dt.timedelta(seconds=25), native_grid(row=2000))])
    source = standin.source()
    (item,) = group(source.search(query(area=box(-118, 34, -116, 36))))
    assert len(item.slices) == 2
    source.read(item, window(native_grid()), ("VV",))
    (request,) = standin.world.requests("computePixels")
    assert f"{S1}/A" in json.dumps(request.body)
    assert f"{S1}/B" not in json.dumps(request.body)


@pytest.mark.parametrize(
    "refusal",
    [
        "Total request size (60000000 bytes) must be less than or equal to 50331648 bytes.",
        "User memory limit exceeded.",
        "Computation timed out.",
    ],
)
def test_a_window_that_is_too_much_at_once_comes_in_quarters(standin: StandIn, refusal: str) -> None:
    grid = native_grid(width=101, height=77)
    scene = image("A", grid=grid)
    standin.world.add([scene])
    whole = read(standin, grid)
    standin.world.fail(Fault("computePixels", 400, refusal))
    in_quarters = read(standin, grid)
    np.testing.assert_array_equal(in_quarters, whole)
    assert len(standin.world.requests("computePixels")) == 1 + 1 + 4


def test_a_window_beyond_the_limit_is_split_before_it_is_asked_for(standin: StandIn) -> None:
    tall = native_grid(width=2, height=32_769 + 1)
    scene = image("A", grid=native_grid(width=2))
    standin.world.add([scene])
    (values,) = read(standin, tall)
    np.testing.assert_array_equal(values[:30], scene.bands["VV"].read(native_grid(width=2)).values)
    sizes = [request.body["grid"]["dimensions"] for request in standin.world.requests("computePixels")]
    assert sizes == [{"width": 1, "height": 16_385}] * 4


def test_a_small_window_that_is_still_too_much_ends_with_a_sentence(standin: StandIn) -> None:
    standin.world.add([image("A")])
    standin.world.fail(Fault("computePixels", 400, "User memory limit exceeded.", times=99))
    with pytest.raises(CohmapError, match="can't compute even 30 x 40 pixels of pass S1A_20211119T015904: User"):
        read(standin, native_grid())
    assert len(standin.world.requests("computePixels")) == 1


def test_an_asset_that_has_gone_is_named(standin: StandIn) -> None:
    gone = Slice(f"{S1}/gone", "1", "S1A", START, Track("ascending", 137), {"VV": f"{S1}/gone"}, HERE)
    item = Pass("S1A", gone.track, START, (gone,))
    with pytest.raises(CohmapError, match=r"pass S1A_20211119T015904.*'COPERNICUS/S1_GRD_FLOAT/gone' not found"):
        standin.source().read(item, window(native_grid()), ("VV",))


def test_a_band_that_is_not_there_is_named(standin: StandIn) -> None:
    standin.world.add([image("A")])
    source = standin.source()
    with pytest.raises(CohmapError, match=r"pass S1A_20211119T015904: Image.select: Band pattern 'HH' did not match"):
        source.read(only_pass(source), window(native_grid()), ("HH",))


@pytest.mark.parametrize(
    ("fields", "shape"),
    [([("p0_VV", "<f4")], (3, 5)), ([("VV", "<f4")], (4, 5)), ([("p0_VV", "<i4")], (4, 5))],
    ids=["shape", "band", "kind"],
)
def test_an_answer_that_was_not_asked_for_is_refused(fields: list[tuple[str, str]], shape: tuple[int, int]) -> None:
    answer = io.BytesIO()
    np.save(answer, np.zeros(shape, dtype=fields))
    part = Part("P", (), np.empty((1, 4, 5), np.float32))
    with pytest.raises(Garbled, match=r"pixels of shape .* instead of floating bands VV of shape \(4, 5\)"):
        decode(answer.getvalue(), [part], ["VV"])
