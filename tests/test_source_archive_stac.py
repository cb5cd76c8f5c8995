import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
from shapely.geometry import mapping

from pipeline.errors import CohmapError
from pipeline.passes import Slice, Track, group
from pipeline.sources import Query
from pipeline.sources.archive import ArchiveSource
from tests.archive_rasters import AREA, archive, speckle, window, write

START = "2021-11-19T01:59:00.250000Z"


def stac(path: Path, **settings: Any) -> ArchiveSource:
    return archive(path, "stac", **{"units": "linear", **settings})


def find(source: ArchiveSource) -> list[Slice]:
    return source.search(Query(AREA, None, None, ("VV",)))


def item(
    name: str = "scene", assets: dict[str, Any] | None = None, geometry: Any = None, **properties: Any
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "datetime": START,
        "platform": "sentinel-1a",
        "sat:relative_orbit": 137,
        "sat:orbit_state": "ascending",
        **properties,
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": geometry or mapping(AREA),
        "bbox": list(AREA.bounds),
        "properties": told,
        "assets": assets or {"vv": {"href": f"./{name}_vv.tif", "type": "image/tiff; application=geotiff"}},
        "links": [],
    }


def save(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def test_an_item_is_a_slice(tmp_path: Path) -> None:
    raster = write(tmp_path / "scene_vv.tif", speckle())
    extra: dict[str, Any] = {"updated": "2024-01-01T00:00:00Z", "processing:version": "3.1"}
    path = save(tmp_path / "scene.json", item(**extra))
    source = stac(path)
    (found,) = find(source)
    assert (found.id, found.platform, found.track) == ("scene", "S1A", Track("ascending", 137))
    assert found.start == dt.datetime(2021, 11, 19, 1, 59, 0, 250_000, tzinfo=dt.UTC)
    assert found.hrefs == {"VV": str(raster)}
    assert (found.version, found.updated) == ("3.1", "2024-01-01T00:00:00Z")
    np.testing.assert_array_equal(source.read(group([found])[0], window(), ("VV",))[0], speckle())


def test_an_item_collection_and_a_folder_of_items_are_the_same(tmp_path: Path) -> None:
    items = [item("one"), item("two", datetime="2021-12-01T01:59:00Z")]
    for entry in items:
        write(tmp_path / f"{entry['id']}_vv.tif", speckle())
        save(
            tmp_path / "items" / f"{entry['id']}.json",
            {**entry, "assets": {"vv": {"href": f"../{entry['id']}_vv.tif"}}},
        )
    collection = save(tmp_path / "all.json", {"type": "FeatureCollection", "features": items})
    assert find(stac(collection)) == find(stac(tmp_path / "items"))
    assert [found.id for found in find(stac(collection))] == ["one", "two"]


def test_a_catalogue_written_by_pystac_is_followed_to_its_items(tmp_path: Path) -> None:
    raster = write(tmp_path / "pixels/scene_vv.tif", speckle())
    catalogue = pystac.Catalog("root", "a catalogue")
    child = pystac.Catalog("child", "of a catalogue")
    catalogue.add_child(child)
    entry = pystac.Item.from_dict(item())
    entry.assets["vv"].href = str(raster)
    child.add_item(entry)
    catalogue.normalize_hrefs(str(tmp_path / "stac"))
    catalogue.make_all_asset_hrefs_relative()
    catalogue.save(pystac.CatalogType.SELF_CONTAINED)
    for path in (tmp_path / "stac/catalog.json", tmp_path / "stac"):
        (found,) = find(stac(path))
        assert found.hrefs == {"VV": str(raster)}


def test_a_catalogue_that_links_to_itself_ends(tmp_path: Path) -> None:
    write(tmp_path / "scene_vv.tif", speckle())
    save(tmp_path / "scene.json", item())
    links = [{"rel": "child", "href": "./catalog.json"}, {"rel": "item", "href": "./scene.json"}]
    path = save(tmp_path / "catalog.json", {"type": "Catalog", "id": "c", "stac_version": "1.0.0", "links": links})
    assert len(find(stac(path))) == 1


@pytest.mark.parametrize(
    "assets",
    [
        {"VV": {"href": "a.tif"}},
        {"vv": {"href": "a.tif"}, "other": {"href": "b.tif", "sar:polarizations": ["VV"]}},
        {"backscatter": {"href": "a.tif", "sar:polarizations": ["VV"]}},
        {"data": {"href": "a", "type": "image/tiff; application=geotiff", "sar:polarizations": ["VV"]}},
        {"calibration": {"href": "a.xml", "sar:polarizations": ["VV"]}, "vv": {"href": "a.tif"}},
    ],
)
def test_assets_are_found_by_key_or_by_declared_polarisation(tmp_path: Path, assets: dict[str, Any]) -> None:
    for name in ("a.tif", "a"):
        write(tmp_path / name, speckle())
    (found,) = find(stac(save(tmp_path / "scene.json", item(assets=assets))))
    assert found.hrefs["VV"].startswith(str(tmp_path / "a"))
    assert not found.hrefs["VV"].endswith("xml")


def test_the_header_and_not_the_items_geometry_is_the_footprint(tmp_path: Path) -> None:
    write(tmp_path / "scene_vv.tif", speckle())
    (found,) = find(stac(save(tmp_path / "scene.json", item())))
    assert found.footprint.area < AREA.area / 100


def test_an_item_whose_geometry_lies_elsewhere_is_not_opened(tmp_path: Path) -> None:
    elsewhere = mapping(AREA.buffer(0.1).difference(AREA.buffer(0.05)))
    path = save(tmp_path / "scene.json", item(geometry=elsewhere))  # there is no raster at all
    assert find(stac(path)) == []


def test_tracks_that_items_do_not_tell_are_computed_or_declared(tmp_path: Path) -> None:
    write(tmp_path / "scene_vv.tif", speckle())
    told: dict[str, Any] = {"sat:relative_orbit": None, "sat:orbit_state": None}
    (found,) = find(stac(save(tmp_path / "scene.json", item(**told))))
    assert found.track == Track("ascending", 137)
    path = save(tmp_path / "scene.json", item(platform="sentinel-1c", **told))
    with pytest.raises(CohmapError, match=r"scene \(S1C\).*add source.relative_orbit = NUMBER and source.direction"):
        find(stac(path))
    (found,) = find(stac(path, relative_orbit=8, direction="descending"))
    assert found.track == Track("descending", 8)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"type": "Nonsense"}, "none of 0 STAC items in 1 JSON files has an asset"),
        (item(assets={"red": {"href": "r.tif"}}), "none of 1 STAC items in 1 JSON files has an asset named vv"),
        (item(datetime="yesterday"), r"STAC item scene in .* has no usable datetime \(yesterday\)"),
    ],
)
def test_documents_that_cannot_be_used(tmp_path: Path, document: Any, sentence: str) -> None:
    with pytest.raises(CohmapError, match=sentence):
        find(stac(save(tmp_path / "scene.json", document)))


def test_a_damaged_file_and_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "scene.json").write_text("{")
    with pytest.raises(CohmapError, match=r"scene\.json is not valid JSON"):
        find(stac(tmp_path / "scene.json"))
    with pytest.raises(CohmapError, match=r"none\.json does not exist"):
        find(stac(tmp_path / "none.json"))
