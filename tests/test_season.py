"""Seasons: which pairs go where, what is written, that it resumes, and tiles that fit the global set."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rio_cogeo.cogeo import cog_validate

from models.decay import Quality
from pipeline.catalog import write_catalog
from pipeline.compute import Pool
from pipeline.cube import FloatArray
from pipeline.errors import CohmapError
from pipeline.export import export
from pipeline.infer import infer
from pipeline.mosaic import mosaic
from pipeline.passes import Pair, Pass, Slice, Track
from pipeline.plan import make_plan
from pipeline.products import Product
from pipeline.region import Region
from pipeline.report import write_report
from pipeline.season.compare import compare_tiles
from pipeline.season.exchange import parse_name, season_products, write_tiles
from pipeline.season.groups import make_levels, nominal_baseline, season_of
from pipeline.season.run import season
from pipeline.season.settings import Season
from pipeline.sources import Query
from pipeline.storage import Folder
from pipeline.verify import verify
from tests.conftest import Command
from tests.fakes import TRACK, Listener, SpeckleSource, make_region

OTHER = Track("descending", 66)
T0 = dt.datetime(2023, 1, 8, 17, tzinfo=dt.UTC)


def pair(first: int, second: int, track: Track = TRACK) -> Pair:
    return Pair(track, f"p{first}", f"p{second}", T0 + dt.timedelta(days=first), T0 + dt.timedelta(days=second))


def test_a_pair_belongs_to_the_season_of_its_middle_day() -> None:
    assert season_of(pair(40, 52), Season()) == "djf"
    assert season_of(pair(46, 64), Season()) == "mam"
    assert season_of(pair(330, 342), Season()) == "djf"


def test_own_ranges_take_the_place_of_the_calendar() -> None:
    rule = Season.model_validate(
        {"ranges": [{"name": "thaw", "first": dt.date(2023, 3, 1), "last": dt.date(2023, 4, 10)}]}
    )
    assert season_of(pair(46, 64), rule) == "thaw"
    assert season_of(pair(0, 12), rule) is None


@pytest.mark.parametrize(
    ("days", "nominal"), [(6, 6), (7, 6), (9, None), (11, 12), (14, 12), (47, 48), (51, None), (21, None)]
)
def test_pairs_count_for_the_nearest_baseline_within_the_tolerance(days: int, nominal: int | None) -> None:
    assert nominal_baseline(days, Season()) == nominal


def test_levels_come_in_the_order_of_the_year() -> None:
    levels = make_levels({TRACK: [pair(200, 212), pair(0, 12), pair(0, 24), pair(12, 25)]}, Season())
    assert [(level.season, level.baseline, len(level.pairs)) for level in levels] == [
        ("djf", 12, 2),
        ("djf", 24, 1),
        ("jja", 12, 1),
    ]
    assert levels[0].days == 12.5


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"baselines": [100]}, r"no pair lies within 2 days of the baselines \[100\].*have 12 days"),
        ({"ranges": [{"name": "old", "first": dt.date(2001, 1, 1), "last": dt.date(2001, 2, 1)}]}, "middle day"),
    ],
)
def test_a_rule_that_leaves_nothing_is_told(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CohmapError, match=sentence):
        make_levels({TRACK: [pair(0, 12)]}, Season.model_validate(table))


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"baselines": [6, 6]}, "different whole days"),
        ({"ranges": [{"name": "x", "first": "2023-02-01", "last": "2023-01-01"}]}, "is empty"),
        ({"seasons": 1}, "unknown key"),
    ],
)
def test_a_season_table_that_cannot_be_is_refused(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CohmapError, match=sentence):
        make_region(season=table)


class TwoTracks(SpeckleSource):
    """A second track that sees the western half only."""

    def search(self, query: Query) -> list[Slice]:
        """Slices of both."""
        own = super().search(query)
        later = [
            replace(piece, id=f"d-{piece.id}", track=OTHER, start=piece.start + dt.timedelta(hours=12)) for piece in own
        ]
        return [*own, *later]

    def read(self, item: Pass, window: GeoBox, bands: Sequence[str]) -> FloatArray:
        """What the track sees."""
        images = super().read(item, window, bands)
        if item.track == OTHER:
            middle = self.region.grid.affine.c + 10 * self.region.grid.shape[1] / 2 + 160
            right = window.affine.c + 10 * (np.arange(window.shape[1]) + 0.5) > middle
            images[..., right] = np.nan
        return images


def small() -> Region:
    return make_region(
        pairs={"mode": "all", "max_days": 24}, season={"unbias": False, "feather": 300.0}, products={"pairs": False}
    )


def run(region: Region, folder: Folder) -> Listener:
    listener = Listener()
    with Pool(0) as pool:
        season(region, folder, pool, listener)
    return listener


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    region, path = small(), tmp_path_factory.mktemp("season")
    folder, source, listener = Folder(str(path)), TwoTracks(region, days=(0, 6, 12, 24)), Listener()
    export(make_plan(region, source), source, folder, listener)
    with Pool(0) as pool:
        infer(region, folder, pool, listener, "cpu")
        mosaic(region, folder, pool, listener)
    run(region, folder)
    return path


def of(folder: Path, kind: str, track: str) -> list[Product]:
    return [p for p in season_products(Folder(str(folder))) if p.kind == kind and p.track == track]


def test_every_level_holds_median_mean_sigma_and_count(made: Path) -> None:
    levels = of(made, "season", str(TRACK))
    assert [level.days for level in levels if level.properties["season"] == "djf"] == [6, 12, 18, 24]
    with rasterio.open(made / levels[1].path) as dataset:
        assert dataset.descriptions == ("median", "mean", "sigma", "count")
        assert dataset.tags()["ESTIMATOR"].startswith("log-correlation")
        assert dataset.tags()["REFERENCE_DATE"].startswith("2023-01-04")
        median, mean, sigma, count = dataset.read()
    assert count.max() == len(levels[1].pairs)
    assert 0.4 < np.nanmedian(median) < 0.9
    assert np.nanmax(np.abs(median - mean)) < 0.3
    assert (sigma[np.isfinite(sigma)] > 0).all()


def test_over_tracks_the_seam_is_feathered_and_its_step_told(made: Path) -> None:
    (first, *_) = of(made, "season", "all")
    facts = first.properties
    assert facts["seam_pixels"] > 0
    assert facts["seam_step"] < facts["seam_step_unfeathered"]
    with rasterio.open(made / first.path) as dataset:
        count = dataset.read(4)
    assert count[:, 0].max() == 2 * count[:, -1].max()


def test_the_fit_tells_what_it_can_and_nothing_else(made: Path) -> None:
    (decay,) = [p for p in of(made, "decay", str(TRACK)) if p.properties["season"] == "djf"]
    (quality,) = [p for p in of(made, "decay-quality", str(TRACK)) if p.properties["season"] == "djf"]
    with rasterio.open(made / decay.path) as dataset:
        tau, tau_error, rho, *_, baselines = dataset.read()
    with rasterio.open(made / quality.path) as dataset:
        classes = dataset.read(1)
        assert dataset.nodata == 255
    told = np.isin(classes, (Quality.FITTED, Quality.ODD_CURVE))
    np.testing.assert_array_equal(np.isfinite(tau), told)
    np.testing.assert_array_equal(np.isfinite(tau_error), told)
    np.testing.assert_array_equal(np.isfinite(rho), told | (classes == Quality.FAST))
    assert np.nanmax(baselines) == 4
    # these images keep the same share for ever: most pixels show no decay
    assert decay.properties["share_flat"] > 0.3
    assert sum(v for k, v in decay.properties.items() if k.startswith("share_")) == pytest.approx(1, abs=1e-4)


def test_products_are_valid_and_stand_in_the_catalogue(made: Path) -> None:
    for product in season_products(Folder(str(made))):
        assert cog_validate(made / product.path, strict=True)[0], product.path
    write_catalog(small(), Folder(str(made)))
    assert verify(small(), Folder(str(made)), Listener()).damaged == ()
    items = {path.stem for path in (made / "catalog/items").glob("*.json")}
    assert {product.id for product in season_products(Folder(str(made)))} <= items


def test_a_second_run_makes_nothing_and_a_lost_file_is_made_again(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "copy")
    folder = Folder(str(tmp_path / "copy"))
    total, resumed = run(small(), folder).stages["season"]
    assert (total, resumed) == (total, total)
    decay = of(tmp_path / "copy", "decay", "all")[0]
    before = (tmp_path / "copy" / decay.path).read_bytes()
    (tmp_path / "copy" / decay.path).unlink()
    assert run(small(), folder).stages["season"] == (total, total - 1)
    with rasterio.open(tmp_path / "copy" / decay.path) as dataset, rasterio.MemoryFile(before) as memory:
        np.testing.assert_array_equal(dataset.read(), memory.open().read())


def test_tiles_fit_the_global_set_and_agree_with_themselves(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "copy")
    folder, listener = Folder(str(tmp_path / "copy")), Listener()
    with Pool(0) as pool:
        outcome, _ = write_tiles(small(), folder, pool, listener)
        again, _ = write_tiles(small(), folder, pool, listener)
    assert again.resumed == outcome.total > 0
    path = tmp_path / "copy/products/season-tiles/N49E011/N49E011_winter_vv_COH12.tif"
    with rasterio.open(path) as dataset:
        assert (dataset.shape, dataset.dtypes, dataset.nodata) == ((1200, 1200), ("uint8",), 0)
        assert dataset.bounds == pytest.approx((11, 48, 12, 49))
        numbers = dataset.read(1)
    assert 30 < np.median(numbers[numbers > 0]) < 95
    assert cog_validate(path, strict=True)[0]
    with rasterio.open(path.with_name("N49E011_winter_vv_rho.tif")) as dataset:
        assert dataset.dtypes == ("uint16",)
    (score,) = compare_tiles(folder, [str(path)])
    assert score.found.pixels > 50
    assert score.found.rmse < 0.005
    assert Path(score.picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "corner", "season_name", "metric"),
    [
        ("N49W123_summer_vv_COH06.tif", (49, -123), "jja", "COH06"),
        ("S01E012_fall_vh_tau.tif", (-1, 12), "son", "tau"),
        ("N00E006_thaw_vv_rmse.tif", (0, 6), "thaw", "rmse"),
    ],
)
def test_names_of_tiles_are_read(name: str, corner: tuple[int, int], season_name: str, metric: str) -> None:
    found = parse_name(f"somewhere/{name}")
    assert (found.corner, found.season, found.metric) == (corner, season_name, metric)
    assert str(found) == name.removesuffix(".tif")


def test_a_reference_that_cannot_be_compared_is_told(made: Path) -> None:
    folder = Folder(str(made))
    with pytest.raises(CohmapError, match="not named as tiles"):
        compare_tiles(folder, ["coherence.tif"])
    with pytest.raises(CohmapError, match="no seasonal map of ours is like it"):
        compare_tiles(folder, ["N49E011_summer_vv_COH12.tif"])
    with pytest.raises(CohmapError, match="can't be read"):
        compare_tiles(folder, ["N49E011_winter_vv_COH12.tif"])


def test_the_page_shows_seasons_and_every_link_of_theirs_leads_somewhere(made: Path) -> None:
    page = Path(write_report(small(), Folder(str(made)))).read_text(encoding="utf-8")
    section = page.split('<section id="season">')[1].split("</section>")[0]
    hrefs = re.findall(r'href="([^"]+)"', section)
    assert hrefs
    assert all((made / href).exists() for href in hrefs)
    assert "Steps from pixel to pixel across borders of tracks" in section
    assert section.count("data:image/png;base64,") >= 4  # curves, coherence, its count, quality; tau only where told


def test_without_pair_maps_the_command_says_what_to_do(cohmap: Command, tmp_path: Path) -> None:
    answer = cohmap("season", "demo", "--output", str(tmp_path))
    assert answer.code == 2
    assert "run `cohmap export` first" in answer.err
