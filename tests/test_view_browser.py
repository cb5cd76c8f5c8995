"""The viewer as a user has it: a real browser, real clicks; skipped, saying so, where there is no Chromium."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio

from pipeline.storage import Folder
from pipeline.view.layers import find_products
from pipeline.view.page import read_output
from pipeline.view.server import serving
from tests.chromium import Tab, browse, find_chromium
from tests.view_pages import hostile_folder, pixels_of

DOCUMENT = "Bokeh.documents[0]"


def model(name: str) -> str:
    """JavaScript for one of the page's parts."""
    return f"{DOCUMENT}.get_model_by_name('{name}')"


async def middle_of(tab: Tab, name: str, inner: str = "") -> tuple[float, float]:
    """Where a part of the page lies on the screen."""
    element = f"Bokeh.index.find_one({model(name)}).shadow_el" + (f".querySelector({inner!r})" if inner else ".host")
    script = (
        f"(() => {{ const r = {element}.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] }})()"
    )
    x, y = await tab.run(script)
    return float(x), float(y)


async def on_screen(tab: Tab, x: float, y: float) -> tuple[float, float]:
    """Where a place of the map lies on the screen."""
    script = f"""(() => {{
        const map = Bokeh.index.find_one({model("map")}), r = map.canvas_view.el.getBoundingClientRect()
        return [r.x + map.frame.x_scale.compute({x}), r.y + map.frame.y_scale.compute({y})]
    }})()"""
    return tuple(await tab.run(script))


async def ranges(tab: Tab) -> npt.NDArray[np.float64]:
    """Left, right, bottom and top of the view."""
    sides = ("x_range.start", "x_range.end", "y_range.start", "y_range.end")
    return np.array([await tab.run(f"{model('map')}.{side}") for side in sides])


async def picture(tab: Tab) -> npt.NDArray[np.float32]:
    """The picture that the browser holds, the northernmost row first; NaN where there is no data."""
    image = f"{model('top')}.data.image[0]"
    text = await tab.run(f"JSON.stringify([{image}.shape, Array.from({image})])")
    shape, values = json.loads(text)
    return np.array(values, dtype=np.float32).reshape(shape)[::-1]


async def shows(tab: Tab, title: str) -> None:
    """Wait until a layer is shown."""
    await tab.until(f"{model('map')}.title.text.includes('{title}') && {model('top')}.data.image.length")


def table_of(folder: Folder, polarisation: str, row: int, col: int) -> dict[str, Any]:
    """What the files say of a pixel: dates -> coherence, sigma."""
    products = [p for p in find_products(folder) if p.kind == "coherence" and p.polarisation == polarisation]
    return {
        f"{p.reference[:10]} {p.secondary[:10]}": [float(pixels_of(folder, p.id, band)[row, col]) for band in (1, 2)]
        for p in products
    }


def test_a_user_clicks_zooms_pans_and_comes_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    find_chromium()
    folder = hostile_folder(tmp_path_factory)
    output = read_output(folder)
    with rasterio.open(folder.address(output.products[0].path)) as dataset:
        x, y = dataset.transform @ (77.5, 40.5)

    async def use(tab: Tab, address: str) -> None:
        await tab.open(address)
        await shows(tab, "Mean coherence VV at 12 days")
        np.testing.assert_array_equal(await picture(tab), pixels_of(folder, "mean-ascending-015-012d-vv"))

        # another band, the next layer, another group: by mouse, by mouse, by keyboard
        await tab.click(*await middle_of(tab, "band", ".bk-btn:nth-child(2)"))
        await tab.until(f"{model('address')}.value.includes('band=median')")
        await tab.click(*await middle_of(tab, "following", "button"))
        await shows(tab, "Mean coherence VH at 12 days")
        np.testing.assert_array_equal(await picture(tab), pixels_of(folder, "mean-ascending-015-012d-vh", 2))
        await tab.run(f"Bokeh.index.find_one({model('group')}).shadow_el.querySelector('select').focus()")
        await tab.key("ArrowDown")
        await shows(tab, "InSAR coherence VV, 2023-01-04 to 2023-01-16")

        # the cursor's line, and a click: every pair of that pixel, as the files have it
        await tab.move(*await on_screen(tab, x, y))
        first = table_of(folder, "VV", 40, 77)["2023-01-04 2023-01-16"]
        await tab.until(f"{model('readout')}.text.includes('coherence: {first[0]:.3f}')")
        await tab.click(*await on_screen(tab, x, y))
        await tab.until(f"{model('place')}.text.includes('7 of 7 pairs in VV')")
        rows = await tab.run(f"""(() => {{
            const d = {model("series")}.data
            return Object.fromEntries(Array.from(d.days).map((_, i) =>
                [d.reference[i] + " " + d.secondary[i], [d.coherence[i], d.sigma[i]]]))
        }})()""")
        assert rows == table_of(folder, "VV", 40, 77)
        await tab.click(*await middle_of(tab, "polarisation", ".bk-btn:nth-child(2)"))
        await tab.until(f"{model('place')}.text.includes('7 of 7 pairs in VH')")

        # the wheel zooms about the cursor, on both axes alike
        before = await ranges(tab)
        await tab.wheel(*await on_screen(tab, x, y), -400)
        await tab.until(f"{model('map')}.x_range.end - {model('map')}.x_range.start < {(before[1] - before[0]) * 0.9}")
        await tab.until(f"{model('top')}.data.dw[0] < 1280")  # what is beyond the view is no longer read
        after = await ranges(tab)
        zoom = np.diff(before)[[0, 2]] / np.diff(after)[[0, 2]]
        assert zoom[0] == pytest.approx(zoom[1])
        assert (x - after[0]) / (after[1] - after[0]) == pytest.approx(
            (x - before[0]) / (before[1] - before[0]), abs=0.01
        )

        # dragging moves the map as far as the hand, and what comes into view is read
        start = await on_screen(tab, x, y)
        left = await tab.run(f"{model('top')}.data.x[0]")
        await tab.drag(start, (start[0] + 120, start[1]))
        await tab.until(f"{model('top')}.data.x[0] < {left}")
        moved = await on_screen(tab, x, y)
        assert np.subtract(moved, start) == pytest.approx((120, 0), abs=1.5)

        # the address brings it all back
        last = await ranges(tab)
        middle = f"x={(last[0] + last[1]) / 2:.6g}"[:9]
        await tab.until(f"location.search.includes('{middle}')")
        link = await tab.run("location.href")
        await tab.open("about:blank")
        await tab.open(link)
        await shows(tab, "InSAR coherence VV, 2023-01-04 to 2023-01-16")
        await tab.until(f"{model('place')}.text.includes('7 of 7 pairs in VV')")
        assert await ranges(tab) == pytest.approx(last, abs=1)

        # nothing was fetched from elsewhere, nothing in the files ran as a script, nothing went wrong
        assert await tab.run("window.taken === undefined")
        assert not [url for url in tab.requested if not url.startswith((address, "data:", "blob:", "about:"))]
        assert tab.complaints == []

    async def main() -> None:
        with serving(output) as address:
            async with browse() as tab:
                await use(tab, address)

    asyncio.run(main())
