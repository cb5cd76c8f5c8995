from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer

from pipeline.passes import Pass, group
from pipeline.sources import Query
from pipeline.sources.archive import ArchiveSource
from pipeline.sources.archive.resample import resample
from tests.archive_rasters import AREA, FloatArray, archive, hyp3, opera, plain, speckle, window, write


def only_pass(source: ArchiveSource) -> Pass:
    (found,) = group(source.search(Query(AREA, None, None, ("VV",))))
    return found


def read(source: ArchiveSource, **geometry: object) -> FloatArray:
    pixels: FloatArray = source.read(only_pass(source), window(**geometry), ("VV",))[0]  # type: ignore[arg-type]
    return pixels


def same_bits(one: FloatArray, other: FloatArray) -> bool:
    return np.array_equal(one.view(np.uint32), other.view(np.uint32))


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic"])
@pytest.mark.parametrize("shift", [(0, 0), (7, -5), (-30, 20)])
def test_where_grids_nest_pixels_are_copied_bit_for_bit(
    tmp_path: Path, shift: tuple[int, int], resampling: str
) -> None:
    values = speckle()
    write(tmp_path / "20211119_VV.tif", values, tiled=True, blockxsize=16, blockysize=16)
    pixels = read(plain(tmp_path, resampling=resampling), shift=shift)
    expected = np.full((40, 50), np.nan, np.float32)
    cols, rows = np.meshgrid(np.arange(50) + shift[0], np.arange(40) + shift[1])
    inside = (rows >= 0) & (rows < 40) & (cols >= 0) & (cols < 50)
    expected[inside] = values[rows[inside], cols[inside]]
    assert inside.any()
    assert same_bits(pixels, expected)


def test_a_grid_that_is_off_by_rounding_only_nests(tmp_path: Path) -> None:
    values = speckle()
    write(tmp_path / "20211119_VV.tif", values)
    pixels = read(plain(tmp_path, resampling="bilinear"), shape=(30, 30), shift=(3 + 4e-7, 5 - 4e-7))
    assert same_bits(pixels, np.ascontiguousarray(values[5:35, 3:33]))


def test_half_a_pixel_off_nearest_moves_all_pixels_the_same_way(tmp_path: Path) -> None:
    values = speckle()
    write(tmp_path / "20211119_VV.tif", values, spacing=0.3)  # no multiple of it is exact in binary
    pixels = read(plain(tmp_path), shape=(38, 48), shift=(0.5, 0.5), spacing=0.3)
    np.testing.assert_array_equal(pixels, values[1:39, 1:49])


def test_bands_come_in_the_order_asked_for(tmp_path: Path) -> None:
    vv, vh = speckle(seed=1), speckle(seed=2)
    write(tmp_path / opera(), vv)
    write(tmp_path / opera(polarisation="VH"), vh)
    source = archive(tmp_path)
    np.testing.assert_array_equal(source.read(only_pass(source), window(), ("VH", "VV")), [vh, vv])


def test_where_bursts_overlap_the_first_valid_one_in_burst_order_wins_at_every_date(tmp_path: Path) -> None:
    first, second = speckle(seed=1), speckle(seed=2)
    first[:, 40:] = np.nan
    # times in both orders: the burst decides, not the clock
    for day, (early, late) in {"20211119": ("IW1", "IW2"), "20211201": ("IW2", "IW1")}.items():
        for subswath, second_of_start in ((early, "00"), (late, "01")):
            values, shift = (first, (0, 0)) if subswath == "IW1" else (second, (20, 0))
            name = opera(f"T137-292320-{subswath}", f"{day}T0159{second_of_start}")
            write(tmp_path / name, values, shift=shift)
    source = archive(tmp_path)
    expected = np.full((40, 70), np.nan, np.float32)
    expected[:, 20:70] = second
    expected[:, :40] = first[:, :40]
    passes = group(source.search(Query(AREA, None, None, ("VV",))))
    assert len(passes) == 2
    for one in passes:
        np.testing.assert_array_equal(source.read(one, window((40, 70)), ("VV",))[0], expected)


def test_a_raster_elsewhere_is_not_opened(tmp_path: Path) -> None:
    gone = write(tmp_path / opera("T137-292319-IW2"), speckle(), shift=(500, 0))
    write(tmp_path / opera(), speckle())
    source = archive(tmp_path)
    item = only_pass(source)
    gone.unlink()
    assert len(item.slices) == 2
    np.testing.assert_array_equal(source.read(item, window(), ("VV",))[0], speckle())


def test_all_that_is_no_data_becomes_nan(tmp_path: Path) -> None:
    values = speckle()
    expected = values.copy()
    for row, nothing in enumerate([np.nan, np.inf, -np.inf, -9999, 0.0, 123.0]):
        values[row], expected[row] = nothing, np.nan
    write(tmp_path / "20211119_VV.tif", values, nodata=-9999)
    np.testing.assert_array_equal(read(plain(tmp_path, nodata=123.0)), expected)


def test_a_mask_inside_the_file_becomes_nan(tmp_path: Path) -> None:
    values = speckle()
    mask = np.ones(values.shape, dtype=bool)
    mask[10:20, 5:15] = False
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write(tmp_path / "20211119_VV.tif", values)
        with rasterio.open(path, "r+") as file:
            file.write_mask(mask)
    np.testing.assert_array_equal(read(plain(tmp_path)), np.where(mask, values, np.nan))


def test_a_tile_without_any_data_is_all_nan(tmp_path: Path) -> None:
    write(tmp_path / "20211119_VV.tif", np.zeros((40, 50), np.float32))
    assert np.isnan(read(plain(tmp_path))).all()


def test_db_and_amplitude_become_linear_power(tmp_path: Path) -> None:
    power = speckle()
    write(tmp_path / "db/20211119_VV.tif", 10 * np.log10(power))
    write(tmp_path / "amplitude/20211119_VV.tif", np.sqrt(power))
    np.testing.assert_allclose(read(plain(tmp_path / "db", units="db")), power, rtol=1e-6)
    np.testing.assert_allclose(read(plain(tmp_path / "amplitude", units="amplitude")), power, rtol=1e-6)


def test_hyp3_names_tell_each_file_its_own_units(tmp_path: Path) -> None:
    power = speckle()
    write(tmp_path / hyp3("20211119T015858", "gpuned"), power)
    write(tmp_path / hyp3("20211201T015858", "gduned"), 10 * np.log10(power))
    write(tmp_path / hyp3("20211213T015858", "gauned"), np.sqrt(power))
    source = archive(tmp_path, "hyp3-rtc")
    for one in group(source.search(Query(AREA, None, None, ("VV",)))):
        np.testing.assert_allclose(source.read(one, window(), ("VV",))[0], power, rtol=1e-6)


def test_integers_with_scale_and_offset_are_decoded(tmp_path: Path) -> None:
    db = np.round(10 * np.log10(speckle()), 2).astype(np.float32)
    stored = np.round((db + 50) * 100).astype(np.uint16)
    stored[0] = 0
    path = write(tmp_path / "20211119_VV.tif", stored, nodata=0)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.01,), (-50.0,)
    pixels = read(plain(tmp_path, units="db"))
    assert np.isnan(pixels[0]).all()
    np.testing.assert_allclose(10 * np.log10(pixels[1:]), db[1:], atol=1e-4)


def test_nearest_takes_the_very_pixel_that_the_centre_lies_in_across_crs(tmp_path: Path) -> None:
    values = speckle((200, 220))
    write(tmp_path / "20211119_VV.tif", values)
    # the neighbouring zone's grid over the same ground
    x, y = Transformer.from_crs(32611, 32610, always_xy=True).transform(240_900, 3_839_200)
    shift = ((x - 240_000) / 10 // 1, (3_840_000 - y) / 10 // 1)
    grid = window((60, 70), shift, crs="EPSG:32610")
    source = plain(tmp_path)
    pixels = source.read(only_pass(source), grid, ("VV",))[0]
    back = Transformer.from_crs(32610, 32611, always_xy=True)
    for row, col in np.ndindex(60, 70):
        x, y = back.transform(*(grid.affine * (col + 0.5, row + 0.5)))
        assert pixels[row, col] == values[int((3_840_000 - y) // 10), int((x - 240_000) // 10)]


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic"])
@pytest.mark.parametrize("crs", ["EPSG:32611", "EPSG:32610", "EPSG:3310"])
def test_tiles_of_a_resampled_window_equal_the_whole(tmp_path: Path, crs: str, resampling: str) -> None:
    values = speckle((150, 150))
    values[60:70, 60:80] = np.nan
    write(tmp_path / "20211119_VV.tif", values)
    x, y = Transformer.from_crs(32611, crs, always_xy=True).transform(240_403, 3_839_504)
    shift = ((x - 240_000) / 10, (3_840_000 - y) / 10)
    source = plain(tmp_path, resampling=resampling)
    item = only_pass(source)
    grid = window((96, 96), shift, crs=crs)
    whole = source.read(item, grid, ("VV",))[0]
    assert np.isfinite(whole).mean() > 0.9
    assert np.isnan(whole).any()
    for rows in (slice(0, 32), slice(32, 96)):
        for cols in (slice(0, 48), slice(48, 96)):
            tile = source.read(item, grid[rows, cols], ("VV",))[0]
            assert same_bits(tile, np.ascontiguousarray(whole[rows, cols]))


def test_a_raster_that_is_stored_south_up_is_turned(tmp_path: Path) -> None:
    values = speckle()
    south_up = Affine(10, 0, 240_000, 0, 10, 3_840_000 - 400)
    write(tmp_path / "20211119_VV.tif", np.ascontiguousarray(values[::-1]), transform=south_up)
    assert same_bits(read(plain(tmp_path)), values)


def test_power_is_interpolated_and_not_decibels(tmp_path: Path) -> None:
    db = np.full((10, 10), -10, np.float32)
    db[:, 5:] = -20
    write(tmp_path / "20211119_VV.tif", db)
    pixels = read(plain(tmp_path, units="db", resampling="bilinear"), shape=(10, 9), shift=(0.5, 0))
    np.testing.assert_allclose(pixels[:, 4], (0.1 + 0.01) / 2, rtol=1e-6)


def test_bursts_in_two_utm_zones_make_one_mosaic(tmp_path: Path) -> None:
    values = speckle((100, 100), mean=0.1)
    write(tmp_path / opera("T137-292320-IW1"), values)
    x, y = Transformer.from_crs(32611, 32610, always_xy=True).transform(240_900, 3_840_100)
    shift = (round((x - 240_000) / 10), round((3_840_000 - y) / 10))
    write(tmp_path / opera("T137-292320-IW2"), 10 * values, shift=shift, crs="EPSG:32610")
    pixels = read(archive(tmp_path), shape=(80, 170))
    np.testing.assert_array_equal(pixels[:, :100], values[:80])
    # what the first burst lacks comes from the neighbouring zone, ten times as bright
    assert np.nanmean(pixels[:, 105:]) == pytest.approx(1.0, rel=0.1)
    assert np.isfinite(pixels[20:, 105:165]).all()


def test_many_threads_read_what_one_reads(tmp_path: Path) -> None:
    for day in range(10, 30):
        write(tmp_path / f"202111{day}_VV.tif", speckle(seed=day))
    source = plain(tmp_path)
    passes = group(source.search(Query(AREA, None, None, ("VV",))))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda one: source.read(one, window(), ("VV",))[0], passes))
    for day, pixels in zip(range(10, 30), results, strict=True):
        assert same_bits(pixels, speckle(seed=day))


class TestResample:
    rows, cols = np.mgrid[3:12:0.37, 3:12:0.41]

    def plane(self, rows: npt.NDArray[np.float64], cols: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return 2 + 0.3 * rows + 0.7 * cols

    @pytest.mark.parametrize("method", ["bilinear", "cubic"])
    def test_a_plane_stays_a_plane(self, method: str) -> None:
        source = self.plane(*(np.mgrid[0:16, 0:16] + 0.5)).astype(np.float32)
        result = resample(source, self.rows, self.cols, method)  # type: ignore[arg-type]
        np.testing.assert_allclose(result, self.plane(self.rows, self.cols), rtol=1e-6)

    @pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic"])
    def test_pixel_centres_give_the_pixels(self, method: str) -> None:
        source = speckle((16, 16))
        rows, cols = np.mgrid[0:16, 0:16] + 0.5
        assert same_bits(resample(source, rows, cols, method), source)  # type: ignore[arg-type]

    @pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic"])
    def test_missing_pixels_stay_missing_and_do_not_grow(self, method: str) -> None:
        source = speckle((16, 16))
        source[5:8, 6:9] = np.nan
        result = resample(source, self.rows, self.cols, method)  # type: ignore[arg-type]
        hole = np.isnan(source[self.rows.astype(int), self.cols.astype(int)])
        assert hole.any()
        np.testing.assert_array_equal(np.isnan(result), hole)

    def test_cubic_never_undershoots_to_no_power(self) -> None:
        source = np.full((16, 16), 1e-3, np.float32)
        source[8, 8] = 1e3  # a ship on the sea
        result = resample(source, self.rows, self.cols, "cubic")
        assert result.min() > 0
        assert result.max() > 100

    def test_positions_outside_are_missing(self) -> None:
        positions = np.array([-1e9, -0.01, 0.0, 15.99, 16.0])
        result = resample(speckle((16, 16)), positions, positions, "nearest")
        np.testing.assert_array_equal(np.isnan(result), [True, True, False, False, True])
