"""The map in the browser: pictures that lie right, layers that can be ticked, and one sentence where it can't be."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from affine import Affine
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from PIL import Image
from shapely.geometry import box

from pipeline.errors import CohmapError
from pipeline.map.notebook import write_notebook
from pipeline.map.overlays import (
    PIXELS,
    clear,
    corners,
    draw_overlay,
    legend,
    overlays_of,
    to_mercator,
    transparent_png,
)
from pipeline.map.panel import tile_lines
from pipeline.map.viewer import build_map, view_of
from pipeline.products import load_products
from pipeline.quicklook import CHANGED, COHERENCE, MapImage, score_style
from pipeline.region import Region, crs_of
from pipeline.storage import Folder
from tests.conftest import Command
from tests.fakes import make_region
from tests.finished import finished_once, region_with_everything

UTM = CRS("EPSG:32632")
DEGREES = CRS("EPSG:4326")

# the widgets' own libraries are not ours to keep free of warnings
with_extra = pytest.mark.filterwarnings("default")


class NotInstalled:
    """Stands first among the finders and finds nothing of these names, as if they weren't installed."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse the names, and leave all others to the next finder."""
        del path, target
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("ipyleaflet", "ipywidgets", "geemap", "voila")
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [NotInstalled(*names), *sys.meta_path])


@pytest.fixture
def finished(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(str(finished_once(tmp_path_factory)))


def image_of(values: npt.ArrayLike, spacing: float = 10.0, crs: CRS = UTM) -> MapImage:
    pixels = np.asarray(values, dtype=np.float32)
    return MapImage(pixels, GeoBox(pixels.shape, Affine(spacing, 0, 250000, 0, -spacing, 5320000), crs), 1)


def middle_of(image: MapImage) -> tuple[float, float]:
    """Longitude and latitude of the values' centre of mass."""
    weights = np.nan_to_num(image.values)
    rows, cols = np.indices(weights.shape)
    return image.place(*(float(np.average(index, weights=weights)) + 0.5 for index in (rows, cols)))


def rgba_of(png: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def test_what_is_reprojected_stays_at_its_place() -> None:
    values = np.zeros((300, 400))
    values[40:50, 330:340] = 1  # near a corner, far from the zone's middle, where the grids turn most
    image = image_of(values)
    moved = to_mercator(image)
    assert middle_of(moved) == pytest.approx(middle_of(image), abs=1e-5)  # a tenth of a pixel
    assert str(moved.grid.crs) == "EPSG:3857"


def test_the_corners_hold_the_whole_map() -> None:
    image = image_of(np.ones((300, 400)))
    (south, west), (north, east) = corners(to_mercator(image).grid)
    places = [image.place(row, col) for row in (0, 300) for col in (0, 400)]
    assert min(lon for lon, _ in places) == pytest.approx(west, abs=3e-4)
    assert max(lon for lon, _ in places) == pytest.approx(east, abs=3e-4)
    assert min(lat for _, lat in places) == pytest.approx(south, abs=3e-4)
    assert max(lat for _, lat in places) == pytest.approx(north, abs=3e-4)


def test_no_picture_is_larger_than_asked_for() -> None:
    for shape in ((1200, 90), (90, 1200), (1, 2000)):
        assert max(to_mercator(image_of(np.ones(shape)), 150).values.shape) <= 150


def test_classes_are_not_mixed_and_no_data_stays_so() -> None:
    values = np.kron(np.indices((20, 20)).sum(axis=0) % 2, np.ones((10, 10)))
    values[:50, :50] = math.nan
    moved = to_mercator(image_of(values), classes=True).values
    assert set(np.unique(moved[np.isfinite(moved)])) == {0.0, 1.0}
    assert not np.isfinite(moved[:40, :40]).any()


def test_a_picture_has_the_styles_colours_and_is_clear_where_nothing_is_known() -> None:
    pixels = rgba_of(transparent_png(image_of([[0.0, 1.0, math.nan]]), COHERENCE))[0]
    colours, _ = COHERENCE.scale()
    ends = [tuple(map(int, colours(end, bytes=True))) for end in (0.0, 1.0)]
    assert [tuple(map(int, pixel)) for pixel in pixels] == [*ends, (0, 0, 0, 0)]


def test_a_mask_hides_nothing_but_what_dropped() -> None:
    pixels = rgba_of(transparent_png(image_of([[0, 1, math.nan]]), clear(CHANGED)))[0]
    assert pixels[:, 3].tolist() == [0, 255, 0]


def test_legends_name_ends_and_classes() -> None:
    assert ">0<" in legend(COHERENCE)
    assert ">1<" in legend(COHERENCE)
    score = legend(score_style(image_of([[-9.0, 9.0]])))
    assert "≤ -9" in score
    assert "≥ 9" in score
    assert "change" in legend(clear(CHANGED))
    assert "&lt;b&gt;" in legend(replace(COHERENCE, label="<b>"))


def test_every_mean_median_and_change_map_is_a_layer_and_pairs_are_chosen(finished: Folder) -> None:
    products = load_products(finished)
    layers = overlays_of(products, pairs=3)
    labels = [layer.label for layer in layers]
    means = [product for product in products if product.kind == "mean"]
    assert sum(label.startswith("Mean V") for label in labels) == len(means) > 0
    assert sum(label.startswith("Median V") for label in labels) == len(means)
    assert len([layer for layer in layers if layer.group == "Change"]) == 2  # score and mask
    assert len({layer.product.pairs for layer in layers if layer.group == "Pairs"}) == 3
    assert len(set(labels)) == len(labels)
    assert not [label for label in labels if "ascending-015" in label]  # one track only: all have it
    assert len(overlays_of(products, pairs=1000)) > len(layers)


def test_tracks_are_named_where_there_are_several(finished: Folder) -> None:
    products = load_products(finished)
    others = [replace(product, track="ascending-044") for product in products]
    assert all(
        "ascending-015" in layer.label for layer in overlays_of([*products, *others], 2) if layer.group == "Pairs"
    )


def test_layers_are_drawn_from_the_files(finished: Folder) -> None:
    for layer in overlays_of(load_products(finished), pairs=1):
        picture = draw_overlay(finished, layer, 80)
        png = base64.b64decode(picture.url.removeprefix("data:image/png;base64,"))
        assert max(Image.open(io.BytesIO(png)).size) <= 80 < PIXELS
        assert rgba_of(png)[..., 3].any()
        (south, west), (north, east) = picture.bounds
        assert region_with_everything().area.within(box(west, south, east, north))


def test_a_file_that_is_gone_is_named(finished: Folder) -> None:
    (layer, *_) = overlays_of(load_products(finished), pairs=1)
    gone = replace(layer, product=replace(layer.product, path="products/gone.tif"))
    with pytest.raises(CohmapError, match=r"gone\.tif can't be read"):
        draw_overlay(finished, gone)


@pytest.mark.parametrize("bounds", [(11.0, 48.0, 11.1, 48.1), (-120.0, 33.0, -114.0, 40.0), (20.0, -70.0, 20.1, -60.0)])
def test_the_whole_area_is_seen_beside_the_panel(bounds: tuple[float, float, float, float]) -> None:
    west, south, east, north = bounds
    (lat, lon), zoom = view_of(box(*bounds))

    def pixel(lat: float, lon: float) -> tuple[float, float]:
        world = 256 * 2**zoom
        return world * lon / 360, world / (2 * math.pi) * math.asinh(math.tan(math.radians(lat)))

    middle, left, right = pixel(lat, lon), pixel(south, west), pixel(north, east)
    assert 350 < right[0] - left[0] <= 900 or 250 < right[1] - left[1] <= 620
    assert left[1] - middle[1] == pytest.approx(middle[1] - right[1], abs=0.01)
    assert middle[0] - (left[0] + right[0]) / 2 == pytest.approx(200)


def test_the_grid_of_tiles_has_a_line_for_each_row_and_column() -> None:
    region = make_region()
    lines: Any = tile_lines(region)
    assert len(lines.geoms) == 3 + 3
    left, bottom, right, top = region.grid.boundingbox.bbox
    lon, lat = crs_of(region.grid).transformer_to_crs(DEGREES)([left, right, left, right], [bottom, bottom, top, top])
    assert lines.bounds == pytest.approx((min(lon), min(lat), max(lon), max(lat)))


@pytest.mark.usefixtures("without_extra")
def test_without_the_extra_the_command_says_how_to_get_it(cohmap: Command, finished: Folder) -> None:
    answer = cohmap("map", "demo", "--output", str(finished))
    assert answer.code == 2
    assert "pip install 'cohmap[map]'" in answer.err
    assert answer.err.count("\n") == 1
    assert not finished.exists("map.ipynb")
    assert cohmap("map", "--help").code == 0


@pytest.mark.usefixtures("without_extra")
def test_without_the_extra_a_program_gets_the_same_sentence(finished: Folder) -> None:
    with pytest.raises(CohmapError, match="pip install"):
        build_map(region_with_everything(), finished)


def test_a_region_without_products_has_no_map(cohmap: Command, tmp_path: Path) -> None:
    answer = cohmap("map", "demo", "--output", str(tmp_path / "none"))
    assert (answer.code, answer.out) == (2, "")
    assert "there are no products" in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "none").exists()


class Shown:
    """A map, and hands and eyes for its panel."""

    def __init__(self, region: Region, folder: Folder) -> None:
        self.map = build_map(region, folder)
        self.panel: Any = self.map.controls[-1].widget
        _, self.lists, self.opacity, self.legend, self.note = self.panel.children
        self.boxes = {box.description: box for section in self.lists.children for box in section.children}

    @property
    def names(self) -> list[str]:
        return [layer.name for layer in self.map.layers]


@pytest.fixture
def shown(finished: Folder) -> Shown:
    pytest.importorskip("ipyleaflet")
    return Shown(region_with_everything(), finished)


@with_extra
def test_the_map_opens_with_outline_and_one_layer_and_asks_nobody(shown: Shown) -> None:
    first = "Mean VV at 12 days, 4 pairs"
    assert shown.names == ["outline of small", first]
    assert shown.map.layers[-1].url.startswith("data:image/png")
    assert "coherence" in shown.legend.value
    assert shown.lists.titles == ("Coherence over time", "Change", "Pairs", "Lines")
    assert [shown.boxes[name].value for name in ("outline of small", first, "grid of tiles")] == [True, True, False]


@with_extra
def test_layers_come_on_top_and_go_with_their_legends(shown: Shown) -> None:
    (mask,) = [name for name in shown.boxes if name.startswith("Mask") and name.endswith("VV")]
    shown.boxes[mask].value = True
    shown.boxes["grid of tiles"].value = True
    assert shown.names[-2:] == [mask, "grid of tiles"]
    assert "coherence dropped" in shown.legend.value
    shown.boxes[mask].value = False
    shown.boxes["grid of tiles"].value = False
    assert shown.names == ["outline of small", "Mean VV at 12 days, 4 pairs"]
    assert "coherence dropped" not in shown.legend.value


@with_extra
def test_opacity_is_that_of_all_that_is_shown(shown: Shown) -> None:
    shown.opacity.value = 0.3
    median = "Median VV at 12 days, 4 pairs"
    shown.boxes[median].value = True
    assert [layer.opacity for layer in shown.map.layers[1:]] == [0.3, 0.3]


@with_extra
def test_a_file_that_is_gone_is_told_on_the_page(finished: Folder, tmp_path: Path) -> None:
    pytest.importorskip("ipyleaflet")
    folder = Folder(str(shutil.copytree(str(finished), tmp_path / "copy")))
    shown = Shown(region_with_everything(), folder)
    shutil.rmtree(tmp_path / "copy/products/change")
    (name,) = [name for name in shown.boxes if name.startswith("Coherence drop") and name.endswith("VV")]
    shown.boxes[name].value = True
    assert "can&#x27;t be read" in shown.note.value
    assert not shown.boxes[name].value
    assert len(shown.names) == 2


@with_extra
def test_the_command_writes_a_notebook_that_builds_the_map(cohmap: Command, finished: Folder, tmp_path: Path) -> None:
    pytest.importorskip("ipyleaflet")
    nbformat = pytest.importorskip("nbformat")
    path = tmp_path / "look.ipynb"
    answer = cohmap("map", "demo", "--output", str(finished), "--notebook", str(path), "--no-open")
    assert (answer.code, answer.err) == (0, "")
    assert f"-m voila {path}" in answer.out
    notebook = json.loads(path.read_text(encoding="utf-8"))
    nbformat.validate(notebook)
    names: dict[str, Any] = {}
    exec("".join(notebook["cells"][0]["source"]).replace("\nbuild_map", "\nshown = build_map"), names)  # noqa: S102 - ours
    assert type(names["shown"]).__name__ == "Map"


@with_extra
def test_a_notebook_without_a_place_is_refused(finished: Folder, tmp_path: Path) -> None:
    pytest.importorskip("ipyleaflet")
    region = replace(region_with_everything(), path=tmp_path / "small.toml")
    (tmp_path / "file").touch()
    with pytest.raises(CohmapError, match="choose another with --notebook"):
        write_notebook(region, finished, tmp_path / "file/map.ipynb", date=dt.date(2023, 1, 4))
