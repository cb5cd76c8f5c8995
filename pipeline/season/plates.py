"""The seasons' part of the report: what could be told of the decay, maps of it, and of coherence by baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from models.decay import coherence_at
from pipeline.figures import DPI, FAINT, INK, RULE, draw_map, to_png
from pipeline.plates import Plate, by_kind, reading_note
from pipeline.products import Product
from pipeline.quicklook import LASTING, TAU, TOLD, Style, count_style, read_cog
from pipeline.season.products import season_text
from pipeline.storage import Folder

# Below this share of pixels that could be told, their median says nothing of the map.
WELL_TOLD = 0.25
# Maps that a page bears: fits drawn large; the rest is linked in the table.
MOST = 4
SEASON_COLOURS = {"djf": "#0072b2", "mam": "#009e73", "jja": "#d55e00", "son": "#cc79a7"}
OTHERS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#e69f00", "#56b4e9")


@dataclass(frozen=True)
class Row:
    """One fit in the page's table."""

    product: Product
    quality: str
    season: str

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of it; NaN where nothing could be told."""
        found = self.product.properties
        told = found.get("share_fitted", 0.0) + found.get("share_odd_curve", 0.0)
        return {
            "told": told,
            "tau": found.get("median_tau", math.nan),
            "rho_inf": found.get("median_rho_inf", math.nan),
            "floor": found.get("share_floor", 0.0),
            "flat": found.get("share_flat", 0.0),
            "slow": found.get("share_slow", 0.0),
            "uncertain": found.get("share_uncertain", 0.0),
            "few": found.get("share_few_baselines", 0.0),
        }


@dataclass(frozen=True)
class SeasonSection:
    """Everything the page shows of seasons."""

    rows: tuple[Row, ...]
    levels: tuple[Product, ...]
    curves: Plate
    plates: tuple[Plate, ...]
    seams: tuple[Product, ...]


def season_section(folder: Folder, products: Sequence[Product]) -> SeasonSection | None:
    """The part of the page; None where there are no seasonal maps."""
    fits, levels = by_kind(products, "decay"), by_kind(products, "season")
    if not fits:
        return None
    qualities = {
        product.id.replace("decay-quality-", "decay-", 1): product for product in by_kind(products, "decay-quality")
    }
    tracks = {product.track for product in fits}
    shown = [product for product in fits if product.track == "all" or "all" not in tracks][:MOST]
    plates = [plate for product in shown for plate in _plates(folder, product, qualities[product.id], levels)]
    return SeasonSection(
        rows=tuple(Row(each, qualities[each.id].path, season_text(str(each.properties["season"]))) for each in fits),
        levels=tuple(levels),
        curves=_curves(folder, shown, levels),
        plates=tuple(plates),
        seams=tuple(level for level in levels if level.properties.get("seam_pixels")),
    )


def _plates(folder: Folder, product: Product, quality: Product, levels: Sequence[Product]) -> list[Plate]:
    """Shortest level with its count, tau, lasting coherence, and what could be told."""
    first = min(_levels_of(product, levels), key=lambda level: level.days)
    where = f"{product.polarisation} in {season_text(str(product.properties['season']))}"
    found = []
    for source, band, style, title, caption in (
        (
            first,
            1,
            Style("coherence"),
            f"Median coherence {where}, {first.days} days",
            "Median over the season's pairs.",
        ),
        (first, 4, None, f"Contributing pairs {where}, {first.days} days", "Pairs that the median rests on."),
        (product, 1, TAU, f"Decay time {where}", "Grey where it can't be told."),
        (product, 3, LASTING, f"Lasting coherence {where}", "What remains however long one waits; grey where unknown."),
        (quality, 1, TOLD, f"What the fit tells, {where}", "Why the two maps before have grey."),
    ):
        image = read_cog(folder.address(source.path), band=band)
        if image.is_empty or (band == 4 and image.percentile(0) == image.percentile(100)):
            continue
        picture = draw_map(image, style or count_style(image), title)
        found.append(Plate(picture, source.title, f"{caption}{reading_note(image)}", source.path))
    return found


def _levels_of(product: Product, levels: Sequence[Product]) -> list[Product]:
    def key(each: Product) -> tuple[object, ...]:
        return each.track, each.polarisation, each.properties["season"]

    return [level for level in levels if key(level) == key(product)]


def _curves(folder: Folder, fits: Sequence[Product], levels: Sequence[Product]) -> Plate:
    """Median coherence of the map at each baseline, and the curve of the map's median parameters."""
    figure = Figure(figsize=(7, 3.4), dpi=DPI, layout=ConstrainedLayoutEngine())
    axes = figure.add_subplot(1, 1, 1)
    for index, product in enumerate(fits):
        name = str(product.properties["season"])
        colour = SEASON_COLOURS.get(name, OTHERS[index % len(OTHERS)])
        own = sorted(_levels_of(product, levels), key=lambda level: level.days)
        images = [read_cog(folder.address(level.path), longest=300) for level in own]
        middles = [image.percentile(50) for image in images]
        ends = np.array([[m - i.percentile(25), i.percentile(75) - m] for i, m in zip(images, middles, strict=True)]).T
        days = [float(level.properties["mean_days"]) for level in own]
        label = f"{season_text(name)} {product.polarisation}"
        axes.errorbar(days, middles, ends, fmt="o", color=colour, markersize=4, capsize=2, linewidth=0.9, label=label)
        facts = product.properties
        if facts.get("share_fitted", 0.0) + facts.get("share_odd_curve", 0.0) >= WELL_TOLD:
            at = np.linspace(0, max(days) + 4, 200)
            axes.plot(at, coherence_at(at, facts["median_tau"], facts["median_rho_inf"]), color=colour, linewidth=1)
    axes.set(ylim=(0, 1), xlim=(0, None))
    axes.set_xlabel("temporal baseline (days)", color=INK)
    axes.set_ylabel("coherence", color=INK)
    axes.grid(color=RULE, linewidth=0.6)
    axes.tick_params(labelcolor=INK, color=FAINT)
    axes.legend(frameon=False, fontsize=9)
    return Plate(to_png(figure), "Coherence against temporal baseline, by season", "")
