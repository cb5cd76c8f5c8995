"""Maps read small and drawn: decimation, colours, no data, scale, and size."""

from __future__ import annotations

import datetime as dt
import io
import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from affine import Affine
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from PIL import Image
from scipy import ndimage

from pipeline.errors import CohmapError
from pipeline.figures import (
    PairValue,
    baseline_colours,
    degrees_text,
    draw_by_baseline,
    draw_map,
    draw_over_time,
    nice_length,
)
from pipeline.quicklook import (
    CHANGED,
    COHERENCE,
    LONGEST,
    NO_DATA,
    Averager,
    MapImage,
    backscatter_style,
    count_style,
    decibels,
    read_cog,
    score_style,
    sigma_style,
    thumbnail,
)
from pipeline.region import Tile

CORNER = Affine(10.0, 0.0, 650000.0, 0.0, -10.0, 5320000.0)
UTM = CRS("EPSG:32632")


def image_of(values: npt.ArrayLike) -> MapImage:
    pixels = np.asarray(values, dtype=np.float32)
    return MapImage(pixels, GeoBox(pixels.shape, CORNER, UTM), 1)


def pixels_of(png: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def rgb(colour: str) -> npt.NDArray[np.int64]:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def write_raster(path: Path, values: npt.NDArray[np.generic], nodata: float) -> str:
    profile = {
        "driver": "GTiff",
        "dtype": str(values.dtype),
        "nodata": nodata,
        "crs": "EPSG:32632",
        "transform": CORNER,
    }
    with rasterio.open(path, "w", height=values.shape[0], width=values.shape[1], count=1, **profile) as dataset:
        dataset.write(values, 1)
    return str(path)


def test_a_large_map_is_read_as_averages_on_a_coarser_grid(tmp_path: Path) -> None:
    values = np.arange(400 * 600, dtype=np.float32).reshape(400, 600)
    image = read_cog(write_raster(tmp_path / "map.tif", values, math.nan), longest=150)
    assert image.values.shape == (100, 150)
    assert image.step == 4
    assert image.grid.affine[:6] == (40.0, 0.0, 650000.0, 0.0, -40.0, 5320000.0)
    np.testing.assert_allclose(image.values, values.reshape(100, 4, 150, 4).mean(axis=(1, 3)), rtol=1e-5)


def test_no_data_stays_no_data_and_does_not_spoil_averages(tmp_path: Path) -> None:
    values = np.full((8, 8), 0.5, dtype=np.float32)
    values[:4, :4] = np.nan
    values[0, 4] = np.nan
    image = read_cog(write_raster(tmp_path / "map.tif", values, math.nan), longest=2)
    assert np.isnan(image.values[0, 0])
    np.testing.assert_allclose(image.values[[0, 1, 1], [1, 0, 1]], 0.5)


def test_classes_are_read_by_majority(tmp_path: Path) -> None:
    values = np.zeros((4, 4), dtype=np.uint8)
    values[:2, :2] = [[1, 1], [1, 0]]
    values[2:, 2:] = 255
    image = read_cog(write_raster(tmp_path / "mask.tif", values, 255), longest=2)
    np.testing.assert_array_equal(image.values, [[1, 0], [0, np.nan]])


def test_a_small_map_is_read_as_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((30, 20), dtype=np.float32)
    image = read_cog(write_raster(tmp_path / "map.tif", values, math.nan))
    np.testing.assert_array_equal(image.values, values)
    assert image.step == 1


def test_a_missing_map_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CohmapError, match=r"gone.tif can't be read .* give `cohmap run` again"):
        read_cog(str(tmp_path / "gone.tif"))


def test_tiles_average_as_the_whole_map_does() -> None:
    size, shape = 16, (48, 40)
    values = np.random.default_rng(1).random(shape, dtype=np.float32)
    values[5:9, 11:30] = np.nan
    averager = Averager(GeoBox(shape, CORNER, UTM), longest=16)  # three pixels a dot: tiles and dots don't nest
    for row in range(3):
        for col in range(3):
            tile = Tile(row, col, size, shape)
            averager.add(tile, values[tile.rows, tile.cols])
    image = averager.image()
    padded = np.pad(values, ((0, 0), (0, 2)), constant_values=np.nan).reshape(16, 3, 14, 3)
    counts = np.isfinite(padded).sum(axis=(1, 3))
    expected = np.nansum(padded, axis=(1, 3))[counts > 0] / counts[counts > 0]
    np.testing.assert_allclose(image.values[counts > 0], expected, rtol=1e-5)
    assert np.isnan(image.values[counts == 0]).all()
    assert image.grid.affine.a == 30


def test_a_dot_knows_its_place_on_the_earth() -> None:
    lon, lat = image_of(np.zeros((100, 100))).place(50, 50)
    x, y = CRS("EPSG:4326").transformer_to_crs(UTM)(lon, lat)
    assert (x, y) == pytest.approx((650500.0, 5319500.0), abs=1e-3)


def test_coherence_is_always_drawn_from_nought_to_one() -> None:
    for level in (0.2, 0.9):
        picture = pixels_of(draw_map(image_of(np.full((200, 200), level)), COHERENCE, "Flat"))
        expected = np.array(mpl.colormaps["viridis"](level)[:3]) * 255
        np.testing.assert_allclose(picture[picture.shape[0] // 2, 200], expected, atol=8)


def test_no_data_is_neutral_grey() -> None:
    values = np.full((200, 200), 0.5)
    values[:, :100] = np.nan
    small = pixels_of(thumbnail(image_of(values), COHERENCE))
    np.testing.assert_allclose(small[100, 20], rgb(NO_DATA), atol=3)
    large = pixels_of(draw_map(image_of(values), COHERENCE, "Half"))
    np.testing.assert_allclose(large[large.shape[0] // 2, 100], rgb(NO_DATA), atol=3)
    assert np.abs(large[large.shape[0] // 2, 350].astype(int) - rgb(NO_DATA)).max() > 30


def test_classes_have_their_own_colours() -> None:
    picture = pixels_of(thumbnail(image_of([[0.0, 1.0], [1.0, math.nan]]), CHANGED))
    np.testing.assert_array_equal(picture[0, 0], rgb(CHANGED.classes[0][1]))
    np.testing.assert_array_equal(picture[0, 1], rgb(CHANGED.classes[1][1]))


def test_scores_are_symmetrical_and_backscatter_follows_the_data() -> None:
    scores = score_style(image_of(np.linspace(-2, 6, 10_000).reshape(100, 100)))
    assert scores.low == -scores.high
    assert scores.high == 6
    power = decibels(image_of([[0.1, 0.01], [0.0, -1.0]]))
    np.testing.assert_allclose(power.values, np.array([[-10.0, -20.0], [math.nan, math.nan]]), atol=1e-4)
    style = backscatter_style(power, "VV")
    assert (style.low, style.high) == (-20, -10)


@pytest.mark.parametrize("style", [score_style, sigma_style, count_style, lambda image: backscatter_style(image, "VV")])
def test_a_map_without_data_is_drawn_all_the_same(style: object) -> None:
    image = image_of(np.full((50, 50), np.nan))
    assert callable(style)
    assert draw_map(image, style(image), "Nothing").startswith(b"\x89PNG")


def test_counts_get_one_colour_a_number() -> None:
    style = count_style(image_of([[3, 4], [5, 5]]))
    colours, norm = style.scale()
    assert len({tuple(colours(norm(value))) for value in (3, 4, 5)}) == 3
    assert (style.low, style.high, style.whole) == (3, 5, True)


def test_pictures_are_small_and_the_same_at_every_run() -> None:
    speckle = np.random.default_rng(2).normal(size=(LONGEST, LONGEST))
    image = image_of(0.5 + 6 * ndimage.gaussian_filter(speckle, 6))  # about as an estimator's window leaves it
    first, second = (draw_map(image, COHERENCE, "Mean coherence VV at 12 days") for _ in range(2))
    assert first == second
    assert len(first) < 150_000
    assert thumbnail(image, COHERENCE) == thumbnail(image, COHERENCE)


@pytest.mark.parametrize(("longest", "length"), [(3000, 2000), (999, 500), (1000, 1000), (0.7, 0.5), (150, 100)])
def test_scale_bars_have_round_lengths(longest: float, length: float) -> None:
    assert nice_length(longest) == pytest.approx(length)


def test_places_are_written_as_people_write_them() -> None:
    assert degrees_text(11.0223, 48.05) == "48.050° N, 11.022° E"
    assert degrees_text(-70.5, -33.4567) == "33.457° S, 70.500° W"


def series(number: int, value: float = 0.5) -> list[PairValue]:
    start = dt.datetime(2023, 1, 4, tzinfo=dt.UTC)
    step = dt.timedelta(days=12)
    return [
        PairValue(start + n * step, start + (n + 1) * step, 12, value, value - 0.1, value + 0.1) for n in range(number)
    ]


def test_series_are_drawn_long_short_and_empty() -> None:
    event = dt.date(2023, 3, 15)
    for values in (series(3), series(150), series(4, math.nan), []):
        assert len(draw_over_time([("VV", values)], event, "coherence")) < 60_000
        assert len(draw_by_baseline([("VV", values), ("VH", values)])) < 60_000


def test_a_drop_moves_the_curve() -> None:
    high, low = (draw_over_time([("VV", series(5, value))], None, "coherence") for value in (0.8, 0.2))
    assert high != low


def test_baselines_keep_their_colours_apart() -> None:
    colours = baseline_colours([6, 12, 24, 360])
    assert list(colours) == [6, 12, 24, 360]
    assert len(set(colours.values())) == 4
