"""The main job end to end on a small archive: maps, their files, what others read from them, and the seams."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rio_cogeo.cogeo import cog_validate

from tests.archive_files import region_file, write_archive, write_tif
from tests.conftest import Command


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("images"), bands=("VV", "VH"))


BOTH = 'polarisations = ["VV", "VH"]'


def run(cohmap: Command, region: Path, *options: str) -> Path:
    output = region.parent / "out"
    answer = cohmap("run", str(region), "--output", str(output), "--workers", "0", *options)
    assert (answer.code, answer.err) == (0, "")
    return output


def test_one_command_makes_every_product(cohmap: Command, tmp_path: Path, images: Path) -> None:
    region = region_file(tmp_path / "r.toml", images, passes=BOTH, change="event = 2023-02-15")
    output = run(cohmap, region)
    made = sorted(str(path.relative_to(output / "products")) for path in (output / "products").rglob("*.tif"))
    pairs = ["20230104_20230116", "20230116_20230128", "20230128_20230209", "20230209_20230221"]
    assert made == sorted(
        [f"coherence/ascending-015/{pair}_{band}.tif" for pair in pairs for band in ("vv", "vh")]
        + [f"mean/ascending-015_012d_{band}.tif" for band in ("vv", "vh")]
        + [f"change/ascending-015_20230215_{what}.tif" for what in ("mask", "score")]
    )
    assert (output / "report.html").exists()
    assert (output / "catalog/collection.json").exists()


def test_the_last_line_says_where_the_results_lie(cohmap: Command, tmp_path: Path, images: Path) -> None:
    region = region_file(tmp_path / "r.toml", images)
    answer = cohmap("run", str(region), "--output", str(tmp_path / "out"), "--workers", "0")
    assert "report.html" in answer.out.strip().splitlines()[-1]


def test_quiet_is_quiet(cohmap: Command, tmp_path: Path, images: Path) -> None:
    region = region_file(tmp_path / "r.toml", images)
    assert cohmap("run", str(region), "--output", str(tmp_path / "out"), "--workers", "0", "--quiet").out == ""


def test_every_map_is_a_valid_cog_that_says_what_it_is(cohmap: Command, tmp_path: Path, images: Path) -> None:
    output = run(cohmap, region_file(tmp_path / "r.toml", images, change="event = 2023-02-15"))
    for path in (output / "products").rglob("*.tif"):
        valid, errors, warnings = cog_validate(path, strict=True)
        assert valid, (path, errors, warnings)
    with rasterio.open(output / "products/coherence/ascending-015/20230104_20230116_vv.tif") as dataset:
        assert dataset.crs.to_epsg() == 32632
        assert dataset.transform[:6] == (10.0, 0.0, 652800.0, 0.0, -10.0, 5319680.0)
        assert dataset.descriptions == ("coherence", "sigma")
        assert np.isnan(dataset.nodata)
        tags = dataset.tags()
    assert tags["REFERENCE_DATE"] == "2023-01-04T17:14:12+00:00"
    assert tags["SECONDARY_DATE"] == "2023-01-16T17:14:12+00:00"
    assert tags["TEMPORAL_BASELINE_DAYS"] == "12"
    assert "log-correlation" in tags["ESTIMATOR"]
    assert "20230104T171412Z" in tags["REFERENCE_ASSETS"]
    with rasterio.open(output / "products/change/ascending-015_20230215_mask.tif") as dataset:
        assert (dataset.dtypes[0], dataset.nodata) == ("uint8", 255)
        assert set(np.unique(dataset.read())) <= {0, 1, 255}


def test_maps_hold_coherence_and_sigma_between_0_and_1(cohmap: Command, tmp_path: Path, images: Path) -> None:
    output = run(cohmap, region_file(tmp_path / "r.toml", images))
    maps = xr.open_zarr(output / "pairs/ascending-015.zarr").load()
    assert dict(maps.sizes) == {"pair": 4, "y": 128, "x": 128}
    for name in ("coherence_vv", "sigma_vv"):
        assert float(maps[name].min()) >= 0
        assert float(maps[name].max()) <= 1
    assert maps.temporal_baseline.to_numpy().tolist() == [12, 12, 12, 12]


def test_the_mean_is_the_mean_of_the_pairs(cohmap: Command, tmp_path: Path, images: Path) -> None:
    output = run(cohmap, region_file(tmp_path / "r.toml", images))
    maps = xr.open_zarr(output / "pairs/ascending-015.zarr").coherence_vv.to_numpy()
    with rasterio.open(output / "products/mean/ascending-015_012d_vv.tif") as dataset:
        mean, median, count = dataset.read()
    np.testing.assert_allclose(mean, maps.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(median, np.median(maps, axis=0), rtol=1e-6)
    assert set(np.unique(count)) == {4.0}


def test_tiles_join_without_seams(cohmap: Command, tmp_path: Path, images: Path) -> None:
    maps = []
    for tile in (64, 128):
        folder = tmp_path / str(tile)
        folder.mkdir()
        grid = f'crs = "EPSG:32632"\ntile = {tile}'
        output = run(cohmap, region_file(folder / "r.toml", images, grid=grid))
        maps.append(xr.open_zarr(output / "pairs/ascending-015.zarr").load())
    tiled, untiled = maps
    untiled = untiled.sel(x=tiled.x, y=tiled.y)
    for name in ("coherence_vv", "sigma_vv"):
        np.testing.assert_allclose(tiled[name].to_numpy(), untiled[name].to_numpy(), atol=1e-5)


def test_a_tile_without_data_stays_empty(cohmap: Command, tmp_path: Path) -> None:
    folder = write_archive(tmp_path / "images", days=(0, 12))
    for path in folder.glob("*.tif"):
        with rasterio.open(path) as dataset:
            pixels = dataset.read(1)
        pixels[:64, :64] = np.nan
        write_tif(path, pixels)
    output = run(cohmap, region_file(tmp_path / "r.toml", folder))
    with rasterio.open(output / "products/coherence/ascending-015/20230104_20230116_vv.tif") as dataset:
        coherence = dataset.read(1)
    assert np.isnan(coherence[:64, :64]).all()
    assert np.isfinite(coherence[64:, 64:]).all()


def test_clipped_products_end_at_the_area(cohmap: Command, tmp_path: Path, images: Path) -> None:
    output = run(cohmap, region_file(tmp_path / "r.toml", images, products="clip = true"))
    with rasterio.open(output / "products/coherence/ascending-015/20230104_20230116_vv.tif") as dataset:
        coherence = dataset.read(1)
    assert np.isnan(coherence[0]).all()
    assert np.isfinite(coherence[64, 64])


def test_another_window_makes_new_maps_from_the_same_stack(cohmap: Command, tmp_path: Path, images: Path) -> None:
    region = region_file(tmp_path / "r.toml", images)
    output = run(cohmap, region)
    region_file(region, images, estimator='name = "touzi-intensity"\ncoregister = false')
    answer = cohmap("run", str(region), "--output", str(output), "--workers", "0")
    assert answer.code == 0
    assert "export    20 done, 20 of them resumed" in answer.out
    assert "infer     16 done\n" in answer.out


def test_the_plan_names_passes_and_costs(cohmap: Command, tmp_path: Path, images: Path) -> None:
    answer = cohmap("plan", str(region_file(tmp_path / "r.toml", images)), "--output", str(tmp_path / "out"))
    assert answer.code == 0
    assert "ascending-015" in answer.out
    plan = json.loads((tmp_path / "out/plan.json").read_text())
    assert (plan["reads"], plan["estimates"]) == (20, 16)


def test_stages_one_by_one_do_what_run_does(cohmap: Command, tmp_path: Path, images: Path) -> None:
    region = region_file(tmp_path / "r.toml", images)
    for stage in ("export", "infer", "mosaic", "report"):
        options = ("--workers", "0") if stage in {"infer", "mosaic"} else ()
        assert cohmap(stage, str(region), "--output", str(tmp_path / "out"), *options).code == 0, stage
    assert (tmp_path / "out/report.html").exists()


def test_results_on_object_storage(cohmap: Command, tmp_path: Path, images: Path) -> None:
    region = region_file(tmp_path / "r.toml", images)
    address = f"memory://run-{tmp_path.name}"
    answer = cohmap("run", str(region), "--output", address, "--workers", "0")
    assert (answer.code, answer.err) == (0, "")
    again = cohmap("run", str(region), "--output", address, "--workers", "0")
    assert "16 of them resumed" in again.out
