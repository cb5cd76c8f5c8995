"""Which pixels make areas, and what each area's row says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.change.sequence import (
    CONFIRMED_HIGH,
    CONFIRMED_LOW,
    FINISHED_HIGH,
    FINISHED_LOW,
    NAMES,
    PROVISIONAL_HIGH,
    PROVISIONAL_LOW,
    day_of,
)
from pipeline import __version__
from pipeline.change import event
from pipeline.change.monitor import last_state
from pipeline.change.polygons import Area, find_areas
from pipeline.change.tilefile import read_tile
from pipeline.change.work import Work
from pipeline.products import Product
from pipeline.region import Tile

# A first detection alone is as often chance as the rate says; areas are made of what was seen again.
SEEN_AGAIN = (PROVISIONAL_LOW, CONFIRMED_LOW, PROVISIONAL_HIGH, CONFIRMED_HIGH, FINISHED_LOW, FINISHED_HIGH)


@dataclass(frozen=True)
class AreaTask:
    """One tile, for a worker: pixels whose p is at most this, and how many of them make an area."""

    work: Work
    tile: Tile
    p: float
    least_pixels: float


def event_areas(task: AreaTask) -> list[Area]:
    """On a worker: areas of an event."""
    bands = read_tile(task.work.folder, task.work.name, task.tile)["bands"]
    named = dict(zip((band.name for band in event.BANDS), bands, strict=True))
    values = {
        name: named[name] for name in ("score", "coherence_before", "coherence_across", "coherence_after", "recovery")
    }
    values["log_p"] = -np.log10(np.maximum(named["p"], 1e-300))
    window = task.work.region.window(task.tile)
    return find_areas(named["p"] <= task.p, window, values, least_pixels=task.least_pixels)


def monitor_areas(task: AreaTask) -> list[Area]:
    """On a worker: areas of what monitoring saw more than once."""
    state, _ = last_state(task.work, task.tile)
    changed = np.isin(state.status, SEEN_AGAIN)
    values = {"confidence": state.confidence, "peak": state.peak, "loss": state.loss, "detections": state.hits}
    classes = {"state": state.status, "date": state.first, "before": state.before}
    window = task.work.region.window(task.tile)
    return find_areas(changed, window, values, classes, least_pixels=task.least_pixels)  # type: ignore[arg-type]


def event_row(number: int, area: Area, work: Work, product: Product) -> dict[str, Any]:
    """Attributes of one area of an event."""
    return {
        **_common(number, area, work, product),
        "date": f"{work.region.config.change.event}" if work.region.config.change else "",
        "score": _rounded(area.mean("score")),
        "score_max": _rounded(area.greatest["score"]),
        "p_min": float(f"{10 ** -area.greatest['log_p']:.3g}"),
        "coherence_before": _rounded(area.mean("coherence_before")),
        "coherence_across": _rounded(area.mean("coherence_across")),
        "coherence_after": _rounded(area.mean("coherence_after")),
        "recovery": _rounded(area.mean("recovery")),
        **_made_by(product),
    }


def monitor_row(number: int, area: Area, work: Work, product: Product) -> dict[str, Any]:
    """Attributes of one area that monitoring found; dates and state are those of most of its pixels."""
    return {
        **_common(number, area, work, product),
        "date": str(day_of(area.commonest("date"))),
        "date_before": str(day_of(area.commonest("before"))),
        "date_first": str(day_of(min(area.classes["date"]))),
        "state": area.commonest("state"),
        "state_name": NAMES[area.commonest("state")],
        "score": _rounded(area.mean("confidence")),
        "score_max": _rounded(area.greatest["confidence"]),
        "peak": _rounded(area.greatest["peak"]),
        "detections": _rounded(area.mean("detections")),
        "coherence_loss": _rounded(area.mean("loss")),
        **_made_by(product),
    }


def _common(number: int, area: Area, work: Work, product: Product) -> dict[str, Any]:
    return {
        "id": number,
        "track": product.track,
        "area_ha": round(area.pixels * work.region.config.grid.spacing**2 / 10_000, 4),
        "pixels": area.pixels,
    }


def _made_by(product: Product) -> dict[str, Any]:
    return {
        "reference": product.reference,
        "secondary": product.secondary,
        "estimator": product.estimator,
        "software": f"cohmap {__version__}",
    }


def _rounded(value: float) -> float:
    return round(value, 4) if math.isfinite(value) else math.nan
