"""The STAC catalogue: valid, relative, complete, the same at every run, and rid of what is gone."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pystac
import pytest
import rasterio
import shapely
import xarray as xr
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from pipeline.catalog import write_catalog
from pipeline.errors import CohmapError
from pipeline.products import index_name
from pipeline.region import Region
from pipeline.storage import Folder
from tests.fakes import SpeckleSource, make_region
from tests.finished import DAYS, finish, finished_once, region_with_everything


@pytest.fixture(scope="module")
def region() -> Region:
    return region_with_everything()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, region: Region) -> Path:
    folder = finished_once(tmp_path_factory)
    write_catalog(region, Folder(str(folder)))
    return folder


def documents(output: Path) -> dict[str, dict[str, Any]]:
    root = output / "catalog"
    return {str(path.relative_to(root)): json.loads(path.read_text()) for path in sorted(root.rglob("*.json"))}


def item(output: Path, beginning: str) -> dict[str, Any]:
    return next(d for name, d in documents(output).items() if Path(name).name.startswith(beginning))


def files(output: Path) -> dict[str, bytes]:
    return {str(p.relative_to(output)): p.read_bytes() for p in (output / "catalog").rglob("*") if p.is_file()}


def test_every_document_is_valid_stac(output: Path) -> None:
    validator = JsonSchemaSTACValidator()  # the core schemas come with pystac: no network
    kinds = {"Feature": pystac.STACObjectType.ITEM, "Collection": pystac.STACObjectType.COLLECTION}
    found = documents(output)
    assert len(found) == 2 + 5 + 14 + 4 + 2  # collections, passes, pairs, means, score and mask
    for document in found.values():
        assert document["stac_version"] == "1.1.0"
        validator.validate_core(document, kinds[document["type"]], "1.1.0")


def test_every_link_and_asset_is_relative_and_leads_to_something(output: Path) -> None:
    for name, document in documents(output).items():
        here = (output / "catalog" / name).parent
        targets = [link["href"] for link in document["links"]]
        targets += [asset["href"] for asset in document.get("assets", {}).values()]
        assert targets
        for href in targets:
            assert "://" not in href
            assert not href.startswith("/")
            assert (here / href).exists(), (name, href)


def test_the_folder_can_be_moved(output: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(output, tmp_path / "elsewhere")
    collection = pystac.Collection.from_file(str(moved / "catalog/collection.json"))
    items = list(collection.get_items(recursive=True))
    assert len(items) == len(documents(output)) - 2
    pair = next(each for each in items if each.id.startswith("coherence-"))
    href = pair.assets["coherence"].get_absolute_href()
    assert href is not None
    assert href.startswith(str(moved))
    with rasterio.open(href) as dataset:
        assert list(dataset.shape) == pair.properties["proj:shape"]
        assert list(dataset.transform)[:6] == pair.properties["proj:transform"]
        assert str(dataset.crs) == pair.properties["proj:code"]


def test_a_pair_says_both_dates_and_leads_to_its_passes(output: Path) -> None:
    pair = item(output, "coherence-ascending-015-20230116_20230209-vh")
    properties = pair["properties"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] == properties["insar:reference_datetime"] == "2023-01-16T17:14:12Z"
    assert properties["end_datetime"] == properties["insar:secondary_datetime"] == "2023-02-09T17:14:12Z"
    assert properties["insar:temporal_baseline"] == 24
    assert properties["sar:polarizations"] == ["VH"]
    assert (properties["sat:orbit_state"], properties["sat:relative_orbit"]) == ("ascending", 15)
    assert (properties["sar:instrument_mode"], properties["sar:frequency_band"]) == ("IW", "C")
    assert set(properties["processing:software"]) == {"cohmap", "log-correlation"}
    links = {link["rel"]: link["href"] for link in pair["links"]}
    for role, start in (("reference", "2023-01-16T17:14:12Z"), ("secondary", "2023-02-09T17:14:12Z")):
        target = json.loads((output / "catalog/items" / links[role]).read_text())
        assert target["properties"]["datetime"] == start
    bands = pair["assets"]["coherence"]["bands"]
    assert [band["name"] for band in bands] == ["coherence", "sigma"]
    assert {(b["data_type"], b["nodata"], b["raster:spatial_resolution"]) for b in bands} == {("float32", "nan", 10.0)}


def test_a_mask_names_its_classes_and_its_threshold(output: Path) -> None:
    mask = item(output, "change-mask-")
    asset = mask["assets"]["change-mask"]
    assert [entry["value"] for entry in asset["classification:classes"]] == [0, 1]
    assert (asset["bands"][0]["data_type"], asset["bands"][0]["nodata"]) == ("uint8", 255)
    assert mask["properties"]["cohmap:false_alarm_rate"] == 0.01
    assert isinstance(mask["properties"]["cohmap:threshold"], float)
    origins = [link["href"] for link in mask["links"] if link["rel"] == "derived_from"]
    assert len(origins) == 8  # three normal pairs and the tested one, in two polarisations
    assert {"geopackage", "geojson", "series"} <= set(mask["assets"])
    assert "insar:reference_datetime" not in mask["properties"]


def test_a_mean_leads_to_its_pairs(output: Path) -> None:
    mean = item(output, "mean-ascending-015-012d-vv")
    origins = sorted(Path(link["href"]).stem for link in mean["links"] if link["rel"] == "derived_from")
    assert len(origins) == 4
    assert origins[0] == "coherence-ascending-015-20230104_20230116-vv"


def test_a_pass_opens_the_stack(output: Path) -> None:
    found = item(output, "S1A_20230116T171412")
    asset = found["assets"]["stack"]
    assert asset["type"] == "application/vnd+zarr"
    assert found["properties"]["cohmap:source_assets"] == ["scene-012"]
    stack = xr.open_zarr((output / "catalog/passes/items" / asset["href"]).resolve(), consolidated=False)
    moment = dt.datetime.fromisoformat(found["properties"]["datetime"]).replace(tzinfo=None)
    assert stack["vv"].sel(time=moment).shape == tuple(found["properties"]["proj:shape"])


def test_extents_and_summaries_come_from_the_items(output: Path) -> None:
    found = documents(output)
    root = found["collection.json"]
    assert root["extent"]["temporal"]["interval"] == [["2023-01-04T17:14:12Z", "2023-02-21T17:14:12Z"]]
    around = shapely.box(*root["extent"]["spatial"]["bbox"][0])
    for name, document in found.items():
        if name.startswith("items/"):
            assert around.covers(shapely.geometry.shape(document["geometry"]))
    assert root["summaries"]["insar:temporal_baseline"] == {"minimum": 12, "maximum": 24}
    assert root["summaries"]["sar:polarizations"] == ["VH", "VV"]
    assert root["summaries"]["platform"] == ["simulated"]


def test_the_footprint_is_that_of_the_tiles_with_data(tmp_path: Path) -> None:
    region = make_region()
    full = finish(region, tmp_path / "full", SpeckleSource(region, days=(0, 12)))
    corner = region.grid.affine
    holes = {(corner.c, corner.f), (corner.c, corner.f - 640.0)}  # both tiles of the west
    half = finish(region, tmp_path / "half", SpeckleSource(region, days=(0, 12), empty=holes))
    areas = []
    for folder in (full, half):
        write_catalog(region, folder)
        areas.append(shapely.geometry.shape(item(Path(folder.uri), "coherence-")["geometry"]).area)
    assert areas[1] == pytest.approx(areas[0] / 2, rel=0.01)


def test_an_identical_run_writes_identical_files(output: Path, region: Region, tmp_path: Path) -> None:
    copy = shutil.copytree(output, tmp_path / "again")
    before = files(copy)
    write_catalog(region, Folder(str(copy)))
    assert files(copy) == before


def test_items_of_products_that_are_gone_go_too(output: Path, region: Region, tmp_path: Path) -> None:
    copy = shutil.copytree(output, tmp_path / "fewer")
    index = copy / index_name("mosaic")
    kept = [entry for entry in json.loads(index.read_text()) if entry["kind"] != "mean"]
    index.write_text(json.dumps(kept))
    write_catalog(region, Folder(str(copy)))
    left = files(copy)
    assert not [name for name in left if "mean-" in name]
    assert set(left) == {name for name in files(output) if "mean-" not in name}
    assert "mean-" not in (copy / "catalog/collection.json").read_text()


def test_real_satellites_are_named_and_thanked(tmp_path: Path) -> None:
    region = make_region(source={"kind": "earthengine"})
    folder = finish(region, tmp_path, SpeckleSource(region, days=(0, 12)))
    write_catalog(region, folder)
    properties = item(tmp_path, "coherence-")["properties"]
    assert (properties["platform"], properties["constellation"]) == ("sentinel-1a", "sentinel-1")
    assert item(tmp_path, "S1A_")["properties"]["product:type"] == "GRD"
    description = documents(tmp_path)["collection.json"]["description"]
    assert "Contains modified Copernicus Sentinel data 2023" in description
    assert "imulated" not in json.dumps(documents(tmp_path))


def test_without_products_there_is_no_catalogue(region: Region, tmp_path: Path) -> None:
    with pytest.raises(CohmapError, match="run `cohmap mosaic` first"):
        write_catalog(region, Folder(str(tmp_path)))


def test_the_shared_folder_has_the_days_the_tests_speak_of() -> None:
    assert DAYS == (0, 12, 24, 36, 48)
