"""The products of change: which there are, and their COGs put together from the tiles."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.change.sequence import UNKNOWN
from pipeline.change import event, monitor
from pipeline.change.monitor import last_state
from pipeline.change.polygons import burn, unpacked
from pipeline.change.tilefile import read_tile
from pipeline.change.work import Work
from pipeline.estimator import open_estimator
from pipeline.mosaic import Maps, estimator_label
from pipeline.products import NO_CLASS, Band, Product, clipped, write_cog
from pipeline.region import Tile

MASK_BANDS = (
    Band("change", "1 where p is at most the false-alarm rate, in areas of at least the minimum size; 0 elsewhere"),
    Band("discovery", "1 where Benjamini and Hochberg's rule believes p at the false-discovery rate, likewise"),
)


@dataclass(frozen=True)
class MapTask:
    """One product, for a worker.

    Attributes
    ----------
    outlines
        Of the areas that each band of a mask shows, packed.
    """

    work: Work
    product: Product
    tiles: Sequence[Tile]
    outlines: tuple[bytes, ...] = ()


def make_product(maps: Maps, work: Work, kind: str, title: str, bands: tuple[Band, ...]) -> Product:
    """A product of one track's tests."""
    design, rule = work.design, maps.region.config.change
    what = {"change": "score", "change-mask": "mask", "change-monitor": "score", "change-state": "state"}[kind]
    pairs = sorted({*design.normal, *design.tested}, key=lambda pair: (pair.reference_start, pair.secondary_start))
    tested = design.tested
    days = {pair.days for pair in tested}
    return Product(
        id=f"{kind}-{work.name}",
        kind=kind,  # type: ignore[arg-type]
        path=f"products/change/{work.name}_{what}.tif",
        title=f"{title}, {'+'.join(maps.region.config.passes.polarisations)}, {design.track}",
        bands=bands,
        track=str(design.track),
        polarisation="+".join(maps.region.config.passes.polarisations),
        reference=min(pair.reference_start for pair in tested).isoformat(),
        secondary=max(pair.secondary_start for pair in tested).isoformat(),
        days=min(days),
        pairs=tuple(f"{pair.track}/{pair.id}" for pair in pairs),
        estimator=estimator_label(maps.region.config, open_estimator(maps.region, "cpu")),
        properties={
            "normal_pairs": len(design.normal),
            "false_alarm_rate": rule.false_alarm_rate if rule else 0.0,
            "opinions": "coherence and intensity" if work.intensity else "coherence",
        },
    )


def event_products(maps: Maps, work: Work) -> tuple[Product, Product]:
    """Score and mask of an event."""
    rule = maps.region.config.change
    day = rule.event if rule else None
    score = make_product(maps, work, "change", f"Change score across {day}", event.BANDS)
    rate = rule.false_alarm_rate if rule else 0.0
    mask = make_product(maps, work, "change-mask", f"Change mask across {day}, {rate:.1%} false alarms", MASK_BANDS)
    return score, mask


def monitor_products(maps: Maps, work: Work) -> tuple[Product, Product]:
    """Confidence with dates, and states, after the last monitored pass."""
    last: dt.date = work.design.tests[-1].visit.day
    score = make_product(maps, work, "change-monitor", f"Change monitored until {last}", monitor.SCORE_BANDS)
    state = make_product(maps, work, "change-state", f"State of change on {last}", monitor.STATE_BANDS)
    return score, state


def write_map(task: MapTask) -> dict[str, float]:
    """On a worker: one product's COG; gives facts counted on the way."""
    blocks = {
        "change": _event_blocks,
        "change-mask": _mask_blocks,
        "change-monitor": _monitor_blocks,
        "change-state": _state_blocks,
    }[task.product.kind]
    counts = np.zeros(2, dtype=np.int64)
    region = task.work.region

    def counted() -> Iterator[tuple[Tile, npt.NDArray[np.generic]]]:
        for tile, values in clipped(region, blocks(task)):
            if task.product.is_classes:
                known = values[0] != NO_CLASS
                counts[:] += (np.count_nonzero(known & (values[0] > 0)), np.count_nonzero(known))
            yield tile, values

    write_cog(task.work.folder, task.product, region.grid, counted())
    share = float(counts[0] / counts[1]) if counts[1] else 0.0
    return {"flagged_share": round(share, 6)} if task.product.is_classes else {}


def _event_blocks(task: MapTask) -> Iterator[tuple[Tile, npt.NDArray[np.generic]]]:
    for tile in task.tiles:
        bands = read_tile(task.work.folder, task.work.name, tile)
        yield tile, np.stack([bands[band.name] for band in event.BANDS])


def _mask_blocks(task: MapTask) -> Iterator[tuple[Tile, npt.NDArray[np.generic]]]:
    shown = [unpacked(outlines) for outlines in task.outlines]
    for tile in task.tiles:
        score = read_tile(task.work.folder, task.work.name, tile, ["score"])["score"]
        window = task.work.region.window(tile)
        bands = [np.where(np.isfinite(score), burn(outlines, window) > 0, NO_CLASS) for outlines in shown]
        yield tile, np.stack(bands).astype(np.uint8)


def _monitor_blocks(task: MapTask) -> Iterator[tuple[Tile, npt.NDArray[np.generic]]]:
    for tile in task.tiles:
        state, _ = last_state(task.work, tile)
        seen, found = state.status != UNKNOWN, state.hits > 0
        bands = [
            np.where(seen, state.confidence, np.nan),
            *(
                np.where(found, values, np.nan)
                for values in (state.peak, state.first, state.before, state.hits, state.loss)
            ),
        ]
        yield tile, np.stack(bands).astype(np.float32)


def _state_blocks(task: MapTask) -> Iterator[tuple[Tile, npt.NDArray[np.generic]]]:
    for tile in task.tiles:
        state, _ = last_state(task.work, tile)
        yield tile, state.status[np.newaxis]
