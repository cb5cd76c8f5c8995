"""Pages of `cohmap view` for tests: a folder with hostile names in it, and a page that is moved without a browser."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from bokeh.document import Document
from bokeh.events import MouseMove, RangesUpdate, Tap
from shapely.geometry import box, mapping

from pipeline.storage import Folder
from pipeline.view.layers import find_products
from pipeline.view.page import Output, Page, read_output
from pipeline.view.windows import Frame
from tests.finished import finished_once

HOSTILE = '<img src="x" onerror="window.taken = true">'
SIZE = (800, 700)


def hostile_folder(factory: pytest.TempPathFactory) -> Folder:
    """A finished folder with change polygons, and with markup where names stand; made once a test run."""
    folder = factory.getbasetemp() / "hostile" / "small & <b>bold"
    if not folder.exists():
        shutil.copytree(finished_once(factory), folder)
        index = folder / "products/mosaic.json"
        entries = json.loads(index.read_text())
        for entry in entries:
            entry["title"] += HOSTILE
        index.write_text(json.dumps(entries))
        west, south, east, north = 11.0535, 48.0045, 11.0555, 48.0065
        shape = mapping(box(west, south, east, north).difference(box(11.054, 48.005, 11.0545, 48.0055)))
        feature = {"type": "Feature", "geometry": shape, "properties": {"area": 12.5, "name": HOSTILE}}
        content = {"type": "FeatureCollection", "features": [feature]}
        for polygons in (folder / "products/change").glob("*_polygons.*"):
            polygons.unlink()  # those of the run itself would make another test
        (folder / "products/change/polygons.geojson").write_text(json.dumps(content))
    return Folder(str(folder))


def pixels_of(folder: Folder, product_id: str, band: int = 1) -> npt.NDArray[np.float32]:
    """A product's band as its file holds it."""
    product = next(product for product in find_products(folder) if product.id == product_id)
    with rasterio.open(folder.address(product.path)) as dataset:
        return np.asarray(dataset.read(band), dtype=np.float32)


class Handled:
    """A page whose document lives in this thread, with the events that a browser would send."""

    def __init__(self, output: Output, size: tuple[int, int] = SIZE) -> None:
        self.document = Document()
        self.page = Page(self.document, output)
        for side, pixels in zip(("inner_width", "inner_height"), size, strict=True):
            self.page.plot.set_from_json(side, pixels)
        self.wait(lambda: self.page.top.picture is not None)

    def wait(self, done: Callable[[], bool]) -> None:
        """Let the page do what it has put off until something is true."""
        for _ in range(2000):
            for waiting in list(self.document.session_callbacks):
                waiting.callback()
            if done():
                return
            time.sleep(0.01)
        raise AssertionError("the page never came so far")

    def click(self, x: float, y: float) -> None:
        """Click a place and wait for its time series."""
        self.document.callbacks.trigger_event(Tap(self.page.plot, x=x, y=y))
        self.wait(lambda: "Reading" not in self.page.panel.place.text)

    def point(self, x: float, y: float) -> str:
        """Move the cursor to a place; what the line below the map says then."""
        self.document.callbacks.trigger_event(MouseMove(self.page.plot, x=x, y=y))
        self.wait(lambda: not self.document.session_callbacks)
        return str(self.page.readout.text)

    def look(self, frame: Frame) -> None:
        """Move the map, and wait until what is in view has been read."""
        before = self.page.top.picture
        sides: Any = {"x0": frame.left, "x1": frame.right, "y0": frame.bottom, "y1": frame.top}
        self.document.callbacks.trigger_event(RangesUpdate(self.page.plot, **sides))
        self.wait(lambda: self.page.top.picture is not before)

    def close(self) -> None:
        """Close the window."""
        self.page.close()


def open_page(folder: Folder) -> Handled:
    """A page of a folder."""
    return Handled(read_output(folder))
