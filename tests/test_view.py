"""The viewer without a browser: what it lists, reads, says and refuses."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from bokeh.events import ButtonClick
from shapely.geometry import Point, box
from shapely.geometry.base import BaseGeometry
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from pipeline.cli_view import find_output
from pipeline.errors import CohmapError
from pipeline.products import Band, Product
from pipeline.quicklook import COHERENCE
from pipeline.region import crs_of
from pipeline.storage import Folder
from pipeline.view.layers import Layer, find_products, group_of, grouped
from pipeline.view.link import Link, read_link
from pipeline.view.page import read_output
from pipeline.view.pixels import series_at
from pipeline.view.place import Places
from pipeline.view.polygons import read_patches
from pipeline.view.server import serving
from pipeline.view.styles import layer_style, palette
from pipeline.view.windows import Frame, open_layer, read_frame
from tests.conftest import Command
from tests.finished import finished_once, region_with_everything
from tests.test_map import image_of
from tests.view_pages import HOSTILE, Handled, hostile_folder, open_page, pixels_of

UTM = "EPSG:32632"


@pytest.fixture
def finished(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(str(finished_once(tmp_path_factory)))


@pytest.fixture
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handled]:
    opened = open_page(hostile_folder(tmp_path_factory))
    yield opened
    opened.close()


def middle_of(folder: Folder, row: int, col: int) -> tuple[float, float]:
    """Map coordinates of a pixel's middle."""
    with rasterio.open(folder.address(find_products(folder)[0].path)) as dataset:
        return tuple(dataset.transform @ (col + 0.5, row + 0.5))


def product(kind: str = "mean", *bands: str) -> Product:
    described = tuple(Band(name, f"about {name}") for name in bands or ("mean",))
    moments = ("2023-01-04T00:00:00+00:00", "2023-01-16T00:00:00+00:00")
    return Product("id", kind, "products/x.tif", "title", described, "all", "VV", *moments, 12, (), "none")  # type: ignore[arg-type]  # a kind of tomorrow


# ---- what there is


def test_every_band_of_every_listed_product_is_a_layer(finished: Folder) -> None:
    groups = grouped(find_products(finished))
    assert list(groups) == ["Coherence over time", "Pairs", "Change"]
    assert {p.kind for p in groups["Change"]} == {"change", "change-mask"}
    pairs = groups["Pairs"]
    assert [p.polarisation for p in pairs] == ["VV"] * 7 + ["VH"] * 7
    assert [p.reference for p in pairs[:7]] == sorted(p.reference for p in pairs[:7])


def test_kinds_that_nobody_has_thought_of_are_shown_too() -> None:
    assert group_of(product("season-decay")) == "Season"
    assert group_of(product("snow_depth-max")) == "Snow depth"
    tau = layer_style(Layer(product("snow", "tau")), image_of([[5.0, 30.0, 55.0]]))
    assert (tau.low, tau.high) == pytest.approx((6, 54))
    assert tau.label == "about tau"
    assert layer_style(Layer(product("snow", "coherence_12d")), image_of([[0.1, 0.2]])) is COHERENCE
    flat = layer_style(Layer(product("snow", "depth")), image_of([[3.0, 3.0]]))
    assert flat.high > flat.low


def test_lists_of_products_say_what_is_wrong_with_them(finished: Folder, tmp_path: Path) -> None:
    with pytest.raises(CohmapError, match=r"there are no products in .* yet; run `cohmap run` first"):
        find_products(Folder(str(tmp_path)))
    index = tmp_path / "products/mosaic.json"
    index.parent.mkdir()
    entry = finished.read_json("products/mosaic.json")[0]
    for bad in ("../../etc/passwd", "/etc/passwd", "..\\x.tif", "https://example.org/x.tif"):
        index.write_text(json.dumps([entry | {"path": bad}]))
        with pytest.raises(CohmapError, match="lies outside the folder; it is not read"):
            find_products(Folder(str(tmp_path)))
    damages: list[dict[str, object]] = [{"title": 3}, {"bands": []}, {"bands": [1]}, {"unknown": 1}]
    for damage in damages:
        index.write_text(json.dumps([entry | damage]))
        with pytest.raises(CohmapError, match=r"mosaic\.json .* run its stage again"):
            find_products(Folder(str(tmp_path)))
    index.write_text('{"not": "a list"}')
    with pytest.raises(CohmapError, match="there are no products"):
        find_products(Folder(str(tmp_path)))


def test_an_output_is_named_by_folder_address_or_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here/products").mkdir(parents=True)
    assert find_output("here").uri == "here"
    assert find_output("s3://bucket/out").uri == "s3://bucket/out"
    assert find_output("demo").uri == "out/demo"
    with pytest.raises(CohmapError, match="nowhere is no folder of results, and no region either"):
        find_output("nowhere")


def test_classes_get_the_reports_colours_or_their_own() -> None:
    mask = Layer(product("change-mask", "mask"))
    colours, low, high = palette(layer_style(mask, image_of([[0, 1, math.nan]])))
    assert (len(colours), low, high) == (2, -0.5, 1.5)
    colours, low, high = palette(layer_style(mask, image_of([[0, 2, 4]])))
    assert (low, high, len(colours)) == (-0.5, 4.5, 5)
    assert colours[1] == "#00000000"  # no class, no colour


# ---- what is in view


def test_a_view_is_read_from_the_overview_that_fits_the_screen(tmp_path: Path) -> None:
    values = np.arange(1024 * 1024, dtype=np.float32).reshape(1024, 1024) / 1024**2
    path = tmp_path / "products/x.tif"
    path.parent.mkdir()
    to_grid = Affine(10, 0, 600000, 0, -10, 5300000)
    made = {
        "driver": "COG",
        "height": 1024,
        "width": 1024,
        "count": 1,
        "dtype": "float32",
        "overview_resampling": "average",
    }
    with rasterio.open(path, "w", crs=UTM, transform=to_grid, **made) as dataset:
        dataset.write(values, 1)
    with open_layer(Folder(str(tmp_path)), Layer(product()), UTM) as dataset:
        whole = read_frame(dataset, 1, Frame(600000, 5289760, 610240, 5300000), (256, 256))
        part = read_frame(dataset, 1, Frame(602000, 5297000, 603000, 5298000), (100, 100))
        beyond = read_frame(dataset, 1, Frame(0, 0, 1000, 1000), (100, 100))
    assert (whole.step, whole.values.shape) == (4, (256, 256))
    blocks = values.reshape(256, 4, 256, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(whole.values, blocks, atol=1e-5)
    assert part.step == 1
    assert part.frame == Frame(601850, 5296850, 603150, 5298150)  # a margin of 15 %
    np.testing.assert_array_equal(part.values, values[185:315, 185:315])
    assert part.at(602000, 5298000 - 1) == values[200, 200]
    assert beyond.values.size == 0
    assert math.isnan(beyond.at(500, 500))
    with open_layer(Folder(str(tmp_path)), Layer(product()), "EPSG:4326") as dataset:  # where the map's CRS is another
        lon, lat = Places(UTM).degrees(605120, 5294880)
        turned = read_frame(dataset, 1, Frame(lon - 0.01, lat - 0.01, lon + 0.01, lat + 0.01), (150, 200))
    assert turned.at(lon, lat) == pytest.approx(values[512, 512], abs=2 / 1024)


def test_the_middle_scale_and_place_of_a_page_stand_in_its_address(page: Handled) -> None:
    address = page.page.address.value
    assert address.startswith("layer=mean-ascending-015-012d-vv&band=mean&x=")
    given = {name: [value.encode()] for name, value in (part.split("=") for part in address.split("&"))}
    assert read_link(given).scale == pytest.approx(page.page.scale)
    assert read_link({"x": [b"nan"], "scale": [b"-1"], "y": [b"1e300"], "at_x": [b"<b>"]}) == Link()
    assert Link(layer="a&b=<c>").query() == "layer=a%26b%3D%3Cc%3E"


def test_a_page_moves_reads_and_steps_through_layers(page: Handled) -> None:
    inner, panel = page.page, page.page.panel
    home = inner.output.home
    assert inner.frame.width / inner.frame.height == pytest.approx(800 / 700)  # one scale on both axes
    page.look(Frame(home.left, home.bottom, home.left + 320, home.bottom + 280))
    assert inner.top.picture is not None
    assert inner.top.picture.frame.right < home.right
    page.document.callbacks.trigger_event(ButtonClick(panel.following))
    page.wait(lambda: inner.top.layer is inner.layer)
    assert inner.layer.product.id == "mean-ascending-015-012d-vh"
    panel.group.value = "Change"
    page.wait(lambda: inner.top.layer is inner.layer)
    assert panel.band.labels[:3] == ["score", "p", "coherence_before"]
    panel.band.active = 2
    page.wait(lambda: inner.top.layer is inner.layer)
    assert inner.top.style is COHERENCE
    panel.below.value = "mean-ascending-015-012d-vv"
    page.wait(lambda: inner.below.layer is not None)
    panel.below.value = ""
    page.wait(lambda: inner.below.layer is None)


def test_a_file_that_has_gone_is_told_on_the_page(finished: Folder, tmp_path: Path) -> None:
    shutil.copytree(finished.absolute, tmp_path / "out")
    folder = Folder(str(tmp_path / "out"))
    page = open_page(folder)
    (tmp_path / "out/products/mean/ascending-015_012d_vh.tif").unlink()
    page.page.panel.layer.value = "mean-ascending-015-012d-vh"
    page.wait(lambda: "ascending-015_012d_vh.tif can" in page.page.panel.note.text)
    page.close()


# ---- one place


def test_a_click_shows_every_pair_of_that_pixel_with_its_sigma(page: Handled) -> None:
    folder, inner = page.page.output.folder, page.page
    page.click(*middle_of(folder, 40, 77))
    shown = inner.panel.chart.source.data
    products = [p for p in find_products(folder) if p.kind == "coherence" and p.polarisation == "VV"]
    by_dates = {(p.reference[:10], p.secondary[:10]): p for p in products}
    assert len(shown["coherence"]) == len(products) == 7
    for index, dates in enumerate(zip(shown["reference"], shown["secondary"], strict=True)):
        expected = by_dates[dates]
        assert shown["coherence"][index] == pixels_of(folder, expected.id, 1)[40, 77]
        assert shown["sigma"][index] == pixels_of(folder, expected.id, 2)[40, 77]
        assert shown["high"][index] - shown["low"][index] == pytest.approx(2 * shown["sigma"][index])
        assert shown["days"][index] == expected.days
    mean = pixels_of(folder, "mean-ascending-015-012d-vv")[40, 77]
    assert f"mean {mean:.3f}" in inner.panel.place.text
    assert "7 of 7 pairs in VV have data here" in inner.panel.place.text
    inner.panel.polarisation.active = 1
    page.wait(lambda: "in VH" in inner.panel.place.text)
    page.click(0, 0)
    assert "off the map" in inner.panel.place.text
    assert "0 of 7 pairs" in inner.panel.place.text
    assert not inner.panel.save.visible


def test_without_cogs_of_pairs_the_cubes_are_asked(finished: Folder) -> None:
    x, y = middle_of(finished, 100, 3)
    products = find_products(finished)
    from_cogs = sorted(series_at(finished, products, "VH", x, y, UTM), key=lambda o: (o.reference, o.secondary))
    from_cubes = sorted(series_at(finished, [], "VH", x, y, UTM), key=lambda o: (o.reference, o.secondary))
    assert [(o.days, o.coherence, o.sigma) for o in from_cubes] == [(o.days, o.coherence, o.sigma) for o in from_cogs]
    assert [o.reference.date() for o in from_cubes] == [o.reference.date() for o in from_cogs]
    assert list(series_at(finished, [], "VH", 0, 0, UTM)) == []


def test_the_cursor_is_told_place_and_value(page: Handled) -> None:
    x, y = middle_of(page.page.output.folder, 20, 30)
    value = pixels_of(page.page.output.folder, "mean-ascending-015-012d-vv")[20, 30]
    lon, lat = Places(UTM).degrees(x, y)
    said = page.point(x, y)
    assert said == f"x {x:.0f} m, y {y:.0f} m · {lat:.5f}° N, {lon:.5f}° E · mean: {value:.3f}"
    assert page.point(0, 0).endswith("mean: no data")


def test_north_lies_where_the_meridian_goes() -> None:
    west, axis = Places(UTM).north(600000 - 200000, 5300000, 1000), Places(UTM).north(500000, 5300000, 1000)
    assert axis == pytest.approx(0, abs=1e-6)
    # grid convergence of transverse Mercator, to first order: (lon - lon0) sin(lat)
    lon, lat = Places(UTM).degrees(400000, 5300000)
    assert west == pytest.approx(-(lon - 9) * math.sin(math.radians(lat)), abs=0.01)


def test_names_from_files_are_text_and_not_markup(page: Handled) -> None:
    page.click(*middle_of(page.page.output.folder, 60, 60))
    inner = page.page
    for text in (inner.panel.title.text, inner.panel.place.text, inner.panel.note.text, inner.readout.text):
        assert "<img" not in text
    assert "&lt;img" in inner.panel.place.text
    assert "&lt;b&gt;bold" in inner.panel.title.text


# ---- polygons


def test_polygons_come_from_geojson_and_say_what_they_are(page: Handled) -> None:
    inner = page.page
    (patch,) = inner.output.patches
    assert patch.about == f"area: 12.5\nname: {HOSTILE}"
    assert len(patch.geometry.geoms[0].interiors) == 1
    inside = patch.geometry.representative_point()
    page.click(inside.x, inside.y)
    assert "area: 12.5; name: &lt;img" in inner.panel.place.text
    assert inner.panel.polygons.visible


def write_geopackage(path: Path, shape: BaseGeometry, system: int) -> None:
    columns = [np.array([4.25]), np.array(["2023-02-15"], object)]
    packed = np.array([shapely.to_wkb(shape)], object)
    pyogrio.raw.write(
        path, packed, columns, ["score", "date"], layer='odd "name', crs=f"EPSG:{system}", geometry_type="Polygon"
    )


def test_a_geopackage_is_read_where_no_geojson_stands_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "products/change"
    folder.mkdir(parents=True)
    assert read_patches(Folder(str(tmp_path)), UTM) == []
    write_geopackage(folder / "a.gpkg", box(600000, 5300000, 600100, 5300200), 32632)
    (patch,) = read_patches(Folder(str(tmp_path)), UTM)
    assert patch.geometry.area == 20000
    assert patch.about == "score: 4.25\ndate: 2023-02-15"
    (turned,) = read_patches(Folder(str(tmp_path)), "EPSG:32633")
    assert turned.geometry.area == pytest.approx(20000, rel=0.01)
    assert not turned.geometry.contains(Point(600050, 5300100))
    (folder / "a.geojson").write_text('{"features": []}')
    assert read_patches(Folder(str(tmp_path)), UTM) == []
    (folder / "a.geojson").write_text('{"features": [{"geometry": {"type": "Blob"}}]}')
    with pytest.raises(CohmapError, match=r"a\.geojson can't be read .* run `cohmap change` again"):
        read_patches(Folder(str(tmp_path)), UTM)
    (folder / "a.geojson").unlink()
    (folder / "a.gpkg").write_bytes(b"no database at all, but long enough to be looked at")
    with pytest.raises(CohmapError, match=r"a\.gpkg can't be read"):
        read_patches(Folder(str(tmp_path)), UTM)


# ---- serving


def test_the_server_serves_the_page_and_nothing_else(tmp_path_factory: pytest.TempPathFactory) -> None:
    output = read_output(hostile_folder(tmp_path_factory))

    async def visit() -> None:
        client = AsyncHTTPClient()
        with serving(output) as address:
            assert address.startswith("http://127.0.0.1:")
            answer = await client.fetch(address)
            text = answer.body.decode()
            assert "<title>cohmap small &amp; &lt;b&gt;bold</title>" in text
            assert "<b>bold" not in text
            # BokehJS comes from here
            sources = [part.split('"')[0] for part in text.split('src="')[1:]]
            assert sources
            assert all(source.startswith("/static/js/bokeh") for source in sources)
            for path in ("static/../../../../etc/passwd", "static/%2e%2e/%2e%2e/server.py", "products/mosaic.json"):
                with pytest.raises(HTTPClientError, match=r"HTTP 40[34]"):
                    await client.fetch(address + path)
            foreign = HTTPRequest(address.replace("http", "ws") + "ws", headers={"Origin": "http://example.org"})
            with pytest.raises(HTTPClientError, match="HTTP 403"):
                await websocket_connect(foreign, subprotocols=["bokeh", "x"])
            port = int(address.rstrip("/").rpartition(":")[2])
            with (
                pytest.raises(CohmapError, match=f"port {port} can't be had .* choose another with --port"),
                serving(output, port),
            ):
                pass

    asyncio.run(visit())


@pytest.mark.usefixtures("ctrl_c_works")
def test_ctrl_c_ends_the_command_cleanly(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = hostile_folder(tmp_path_factory)
    command = [sys.executable, "-m", "pipeline.cli", "view", folder.uri, "--no-browser"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "is shown at http://127.0.0.1:" in said
        address = said.partition(" at ")[2].partition(",")[0]
        with build_opener(ProxyHandler({})).open(address, timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        try:
            _, complaints = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()  # or the end of this block would wait for it for ever
            raise
    assert (process.returncode, complaints) == (0, "")


def test_what_cannot_be_shown_is_told_in_one_sentence(cohmap: Command, tmp_path: Path) -> None:
    answer = cohmap("view", str(tmp_path), "--no-browser")
    assert answer.code == 2
    assert answer.err.startswith("cohmap: there are no products in")
    answer = cohmap("view", "no-such-thing", "--no-browser")
    assert answer.code == 2
    assert answer.err.count("\n") == 1


def test_the_map_covers_the_regions_grid(finished: Folder) -> None:
    output, grid = read_output(finished), region_with_everything().grid
    assert output.crs == str(crs_of(grid)) == UTM
    assert output.home == Frame(*grid.boundingbox.bbox)
