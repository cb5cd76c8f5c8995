"""The report: one page that needs nothing else, shows what there is, and says what it can't know."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox

from pipeline import cube
from pipeline.closeups import close_ups
from pipeline.config import Point, parse
from pipeline.errors import CohmapError
from pipeline.mosaic import open_maps
from pipeline.passes import Pair, Pass
from pipeline.products import load_products
from pipeline.quicklook import MapImage
from pipeline.region import Region, Tile
from pipeline.report import write_report
from pipeline.sampling import (
    BIN,
    PairMaps,
    count,
    given_places,
    locate,
    quantiles,
    spread_out,
    telling_places,
)
from pipeline.settings import as_toml
from pipeline.storage import Folder
from pipeline.truth import Errors, KnowsTruth, compare_with_truth
from tests.fakes import SpeckleSource, make_region
from tests.finished import Oracle, finish, finished_once, region_with_everything


class Page(HTMLParser):
    """What a page refers to, its headings, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.sources: list[str] = []
        self.ids: set[str] = set()
        self.alts: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self._silent = False
        self.feed(text)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.tags.append(tag)
        self._silent = tag in {"style", "script"}
        if "href" in found:
            self.hrefs.append(found["href"])
        if "src" in found:
            self.sources.append(found["src"])
            self.alts.append(found.get("alt", ""))
        if "id" in found:
            self.ids.add(found["id"])

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - nothing nests in what is silent
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text += data + " "


@pytest.fixture(scope="module")
def region() -> Region:
    return region_with_everything()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_once(tmp_path_factory)


@pytest.fixture(scope="module")
def page(output: Path, region: Region) -> Page:
    return read(write_report(region, Folder(str(output))))


def read(address: str) -> Page:
    return Page(Path(address).read_text(encoding="utf-8"))


def page_of(region: Region, folder: Path, source: SpeckleSource | None = None) -> Page:
    return read(write_report(region, finish(region, folder, source)))


def test_the_page_needs_nothing_but_itself(output: Path, page: Page) -> None:
    text = (output / "report.html").read_text(encoding="utf-8")
    assert page.sources
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert all(page.alts)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "://" not in "".join(page.hrefs)
    assert "@import" not in text
    assert "url(" not in text
    assert len(text) < 5_000_000


def test_the_summary_holds_what_matters_and_needs_nothing_but_itself(output: Path, page: Page) -> None:
    del page  # writes the summary too
    summary = read(str(output / "summary.html"))
    assert len(summary.sources) == 3  # a mean, the change, and all pairs over time
    assert all(source.startswith("data:image/png;base64,") for source in summary.sources)
    assert summary.hrefs == ["report.html"]


def test_every_link_leads_somewhere(output: Path, page: Page, region: Region) -> None:
    from pipeline.catalog import write_catalog

    write_catalog(region, Folder(str(output)))
    for href in page.hrefs:
        assert href.removeprefix("#") in page.ids if href.startswith("#") else (output / href).exists(), href


def test_it_says_what_where_and_when(page: Page) -> None:
    assert "5 simulated passes between 4 January 2023 and 21 February 2023 on track ascending-015" in page.text
    assert "7 pairs at 12 and 24 days" in page.text
    assert "48.006° N, 11.057° E" in page.text
    assert "log-correlation" in page.text
    assert "cohmap run small --output" in page.text


def test_simulated_data_are_called_simulated(page: Page) -> None:
    assert "Everything on this page is simulated" in page.text
    assert "Copernicus" not in page.text


def test_real_data_are_not_called_simulated(tmp_path: Path) -> None:
    region = make_region(source={"kind": "earthengine"})
    page = page_of(region, tmp_path, SpeckleSource(region, days=(0, 12)))
    assert "Contains modified Copernicus Sentinel data 2023" in page.text
    assert "2 Sentinel-1 passes" in page.text
    assert "Everything on this page is simulated" not in page.text


def test_every_pair_has_its_line_with_the_median_of_its_map(output: Path, region: Region, page: Page) -> None:
    maps = open_maps(region, Folder(str(output)))
    reader = PairMaps(maps)
    for pair in maps.pairs:
        summary = reader.summary(pair)
        pixels = read_layer(output, region, pair, "coherence_vv")
        assert summary.spread["VV"].value == pytest.approx(np.nanmedian(pixels), abs=2 * BIN)
        assert summary.spread["VV"].low == pytest.approx(np.nanquantile(pixels, 0.25), abs=2 * BIN)
        assert summary.valid == pytest.approx(np.isfinite(pixels).mean(), abs=1e-5)
        start, end = (f"{moment:%Y-%m-%d}" for moment in (pair.reference_start, pair.secondary_start))
        line = page.text[page.text.index(f"ascending-015 {start} {end} {pair.days}") :]
        assert f"{summary.spread['VV'].value:.2f} {summary.spread['VH'].value:.2f} 100.0%" in line[:120]


def read_layer(output: Path, region: Region, pair: Pair, variable: str) -> cube.FloatArray:
    opened = cube.Cube(Folder(str(output)), f"pairs/{pair.track}.zarr")
    array = np.asarray(opened.array(variable)[opened.position(pair.id)])
    assert array.shape == region.grid.shape
    return array


def test_change_is_shown_with_its_threshold_and_share(output: Path, page: Page) -> None:
    score = next(p for p in load_products(Folder(str(output))) if p.kind == "change")
    assert f"exceeds {score.properties['threshold']:.2f}" in page.text
    assert f"{score.properties['flagged_share']:.2%} of the pixels are flagged" in page.text
    assert "Change score across" in page.text
    assert "Areas of change" in page.text


def test_an_identical_run_writes_an_identical_page(output: Path, region: Region, page: Page) -> None:
    assert page.tags
    first = (output / "report.html").read_bytes()
    assert Path(write_report(region, Folder(str(output)))).read_bytes() == first


def test_given_points_are_shown_and_those_outside_left_out(output: Path, region: Region, tmp_path: Path) -> None:
    copy = shutil.copytree(output, tmp_path / "points")
    points = (Point(name="Mill", lon=11.057, lat=48.006), Point(name="Far away", lon=12.0, lat=48.0))
    products = region.config.products.model_copy(update={"points": points})
    update = {"products": products, "title": "<b>A & B</b>"}
    pointed = Region(region.config.model_copy(update=update), region.area)
    (place,) = given_places(pointed)
    page = read(write_report(pointed, Folder(str(copy))))
    assert f"Mill – 48.006° N, 11.057° E, row {place.row}, column {place.col}" in page.text
    assert "At given points" in page.text
    assert "<b>A & B</b>" in page.text  # a title is text and not markup
    assert "b" not in page.tags
    assert "Far away" not in page.text.split("Settings The region file")[0]
    maps = open_maps(pointed, Folder(str(copy)))
    pair = maps.pairs[2]
    value = PairMaps(maps).series(pair.track, "VH", place)[2]
    assert value.value == pytest.approx(read_layer(copy, region, pair, "coherence_vh")[place.row, place.col])
    sigma = read_layer(copy, region, pair, "sigma_vh")[place.row, place.col]
    assert value.high - value.value == pytest.approx(sigma, rel=1e-5)


def test_without_points_some_are_chosen_and_said_to_be(page: Page) -> None:
    assert "chosen automatically" in page.text
    assert "Highest mean coherence" in page.text
    assert "Largest drop" in page.text


def test_chosen_places_are_where_the_maps_say() -> None:
    region = make_region()
    values = np.full((128, 128), 0.5, dtype=np.float32)
    values[40, 90], values[70, 20], values[0, 0] = 0.9, 0.1, 1.0  # the corner is too near to the edge
    mean = MapImage(values, region.grid, 1)
    score = MapImage(np.where(np.arange(128) == 60, 5, 0) * np.ones((128, 1), dtype=np.float32), region.grid, 1)
    found = {place.name: (place.row, place.col) for place in telling_places(region, mean, score)}
    assert found["Highest mean coherence"] == (40, 90)
    assert found["Lowest mean coherence"] == (70, 20)
    assert found["Largest drop"][1] == 60


def test_a_place_is_found_on_the_grid_and_not_outside() -> None:
    grid = make_region().grid
    lon, lat = MapImage(np.zeros((1, 1), np.float32), grid, 1).place(17.5, 42.5)
    assert locate(grid, lon, lat) == (17, 42)
    assert locate(grid, lon + 1, lat) is None


def test_quantiles_of_counts_are_those_of_the_pixels() -> None:
    values = np.random.default_rng(3).beta(2, 3, 40_000).astype(np.float32)
    counts = count(values[:10_000]) + count(np.append(values[10_000:], np.float32("nan")))
    for share, found in zip((0.25, 0.5, 0.75), quantiles(counts, (0.25, 0.5, 0.75)), strict=True):
        assert found == pytest.approx(np.quantile(values, share), abs=BIN)
    assert np.isnan(quantiles(np.zeros(10, dtype=np.int64), (0.5,))).all()


def test_a_sample_of_tiles_reaches_from_end_to_end() -> None:
    tiles = [Tile(row, 0, 64, (6400, 64)) for row in range(100)]
    picked = spread_out(tiles, 16)
    assert (len(picked), picked[0], picked[-1]) == (16, tiles[0], tiles[-1])
    assert spread_out(tiles[:5], 16) == tiles[:5]


def test_a_region_without_change_means_or_pair_maps(tmp_path: Path) -> None:
    region = make_region(products={"mean": False, "pairs": True})
    page = page_of(region, tmp_path / "pairs", SpeckleSource(region, days=(0, 12)))
    assert "single pairs are shown instead" in page.text
    assert "change" not in page.ids
    region = make_region(products={"mean": True, "pairs": False})
    page = page_of(region, tmp_path / "means", SpeckleSource(region, days=(0, 12, 24)))
    assert any(alt.startswith("Mean coherence VV at 12 days") for alt in page.alts)
    assert "Single pairs" not in page.text


def test_a_region_without_any_data(tmp_path: Path) -> None:
    region = make_region()
    corner = region.grid.affine
    everywhere = {(corner.c + 640.0 * col, corner.f - 640.0 * row) for row in (0, 1) for col in (0, 1)}
    page = page_of(region, tmp_path, SpeckleSource(region, days=(0, 12, 24), empty=everywhere))
    assert "No pair has data" in page.text
    assert "covers 0.0% of the region's tiles" in page.text


def test_without_products_there_is_no_page(region: Region, tmp_path: Path) -> None:
    with pytest.raises(CohmapError, match="run `cohmap mosaic` first"):
        write_report(region, Folder(str(tmp_path)))


def test_settings_are_shown_as_a_region_file_that_means_the_same(region: Region) -> None:
    text = as_toml(region.config.model_dump(mode="json", exclude_none=True))
    assert parse(tomllib.loads(text), where="report") == region.config


def test_truth_is_shown_only_where_the_source_knows_it(
    output: Path, region: Region, page: Page, tmp_path: Path
) -> None:
    assert "truth" not in page.ids
    assert not isinstance(SpeckleSource(region), KnowsTruth)
    copy = shutil.copytree(output, tmp_path / "truth")
    shown = read(write_report(region, Folder(str(copy)), Oracle(region)))
    assert "truth" in shown.ids
    assert "Against the truth" in shown.text


def test_errors_against_the_truth_are_those_of_the_maps(output: Path, region: Region) -> None:
    folder, oracle = Folder(str(output)), Oracle(region)
    maps = open_maps(region, folder)
    verdict = compare_with_truth(maps, load_products(folder), oracle)
    assert list(verdict.errors) == [("VV", 12), ("VV", 24), ("VH", 12), ("VH", 24)]
    pixels = [read_layer(output, region, pair, "coherence_vh") for pair in maps.pairs if pair.days == 12]
    found = verdict.errors["VH", 12]
    assert found.pixels == sum(layer.size for layer in pixels)
    assert found.rmse == pytest.approx(float(np.sqrt(np.mean((np.stack(pixels) - oracle.truth) ** 2))), abs=1e-5)
    assert found.bias == pytest.approx(float(np.mean(np.stack(pixels) - oracle.truth)), abs=1e-5)
    assert found.constant_rmse == pytest.approx(0, abs=1e-6)


def test_error_measures_are_the_textbook_ones() -> None:
    rng = np.random.default_rng(4)
    truth = rng.random((50, 60)).astype(np.float32)
    estimate = (0.8 * truth + 0.15 + rng.normal(0, 0.1, truth.shape)).astype(np.float32)
    estimate[0, :10] = np.nan
    errors = Errors()
    for rows in (slice(0, 20), slice(20, 50)):
        errors.add(estimate[rows], np.full_like(estimate[rows], 0.1), truth[rows])
    known = np.isfinite(estimate)
    x, t = estimate[known].astype(np.float64), truth[known].astype(np.float64)
    assert errors.pixels == x.size
    assert errors.rmse == pytest.approx(np.sqrt(np.mean((x - t) ** 2)))
    assert errors.correlation == pytest.approx(np.corrcoef(x, t)[0, 1])
    assert errors.constant_rmse == pytest.approx(t.std())
    assert errors.coverage == pytest.approx(np.mean(np.abs(x - t) <= np.float32(0.1)))
    shares = [share for _, share, _, _ in errors.bins]
    assert sum(shares) == pytest.approx(1)
    low = t < 0.2
    assert errors.bins[0][2] == pytest.approx(np.mean(x[low] - t[low]), abs=1e-4)


def test_hits_and_false_alarms_are_those_of_the_mask(output: Path, region: Region) -> None:
    folder, oracle = Folder(str(output)), Oracle(region)
    products = load_products(folder)
    verdict = compare_with_truth(open_maps(region, folder), products, oracle)
    assert [found.product.polarisation for found in verdict.detections] == ["VV+VH"]
    for found in verdict.detections:
        with rasterio.open(output / found.product.path) as dataset:
            flags = dataset.read(1) == 1
        event = oracle.event_mask(region.grid)
        assert event.sum() == event.size / 4
        assert (found.found, found.missed) == (int((flags & event).sum()), int((~flags & event).sum()))
        assert found.false_alarms == int((flags & ~event).sum())
        assert found.rate == pytest.approx(found.found / event.sum())
        assert found.false_alarm_rate == pytest.approx(found.false_alarms / (~event).sum())


def test_small_regions_need_no_close_ups(output: Path, region: Region) -> None:
    folder = Folder(str(output))
    means = [product for product in load_products(folder) if product.kind == "mean"]
    assert close_ups(open_maps(region, folder), means).spots == ()


class Islands(SpeckleSource):
    """Speckle in two squares of a wide sea without data, 100 and 300 pixels a side, in tiles of 512."""

    sides: ClassVar = {(0, 1): 100, (2, 2): 300}

    def read(self, item: Pass, window: GeoBox, bands: Sequence[str]) -> cube.FloatArray:
        """Each square lies in the middle of its tile."""
        step = 512 * 10.0
        origin = self.region.grid.affine
        place = round((origin.f - window.affine.f) / step), round((window.affine.c - origin.c) / step)
        pixels = np.full((len(bands), *window.shape), np.nan, dtype=np.float32)
        if place in self.sides:
            side = self.sides[place]
            inside = slice((512 - side) // 2, (512 + side) // 2)
            rng = np.random.default_rng(list(item.id.encode()))
            pixels[:, inside, inside] = rng.gamma(4.4, 1 / 4.4, (len(bands), side, side))
        return pixels


def test_a_sparse_region_is_shown_island_by_island(tmp_path: Path) -> None:
    region = make_region(area={"bbox": [11.0505, 47.8800, 11.2300, 48.0105]}, grid={"crs": "EPSG:32632", "tile": 512})
    folder = finish(region, tmp_path, Islands(region, days=(0, 12, 24)))
    means = [product for product in load_products(folder) if product.kind == "mean"]
    found = close_ups(open_maps(region, folder), means)
    assert [spot.metres for spot in found.spots] == [1000.0, 1920.0]  # the small one whole, of the other its middle
    assert [len(spot.plates) for spot in found.spots] == [1, 1]
    assert not found.is_all
    assert "Close-ups" in read(write_report(region, folder)).text
