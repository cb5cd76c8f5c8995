"""Region -> grid -> tiles: origin on the lattice, tiles that touch the area, and areas that can't be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from shapely.geometry import box

from pipeline.config import Area, GridSettings
from pipeline.errors import CohmapError
from pipeline.passes import Track
from pipeline.region import find, make_grid, open_region, read_area, utm_code
from tests.fakes import area_in_metres, make_region


def test_the_grid_starts_on_a_multiple_of_the_tile_size() -> None:
    grid = make_region().grid
    assert grid.affine.c % 640 == 0
    assert grid.affine.f % 640 == 0
    assert grid.shape == (128, 128)


def test_the_grid_covers_the_area() -> None:
    region = make_region()
    west, south, east, north = area_in_metres(region)
    left, bottom, right, top = region.grid.boundingbox.bbox
    assert left <= west < east <= right
    assert bottom <= south < north <= top


def test_neighbouring_regions_share_their_pixels() -> None:
    one = make_grid(box(11.00, 48.0, 11.05, 48.03), GridSettings(crs="EPSG:32632", tile=64))
    two = make_grid(box(11.04, 48.0, 11.09, 48.03), GridSettings(crs="EPSG:32632", tile=64))
    assert (two.affine.c - one.affine.c) % 640 == 0


def test_an_anchor_moves_the_lattice_onto_given_rasters() -> None:
    grid = make_grid(box(11.0, 48.0, 11.05, 48.03), GridSettings(crs="EPSG:32632", tile=64, anchor=(5.0, 15.0)))
    assert grid.affine.c % 640 == 5.0
    assert grid.affine.f % 640 == 15.0


def test_a_polygon_leaves_out_tiles_it_does_not_touch() -> None:
    whole = make_region()
    west, south, east, north = whole.area.bounds
    corner = {"bbox": [west, south, west + (east - west) / 10, south + (north - south) / 10]}
    assert len(whole.tiles) == 4
    assert len(make_region(area=corner).tiles) == 1


@pytest.mark.parametrize(
    ("lon", "lat", "code"),
    [(11, 48, "EPSG:32632"), (-120, -34, "EPSG:32711"), (180, 5, "EPSG:32660"), (0, 85, "EPSG:3413")],
)
def test_auto_takes_the_utm_zone_of_the_place(lon: float, lat: float, code: str) -> None:
    assert utm_code(lon, lat) == code


@pytest.mark.parametrize(
    ("bbox", "sentence"),
    [
        ((11.0, 48.0, 11.0, 48.1), "no extent"),
        ((179.5, -17.0, -179.5, -16.0), "antimeridian"),
        ((179.5, -17.0, 180.5, -16.0), "antimeridian"),
        ((11.0, 48.0, 11.1, 98.0), "latitudes run from -90 to 90"),
    ],
)
def test_each_unusable_box_gets_its_sentence(bbox: tuple[float, float, float, float], sentence: str) -> None:
    with pytest.raises(CohmapError, match=sentence):
        read_area(Area(bbox=bbox), Path())


def write(path: Path, geometry: dict[str, Any]) -> Area:
    path.write_text(json.dumps(geometry))
    return Area(geojson=path.name)


def test_a_feature_collection_is_the_union_of_its_polygons(tmp_path: Path) -> None:
    features = [
        {"type": "Feature", "properties": {}, "geometry": box(x, 48, x + 0.1, 48.1).__geo_interface__} for x in (11, 12)
    ]
    area = write(tmp_path / "a.geojson", {"type": "FeatureCollection", "features": features})
    assert read_area(area, tmp_path).bounds == (11, 48, 12.1, 48.1)


def test_a_polygon_that_crosses_itself_is_refused(tmp_path: Path) -> None:
    bow = {"type": "Polygon", "coordinates": [[[11, 48], [11.1, 48.1], [11.1, 48], [11, 48.1], [11, 48]]]}
    with pytest.raises(CohmapError, match="Self-intersection"):
        read_area(write(tmp_path / "bow.geojson", bow), tmp_path)


@pytest.mark.parametrize("content", ['{"type": "Polygon"}', '{"type": "Nothing"}', "[1, 2]", "{"])
def test_a_file_that_holds_no_polygon_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.geojson").write_text(content)
    with pytest.raises(CohmapError, match=r"x\.geojson"):
        read_area(Area(geojson="x.geojson"), tmp_path)


def test_degrees_are_no_pixels() -> None:
    with pytest.raises(CohmapError, match="counts in degrees"):
        make_grid(box(11, 48, 11.1, 48.1), GridSettings(crs="EPSG:4326"))


def test_a_crs_that_does_not_exist_is_named() -> None:
    with pytest.raises(CohmapError, match="EPSG:99"):
        make_grid(box(11, 48, 11.1, 48.1), GridSettings(crs="EPSG:99"))


def test_the_settings_say_which_tracks_are_wanted() -> None:
    region = make_region(passes={"direction": "ascending", "relative_orbit": [15, 88]})
    assert region.wants(Track("ascending", 15))
    assert not region.wants(Track("descending", 15))
    assert not region.wants(Track("ascending", 16))


def test_a_shipped_region_opens_by_name() -> None:
    assert open_region("demo").name == "demo"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(CohmapError, match="demo"):
        find("nowhere")
