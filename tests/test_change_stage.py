"""The change stage end to end: an event, and monitoring that goes on where it was."""

from __future__ import annotations

import csv
import datetime as dt
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rio_cogeo.cogeo import cog_validate

from pipeline.catalog import write_catalog
from pipeline.change.stage import change
from pipeline.compute import Pool
from pipeline.cube import FloatArray
from pipeline.export import export
from pipeline.infer import infer
from pipeline.mosaic import mosaic
from pipeline.passes import Pass
from pipeline.plan import make_plan
from pipeline.products import load_products
from pipeline.region import Region
from pipeline.report import write_report
from pipeline.storage import Folder
from tests.conftest import Command
from tests.fakes import FIRST, Listener, SpeckleSource, make_region

DAYS = (0, 12, 24, 36, 48, 60, 72, 84, 96)
STRUCK_BEFORE = 54
"""The square loses all its scatterers between the fifth and the sixth pass, and each pass again from then on."""
SQUARE = (slice(40, 90), slice(40, 90))
EVENT = {"event": (FIRST + dt.timedelta(days=STRUCK_BEFORE)).date(), "minimum_hectares": 1.0}
PERIOD = {"baseline_period": [FIRST.date(), (FIRST + dt.timedelta(days=49)).date()], "minimum_hectares": 1.0}


class Struck(SpeckleSource):
    """Speckle that keeps, but in the square, across all four tiles, from a day on."""

    def read(self, item: Pass, window: GeoBox, bands: Sequence[str]) -> FloatArray:
        """New speckle in the square at every pass after the event."""
        images = super().read(item, window, bands)
        if (item.start - FIRST).days < STRUCK_BEFORE:
            return images
        row = round((self.region.grid.affine.f - window.affine.f) / 10)
        col = round((window.affine.c - self.region.grid.affine.c) / 10)
        looks = np.random.default_rng((item.start - FIRST).days).gamma(4.0, 0.025, (len(bands), 128, 128))
        inside = np.zeros((128, 128), np.bool_)
        inside[SQUARE] = True
        here = np.s_[row : row + window.shape[0], col : col + window.shape[1]]
        return np.where(inside[here], looks[:, *here], images).astype(np.float32)


def region_of(rule: dict[str, object]) -> Region:
    days = 12 if "event" in rule else 24
    return make_region(pairs={"mode": "all", "max_days": days}, products={"pairs": False}, change=rule)


def made(rule: dict[str, object], folder: Path, days: Sequence[int] = DAYS) -> Folder:
    region, opened, listener = region_of(rule), Folder(str(folder)), Listener()
    source = Struck(region, days=days)
    export(make_plan(region, source), source, opened, listener)
    with Pool(0) as pool:
        infer(region, opened, pool, listener, "cpu")
        change(region, opened, pool, listener)
    return opened


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return made(EVENT, tmp_path_factory.mktemp("event"))


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return made(PERIOD, tmp_path_factory.mktemp("monitored"))


def bands(folder: Folder, name: str) -> dict[str, FloatArray]:
    with rasterio.open(folder.address(f"products/change/ascending-015_{name}.tif")) as dataset:
        return dict(zip(dataset.descriptions, dataset.read(), strict=True))


def test_the_square_is_found_and_little_else(event: Folder) -> None:
    mask, score = bands(event, "20230227_mask"), bands(event, "20230227_score")
    inner = (slice(48, 82), slice(48, 82))
    assert mask["change"][inner].mean() > 0.9
    assert mask["discovery"][inner].mean() > 0.9
    far = np.ones((128, 128), np.bool_)
    far[24:106, 24:106] = False
    assert mask["change"][far].mean() < 0.04
    assert (score["coherence_before"] - score["coherence_across"])[inner].mean() > 0.2
    assert np.nanmedian(score["recovery"][inner]) < 0.3  # it does not come back
    assert np.array_equal(score["p"] <= 0.01, score["score"] >= 2.3263)


def test_polygons_open_in_gdal_and_cross_the_tiles(event: Folder) -> None:
    path = event.address("products/change/ascending-015_20230227_polygons.gpkg")
    info = pyogrio.read_info(path)
    assert (info["crs"], info["geometry_type"]) == ("EPSG:32632", "MultiPolygon")
    _, _, _, columns = pyogrio.raw.read(path)
    row = dict(zip(info["fields"], (column[0] for column in columns), strict=True))
    assert max(columns[list(info["fields"]).index("pixels")]) > 1500  # the whole square, of four tiles
    assert row["date"] == "2023-02-27"
    assert row["reference"] == "2023-02-21T17:14:12+00:00"
    assert row["secondary"] == "2023-03-05T17:14:12+00:00"
    assert "log-correlation" in row["estimator"]
    assert row["software"].startswith("cohmap ")
    text = event.read_bytes("products/change/ascending-015_20230227_polygons.geojson").decode()
    first = json.loads(text)["features"][0]["geometry"]["coordinates"]
    lon, lat = np.array(first[0] if isinstance(first[0][0][0], float) else first[0][0])[0]
    assert 11.04 < lon < 11.07
    assert 47.99 < lat < 48.02


def test_series_have_every_pair_of_every_area(event: Folder) -> None:
    rows = list(
        csv.DictReader(event.read_bytes("products/change/ascending-015_20230227_series.csv").decode().splitlines())
    )
    by_place = {name: [row for row in rows if row["place"] == name] for name in {row["place"] for row in rows}}
    assert all(len(found) == 8 for found in by_place.values())
    largest = max(by_place.values(), key=lambda found: int(found[0]["pixels"]))
    before = [float(row["coherence"]) for row in largest if row["secondary"] < "2023-02-27"]
    after = [float(row["coherence"]) for row in largest if row["secondary"] > "2023-02-27"]
    assert min(before) > max(after) + 0.1


def test_monitoring_confirms_the_square_and_dates_it(monitored: Folder) -> None:
    state, score = bands(monitored, "monitor_state")["state"], bands(monitored, "monitor_score")
    inner = (slice(48, 82), slice(48, 82))
    assert np.isin(state[inner], (3, 6)).mean() > 0.9
    day = (FIRST.date() + dt.timedelta(days=60) - dt.date(1970, 1, 1)).days
    assert np.median(score["date"][inner]) == day
    assert np.median(score["before"][inner]) == day - 12
    rows = list(
        csv.DictReader(monitored.read_bytes("products/change/ascending-015_monitor_history.csv").decode().splitlines())
    )
    assert [row["date"] for row in rows] == ["2023-03-05", "2023-03-17", "2023-03-29", "2023-04-10"]
    assert sum(float(rows[-1][name]) for name in list(rows[-1])[5:]) == pytest.approx(128 * 128 / 100)


def contents(folder: Folder) -> dict[str, bytes]:
    assert folder.local is not None
    found = sorted((folder.local / "products/change").iterdir())
    return {path.name: path.read_bytes() for path in found}


def test_a_new_pass_continues_and_gives_what_a_run_over_everything_gives(monitored: Folder, tmp_path: Path) -> None:
    early = made(PERIOD, tmp_path / "early", days=DAYS[:-1])
    assert contents(early) != contents(monitored)
    later = made(PERIOD, tmp_path / "early")
    assert contents(later) == contents(monitored)
    assert later.local is not None
    lines = [json.loads(line) for line in (later.local / "ledger/change.jsonl").read_text().splitlines() if line]
    assert [line["passes"] for line in lines if "passes" in line] == [3] * 4 + [1] * 4


def test_what_is_done_is_left_alone_and_a_lost_tile_is_made_again(monitored: Folder, tmp_path: Path) -> None:
    assert monitored.local is not None
    copy = Folder(str(shutil.copytree(monitored.local, tmp_path / "copy")))
    region, listener, before = region_of(PERIOD), Listener(), contents(copy)
    with Pool(0) as pool:
        assert change(region, copy, pool, listener).resumed == 4
        copy.remove("change/ascending-015_monitor/r000c001.npz")
        copy.remove("products/change/ascending-015_monitor_polygons.gpkg")
        assert change(region, copy, pool, listener).resumed == 3
    assert contents(copy) == before


def test_catalogue_and_report_show_the_areas(monitored: Folder, tmp_path: Path) -> None:
    assert monitored.local is not None
    copy = Folder(str(shutil.copytree(monitored.local, tmp_path / "copy")))
    region = region_of(PERIOD)
    with Pool(0) as pool:
        mosaic(region, copy, pool, Listener())
    write_catalog(region, copy)
    item = json.loads(copy.read_bytes("catalog/items/change-state-ascending-015_monitor.json"))
    assert {"change-state", "geopackage", "geojson", "series", "history"} <= set(item["assets"])
    assert len(item["assets"]["change-state"]["classification:classes"]) == 9
    assert item["properties"]["start_datetime"] < item["properties"]["end_datetime"]
    page = Path(write_report(region, copy)).read_text(encoding="utf-8")
    assert "Areas of change" in page
    assert "confirmed, high" in page
    for product in load_products(copy):
        valid, errors, _ = cog_validate(copy.address(product.path), strict=True)
        assert valid, errors


def test_points_outside_are_told_before_anything_is_done(cohmap: Command, tmp_path: Path) -> None:
    points = tmp_path / "p.csv"
    points.write_text("name,lon,lat\nFar,12,48\n")
    answer = cohmap("change", "demo", "--output", str(tmp_path / "out"), "--workers", "0", "--points", str(points))
    assert answer.code == 2
    assert "outside region 'demo'" in answer.err
