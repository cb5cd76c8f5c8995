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
from pipeline.change.monitor import last_state
from pipeline.change.polygons import Area, find_areas
from pipeline.change.tilefile import read_tile
from pipeline.change.work import Work
from pipeline.cube import FloatArray
from pipeline.products import Product
from pipeline.region import Tile

# A first detection alone is as often chance as the rate says; areas are made of what was seen again.
SEEN_AGAIN = (PROVISIONAL_LOW, CONFIRMED_LOW, PROVISIONAL_HIGH, CONFIRMED_HIGH, FINISHED_LOW, FINISHED_HIGH)


@dataclass(frozen=True)
class AreaTask:
    """One tile, for a worker: pixels whose p is at most one of these make areas, and how many of them at least."""

    work: Work
    tile: Tile
    limits: tuple[float, ...]
    least_pixels: float


def event_areas(task: AreaTask) -> list[list[Area]]:
    """On a worker: areas of an event, by limit; those of the first with their quantities, of others outlines alone."""
    names = ("score", "coherence_before", "coherence_across", "coherence_after", "recovery")
    bands = read_tile(task.work.folder, task.work.name, task.tile, ["p", *names])
    values: dict[str, FloatArray] = {name: bands[name].astype(np.float32, copy=False) for name in names}
    p = bands["p"].astype(np.float32, copy=False)
    values["log_p"] = -np.log10(np.maximum(p, 1e-300))
    window = task.work.region.window(task.tile)
    return [
        find_areas(p <= limit, window, {} if number else values, least_pixels=task.least_pixels)
        for number, limit in enumerate(task.limits)
    ]


def monitor_areas(task: AreaTask) -> list[list[Area]]:
    """On a worker: areas of what monitoring saw more than once; there are no limits, the states have theirs."""
    state, _ = last_state(task.work, task.tile)
    changed = np.isin(state.status, SEEN_AGAIN)
    values = {"confidence": state.confidence, "peak": state.peak, "loss": state.loss, "detections": state.hits}
    classes = {"state": state.status, "date": state.first, "before": state.before}
    window = task.work.region.window(task.tile)
    return [find_areas(changed, window, values, classes, least_pixels=task.least_pixels)]  # type: ignore[arg-type]


def event_row(number: int, area: Area, work: Work, product: Product) -> dict[str, Any]:
    """Attributes of one area of an event."""
    return {
        **_common(number, area, work, product),
        "date": f"{work.region.config.change.event}" if work.region.config.change else "",
        "score": _rounded(area.mean("score")),
        "score_max": _rounded(area.greatest("score")),
        "p_min": float(f"{10 ** -area.greatest('log_p'):.3g}"),
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
        "score_max": _rounded(area.greatest("confidence")),
        "peak": _rounded(area.greatest("peak")),
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
