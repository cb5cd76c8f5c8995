"""The report's section on areas of change: states, dates, history, and a table of the largest areas."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.dates
import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from models.change.sequence import NAMES, day_of
from pipeline.figures import DPI, FAINT, INK, RULE, draw_map, to_png
from pipeline.plates import Plate, reading_note
from pipeline.products import Product
from pipeline.quicklook import STATES, Style, read_cog, style_of
from pipeline.storage import Folder

# A table of more areas is read as a file.
MOST_AREAS = 20
_DATES: Any = matplotlib.dates
# Stages in the order in which they are stacked, each with the codes that it joins.
STAGES = (
    ("first detection", (1, 4), "#6baed6"),
    ("provisional", (2, 5), "#f09a3e"),
    ("confirmed", (3, 6), "#b10f14"),
    ("finished", (7, 8), "#6a3d9a"),
)


@dataclass(frozen=True)
class Found:
    """What one track's map of change has to show.

    Attributes
    ----------
    areas
        Attributes of the largest areas.
    """

    product: Product
    plates: tuple[Plate, ...]
    areas: tuple[Mapping[str, Any], ...]


def change_section(folder: Folder, products: Sequence[Product]) -> tuple[Found, ...]:
    """What the section shows, by track; nothing where no area of change was looked for."""
    shown = [product for product in products if product.kind in {"change-mask", "change-state"} and product.files]
    by_id = {product.id: product for product in products}
    return tuple(Found(each, _plates(folder, each, by_id), _largest(folder, each)) for each in shown)


def _plates(folder: Folder, product: Product, by_id: Mapping[str, Product]) -> tuple[Plate, ...]:
    if product.kind != "change-state":
        return ()  # score and mask of an event are shown above
    image = read_cog(folder.address(product.path))
    plates = [
        Plate(
            draw_map(image, STATES, product.title.split(", ")[0]),
            product.title,
            "State of every pixel after the last monitored pass."
            + reading_note(image).replace("averages", "is the majority of"),
            product.path,
        )
    ]
    score = by_id.get(product.id.replace("change-state", "change-monitor", 1))
    if score is not None:
        image = read_cog(folder.address(score.path))
        caption = f"Greatest cumulative sum of the passes' scores.{reading_note(image)}"
        plates.append(Plate(draw_map(image, style_of(score, image), "Confidence"), score.title, caption, score.path))
        dates = read_cog(folder.address(score.path), band=3)
        if not dates.is_empty:
            low, high = dates.percentile(0), dates.percentile(100)
            ends = [day_of(round(each)) for each in (low, high)]
            style = Style("days since 1970-01-01", "viridis", low, max(high, low + 1))
            caption = f"Pass of the first detection, {ends[0]} to {ends[1]}, where one is open or confirmed."
            plates.append(Plate(draw_map(dates, style, "Date of change"), "Date of change", caption, score.path))
    history = draw_history(folder.read_bytes(product.files["history"]).decode())
    plates.append(Plate(history, "Hectares in each stage after every pass", "Hectares in each stage after every pass."))
    return tuple(plates)


def draw_history(table: str) -> bytes:
    """How much ground was in each stage after every pass, as a PNG; from the history's CSV."""
    rows = list(csv.DictReader(io.StringIO(table)))
    days = np.array([_DATES.date2num(dt.date.fromisoformat(row["date"])) for row in rows])
    engine = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06)
    figure = Figure(figsize=(8.6, 3.0), dpi=DPI * 1.25, facecolor="white", layout=engine)
    axes = figure.add_subplot(1, 1, 1)
    gap = float(np.diff(days).min()) if days.size > 1 else 12.0
    below = np.zeros(days.size)
    for name, codes, colour in STAGES:
        height = np.array([sum(float(row[NAMES[code]]) for code in codes) for row in rows])
        axes.bar(days, height, 0.8 * gap, bottom=below, color=colour, label=name)
        below += height
    locator = _DATES.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set(major_locator=locator, major_formatter=_DATES.ConciseDateFormatter(locator))
    axes.set_ylabel("hectares", size=10, color=INK)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    axes.tick_params(labelsize=9, color=FAINT, labelcolor=INK)
    for side, spine in axes.spines.items():
        spine.set(color=FAINT, visible=side in {"left", "bottom"})
    with mpl.rc_context({"legend.fontsize": 9}):
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return to_png(figure)


def _largest(folder: Folder, product: Product) -> tuple[Mapping[str, Any], ...]:
    features = json.loads(folder.read_bytes(product.files["geojson"]))["features"]
    rows = [feature["properties"] for feature in features]
    return tuple(sorted(rows, key=lambda row: (-float(row["area_ha"]), int(row["id"])))[:MOST_AREAS])
