"""Coverage studies: counted by hand, for footprints, for orbits and for Earth Engine's record; what users are told."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.features import geometry_mask
from rasterio.transform import from_origin
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import box, mapping

from pipeline.config import parse
from pipeline.coverage.counts import Counter
from pipeline.coverage.run import Results, coverage
from pipeline.coverage.scenarios import study_scenario
from pipeline.coverage.settings import Scenario
from pipeline.coverage.sightings import study_listing
from pipeline.errors import CohmapError
from pipeline.passes import Slice, Track
from pipeline.region import Region, Tile, crs_of, read_area, to_crs
from pipeline.sources.ee_records import read_record
from pipeline.storage import Folder
from tests.archive_rasters import CALIFORNIA
from tests.conftest import Command
from tests.fakes import Listener, SpeckleSource

RECORD = CALIFORNIA.parent / "ee-s1-grd-metadata/S1A_IW_GRDH_1SDV_20191202T163455_image.json"
START = dt.date(2025, 1, 1)


def region(bbox: list[float] | None = None, **settings: Any) -> Region:
    config = parse(
        {
            "name": "here",
            "area": {"bbox": bbox or [11.0, 48.0, 11.3, 48.2]},
            "grid": {"spacing": 200.0, "tile": 64},
            "source": {"kind": "simulated"},
            "coverage": {"spacing": 200.0, **settings},
        },
        where="test",
    )
    return Region(config, read_area(config.area, Path()))


def whole(studied: Region) -> Tile:
    """All of a region's grid as one block."""
    height, width = studied.grid.shape
    return Tile(0, 0, 4096, (height, width))


def slice_of(name: str, day: float, outline: Any, orbit: int = 15, direction: Any = "ascending") -> Slice:
    start = dt.datetime(2025, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=day)
    return Slice(name, name, "S1A", start, Track(direction, orbit), {}, outline)


def run(studied: Region, folder: Path) -> Results:
    return coverage(studied, Folder(str(folder)), Listener(), lambda: SpeckleSource(studied))


def read(path: Path) -> dict[str, Any]:
    with rasterio.open(path) as dataset:
        return dict(zip(dataset.descriptions, dataset.read(), strict=True))


@pytest.mark.parametrize(("satellites", "interval"), [(1, 12.0), (2, 6.0), (3, 4.0)])
def test_a_scenario_is_counted_as_by_hand(satellites: int, interval: float) -> None:
    # At the equator 175 ascending nodes lie 360 / 175 = 2.057 degrees apart, that is 229 km. A swath of 240 km along
    # the perpendicular of its track is some 2.19 degrees wide, so every place is seen on one or two ascending tracks.
    scenario = Scenario(name="x", satellites=satellites, swath_width=240.0, direction="ascending")
    here = region([0.0, 0.1, 2.4, 0.2])
    study = study_scenario(scenario, here.area, START, 48)
    block = Counter(study, here, (4, 6, 8, 12, 24)).block(whole(here))
    # in 48 days each track is seen 4 times a satellite; pairs 12 k days apart: 4 - k times the satellites
    passes = 4 * satellites
    for row in block.counts:
        got, ascending, descending, tracks, *pairs, _, _, revisit = row
        if got == 0:
            continue  # beyond the area, where no track was asked for
        assert tracks in {1, 2}
        assert (got, ascending, descending) == (passes * tracks, passes * tracks, 0)
        steps = [days / interval for days in (4, 6, 8, 12, 24)]
        by_hand = [(passes - round(n)) * tracks if n == round(n) else 0 for n in steps]
        assert pairs == by_hand
        assert revisit == pytest.approx(interval, abs=1e-5)
    alone = block.counts[block.counts[:, 3] == 1]
    assert alone[:, -3:-1] == pytest.approx(interval, abs=1e-5)  # one track: mean and longest gap are its revisit
    assert {1, 2} <= set(block.counts[:, 3])


def test_two_neighbouring_tracks_come_as_many_days_apart_as_their_numbers_say() -> None:
    scenario = Scenario(name="x", swath_width=240.0, direction="ascending")
    here = region([0.0, 0.1, 2.4, 0.2])
    study = study_scenario(scenario, here.area, START, 48)
    numbers = [track.relative_orbit for track in study.tracks]
    # the track to the west flies 73 revolutions later: 73 * 12 mod 175 = 1 step of 2.057 degrees
    assert {(b - a) % 175 for a in numbers for b in numbers} >= {73, 102}
    counts = Counter(study, here, (12,)).block(whole(here)).counts
    both = counts[counts[:, 3] == 2][0]
    assert both[-2] == pytest.approx(102 * 12 / 175, abs=1e-5)  # then 5.006 days, then 6.994 days
    # 8 passes: 4 gaps of one kind and 3 of the other
    means = [(4 * 73 + 3 * 102) / 7 * 12 / 175, (3 * 73 + 4 * 102) / 7 * 12 / 175]
    assert min(abs(both[-3] - mean) for mean in means) < 1e-5


def test_footprints_are_counted_pixel_by_pixel_as_gdal_would() -> None:
    here = region()
    rng = np.random.default_rng(3)
    slices, masks = [], []
    for number in range(40):
        west, south = 10.9 + 0.4 * rng.random(), 47.9 + 0.3 * rng.random()
        outline = box(west, south, west + 0.3 * rng.random(), south + 0.25 * rng.random())
        track = 15 + 29 * (number % 3)
        slices.append(slice_of(f"{number:02d}", 4.0 * number, outline, track))
        placed = to_crs(outline, crs_of(here.grid))
        masks.append(geometry_mask([placed], here.grid.shape, here.grid.affine, invert=True))
    study = study_listing(slices, "list", START, None, southern=False)
    block = Counter(study, here, (12, 24)).block(whole(here))
    painted = {name: block.runs.paint(block.counts[:, i]) for i, name in ((0, "passes"), (3, "tracks"), (4, "12"))}
    np.testing.assert_array_equal(painted["passes"], np.sum(masks, axis=0))
    np.testing.assert_array_equal(painted["tracks"], np.sum([np.any(masks[k::3], axis=0) for k in range(3)], axis=0))
    pairs = np.sum(
        [first & second for k in range(3) for first, second in zip(masks[k::3], masks[k + 3 :: 3], strict=False)],
        axis=0,
    )
    np.testing.assert_array_equal(painted["12"], pairs)
    # blocks of another size fit together to the same
    small = Counter(study, here, (12, 24)).block(replace(whole(here), row=1, col=1, size=64))
    np.testing.assert_array_equal(small.runs.paint(small.counts[:, 0]), painted["passes"][64:128, 64:128])


@pytest.mark.skipif(not RECORD.is_file(), reason="the Earth Engine record is not beside the repository")
def test_a_real_record_of_earth_engine_is_counted_where_it_lies() -> None:
    info = json.loads(RECORD.read_text())
    properties = info["properties"]
    record = {
        "id": info["id"],
        "startTime": "2019-12-02T16:34:55Z",
        "properties": {key: value for key, value in properties.items() if not key.startswith("system:")},
        "geometry": properties["system:footprint"],
        "bands": [{"id": band["id"]} for band in info["bands"]],
    }
    here = region([16.0, 48.0, 21.0, 50.5], spacing=1000.0)
    piece = read_record(record, here.area)
    study = study_listing([piece], "record", None, None, southern=False)
    assert (str(study.start), study.tracks, study.facts["platforms"]) == (
        "2019-12-02",
        [Track("ascending", 175)],
        "S1A",
    )
    counted = Counter(study, here, (12,)).block(whole(here))
    footprint = to_crs(piece.footprint, crs_of(here.grid))
    passes = counted.runs.paint(counted.counts[:, 0])
    expected = geometry_mask([footprint], here.grid.shape, here.grid.affine, invert=True)
    assert np.mean(passes != expected) < 1e-5  # curved edges differ by metres
    assert study.views[Track("ascending", 175)].ascending


def test_a_study_writes_maps_table_catalogue_and_page(tmp_path: Path) -> None:
    here = region(scenarios=[{"name": "Two, 6 days", "satellites": 2}], end="2023-02-10")
    results = run(here, tmp_path)
    assert [row["study"] for row in results.rows] == ["observed", "Two, 6 days"]
    observed = read(tmp_path / "coverage/maps/observed.tif")
    inside = np.isfinite(observed["passes"])  # maps end where the area does
    assert inside.sum() * 0.04 == pytest.approx(22.3 * 22.2, rel=0.05)
    assert np.unique(observed["passes"][inside]).tolist() == [4]
    assert np.unique(observed["pairs_12"][inside]).tolist() == [3]
    gamma = 0.8 * math.exp(-12 / 20) + 0.2
    np.testing.assert_allclose(observed["coherence"][inside], gamma, rtol=1e-5)
    row = results.rows[0]
    assert (row["passes_mean"], row["interval_median"], row["share_above"]) == (4, 12, 1)
    assert row["coherence_median"] == pytest.approx(gamma, abs=1e-4)
    assert results.rows[1]["interval_median"] == pytest.approx(6, abs=1e-4)
    for path in (tmp_path / "coverage/maps").glob("*.tif"):
        assert cog_validate(str(path)) == (True, [], [])
    with (tmp_path / "coverage/coverage.csv").open() as stream:
        assert [line["study"] for line in csv.DictReader(stream)] == ["observed", "Two, 6 days"]
    page = (tmp_path / "coverage/coverage.html").read_text()
    assert "Two, 6 days" in page
    assert "http" not in page.replace("http-equiv", "")  # opens offline
    validator = JsonSchemaSTACValidator()
    collection = json.loads((tmp_path / "coverage/collection.json").read_text())
    validator.validate_core(collection, pystac.STACObjectType.COLLECTION, "1.1.0")
    items = [link["href"] for link in collection["links"] if link["rel"] == "item"]
    assert len(items) == 2
    for href in items:
        item = json.loads((tmp_path / "coverage" / href).read_text())
        validator.validate_core(item, pystac.STACObjectType.ITEM, "1.1.0")
        assert (tmp_path / "coverage/items" / item["assets"]["coverage"]["href"]).exists()
        assert (tmp_path / "coverage/items" / item["links"][-1]["href"]).exists()


def test_the_same_study_again_does_nothing_and_a_scenario_less_is_taken_away(tmp_path: Path) -> None:
    here = region(scenarios=[{"name": "two", "satellites": 2}, {"name": "three", "satellites": 3}], listing=False)
    first = run(here, tmp_path)
    listener = Listener()
    second = coverage(here, Folder(str(tmp_path)), listener, lambda: SpeckleSource(here))
    assert listener.stages["coverage"] == (2, 2)
    assert first.rows == second.rows
    run(region(scenarios=[{"name": "two", "satellites": 2}], listing=False), tmp_path)
    assert [path.name for path in (tmp_path / "coverage/maps").iterdir()] == ["two.tif"]
    assert [path.name for path in (tmp_path / "coverage/items").iterdir()] == ["coverage-two.json"]


def test_land_classes_and_maps_of_decay_are_used(tmp_path: Path) -> None:
    left = np.zeros((2, 4), np.uint8)
    left[:, :2] = 10
    tau = np.full((2, 4), 30, np.float32)
    where = from_origin(10.9, 48.3, 0.125, 0.25)  # the western half is of class 10
    for name, values in (("classes", left), ("tau", tau)):
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", driver="GTiff", height=2, width=4, count=1, dtype=values.dtype,
            crs="EPSG:4326", transform=where,
        ) as target:  # fmt: skip
            target.write(values, 1)
    (tmp_path / "land.geojson").write_text(json.dumps(mapping(box(11.0, 48.0, 11.3, 48.1))))
    decay = {
        "tau": str(tmp_path / "tau.tif"),
        "rho_inf": 0.1,
        "raster": str(tmp_path / "classes.tif"),
        "classes": [{"name": "forest", "values": [10], "tau": 8.0, "rho_inf": 0.05}],
    }
    here = region(decay=decay, land=str(tmp_path / "land.geojson"), listing=False, scenarios=[{"name": "one"}])
    every, forest, other = run(here, tmp_path / "out").rows
    assert [every["land"], forest["land"], other["land"]] == ["all land", "forest", "other land"]
    assert every["pixels"] == forest["pixels"] + other["pixels"]
    assert every["pixels"] * 0.04 == pytest.approx(22.3 * 11.1, rel=0.02)  # km2: only the southern half is land
    assert forest["coherence_median"] == pytest.approx(0.95 * math.exp(-12 / 8) + 0.05, abs=1e-4)
    assert other["coherence_median"] == pytest.approx(0.9 * math.exp(-12 / 30) + 0.1, abs=1e-4)
    assert (forest["share_above"], other["share_above"]) == (0, 1)


def test_kinds_of_land_without_a_place_are_taken_in_turn(tmp_path: Path) -> None:
    classes = [{"name": "rock", "tau": 100.0, "rho_inf": 0.4}, {"name": "forest", "tau": 6.0, "rho_inf": 0.05}]
    decay = {"tau": 20.0, "rho_inf": 0.2, "classes": classes}
    rows = run(region(decay=decay, listing=False, scenarios=[{"name": "one"}]), tmp_path).rows
    assert [row["land"] for row in rows] == ["all land", "if rock", "if forest"]
    assert rows[1]["coherence_median"] == pytest.approx(0.6 * math.exp(-0.12) + 0.4, abs=1e-5)
    assert [row["share_above"] for row in rows] == [1, 1, 0]
    assert rows[1]["velocity_noise"] < rows[0]["velocity_noise"] < rows[2]["velocity_noise"]


def test_lists_of_footprints_are_read(tmp_path: Path, cohmap: Command) -> None:
    outline = box(10.5, 47.5, 11.8, 48.8)
    features = [
        {
            "type": "Feature",
            "geometry": mapping(outline),
            "properties": {
                "sceneName": f"scene {day}", "startTime": f"2025-01-{day:02d}T05:17:00.000000",
                "platform": "Sentinel-1A", "pathNumber": 66, "flightDirection": "DESCENDING", "beamModeType": "IW",
            },
        }
        for day in (3, 15, 27)
    ]  # fmt: skip
    asf = tmp_path / "asf.geojson"
    asf.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    table = tmp_path / "list.csv"
    rows = "".join(f'2025-01-{day:02d}T05:17:00Z,66,D,S1A,"{outline.wkt}"\n' for day in (3, 15, 27))
    table.write_text("start,relative_orbit,direction,platform,wkt\n" + rows)
    file = tmp_path / "here.toml"
    text = '[area]\nbbox = [11.0, 48.0, 11.3, 48.2]\n[source]\nkind = "simulated"\n[coverage]\nscenarios = []\n'
    file.write_text(f'name = "here"\n{text}')
    found = []
    for listing in (asf, table):
        out = tmp_path / listing.stem
        answer = cohmap("coverage", str(file), "--footprints", str(listing), "--output", str(out), "--spacing", "500")
        assert answer.code == 0, answer.err
        assert "coverage.html" in answer.out
        found.append(json.loads((out / "coverage/coverage.json").read_text())["rows"][0])
    assert found[0] == found[1]
    assert (found[0]["passes_mean"], found[0]["descending_mean"], found[0]["gap_max"]) == (3, 3, 12)
    assert found[0]["incidence_min"] < found[0]["incidence_max"]  # known, as Sentinel-1's track 66 is


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("start,direction\n", "has no column of the relative orbit"),
        ("start,track,direction,wkt\nyesterday,1,A,POLYGON EMPTY\n", "row 1: start 'yesterday' is no time"),
        ("start,track,direction,wkt\n2025-01-01,x,A,POLYGON EMPTY\n", "relative orbit 'x' is no number"),
        ("start,track,direction,wkt\n2025-01-01,1,N,POLYGON EMPTY\n", "direction 'N' is neither"),
        ("start,track,direction,wkt\n2025-01-01,1,A,nonsense\n", "neither WKT nor GeoJSON"),
        ("start,track,direction,wkt\n2025-01-01,1,A,\n", "row 1 has no polygon"),
        ('{"type": "Point"}', "is no GeoJSON feature collection"),
        ("start,track,direction,wkt\n", "holds no acquisition"),
    ],
)
def test_a_list_that_cannot_be_used_is_one_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    from pipeline.coverage.footprints import read_footprints

    path = tmp_path / "list"
    path.write_text(content)
    with pytest.raises(CohmapError, match=sentence):
        read_footprints(path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"scenarios": [{"name": "x", "repeat_days": 11}]}, "repeat_days = 11 needs orbits or altitude"),
        ({"scenarios": [{"name": "x", "satellites": 2, "phases": [0.0]}]}, "2 satellites and 1 phases"),
        ({"scenarios": [{"name": "x", "orbit": 5}]}, "did you mean 'orbits'"),
        ({"scenarios": [{"name": "x"}, {"name": "x"}]}, "two scenarios have the same name"),
        ({"decay": {"tau": 20.0, "rho_inf": 1.5}}, "rho_inf = 1.5 must lie between 0 and 1"),
        ({"decay": {"tau": 20.0, "rho_inf": 0.1, "raster": "x.tif"}}, "say what its values mean"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CohmapError, match=sentence):
        region(**settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"listing": False, "scenarios": []}, "nothing to study"),
        ({"listing": False, "scenarios": [{"name": "a b"}, {"name": "a-b"}]}, "rename it"),
        ({"land": "nowhere.tif"}, "coverage.land = 'nowhere.tif' can't be read"),
        ({"land": "nowhere.geojson"}, "coverage.land nowhere.geojson does not exist"),
        ({"decay": {"tau": "no.tif", "rho_inf": 0.1}}, "coverage.decay.tau = 'no.tif' can't be read"),
        ({"listing": False, "scenarios": [{"name": "low", "inclination": 10.0}]}, "never sees the area"),
        ({"listing": False, "scenarios": [{"name": "odd", "repeat_days": 5, "orbits": 70}]}, "repeat after 1 already"),
    ],
)
def test_what_cannot_be_studied_is_one_sentence(tmp_path: Path, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CohmapError, match=sentence):
        run(region(**settings), tmp_path)
