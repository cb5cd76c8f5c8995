"""Event mode, one tile: score, p, coherence before, across and after, and how much of the loss came back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from models.change.departure import normal_mean
from models.change.discovery import count_p
from models.change.evidence import Scene, combined, opinions, raw_scores
from models.change.null import Bulk
from pipeline import cube
from pipeline.change.calibrate import Calibration, sparse
from pipeline.change.tilefile import write_tile
from pipeline.change.work import INSIDE, Work, read
from pipeline.cube import FloatArray
from pipeline.infer import maps_name
from pipeline.products import Band
from pipeline.region import Tile

BANDS = (
    Band("score", "change as a normal score: standard deviations beyond what normal dates do, both opinions combined"),
    Band("p", "probability of such a score where nothing happened"),
    Band("coherence_before", "mean coherence of the normal pairs"),
    Band("coherence_across", "mean coherence of the pairs across the event"),
    Band("coherence_after", "mean coherence of the pairs after the event, of the same baseline"),
    Band(
        "recovery",
        "share of the lost coherence that pairs after the event have again, 0 to 1; where the drop is 0.1 up",
    ),
    Band("score_coherence", "normal score of the loss of coherence alone"),
    Band("score_intensity", "normal score of the omnibus test's step on intensities alone"),
)
# Raised whenever a tile's file holds other arrays: tiles of another layout are made anew.
LAYOUT = 2
# Recovery of a smaller drop than this is a ratio of errors.
LEAST_DROP = 0.1


@dataclass(frozen=True)
class EventTask:
    """One tile of one event, for a worker."""

    work: Work
    tile: Tile
    calibration: Calibration
    bulk: Bulk
    key: str
    fingerprint: str


def run_event(task: EventTask) -> dict[str, object]:
    """On a worker: write the tile's bands; gives its p-values, counted."""
    work, tile = task.work, task.tile
    scene, (target,) = read(work, tile, (work.design.tests[0].target,))
    ((coherence, intensity),) = raw_scores(scene, (target,))
    alone = opinions(coherence, intensity, task.calibration.opinions)
    score = task.bulk.corrected(task.calibration.combined.normal(combined(alone)))[INSIDE]
    (like,) = target.baselines
    before, across = (_mean(scene, pairs) for pairs in (like[0].normal, [one.pair for one in like]))
    after = _mean_after(work, tile)
    drop = before - across
    recovery = np.where(drop >= LEAST_DROP, np.clip((after - across) / np.maximum(drop, LEAST_DROP), 0, 1), np.nan)
    nothing = np.full(score.shape, np.nan, np.float32)
    values = (
        score,
        special.ndtr(-score),
        before,
        across,
        after,
        recovery,
        alone[0][INSIDE],
        alone[1][INSIDE] if intensity is not None else nothing,
    )
    bands = {band.name: each.astype(np.float32) for band, each in zip(BANDS, values, strict=True)}
    write_tile(work.folder, work.name, tile, bands, packed=False)
    return {"p": sparse(count_p(bands["p"]))}


def _mean(scene: Scene, pairs: Sequence[int]) -> FloatArray:
    """Mean coherence of pairs and polarisations that have data; NaN where none has."""
    stacked = np.stack([coherence[n][INSIDE] for coherence in scene.coherence for n in pairs])
    return normal_mean(stacked, range(len(stacked)))


def _mean_after(work: Work, tile: Tile) -> FloatArray:
    """The same of the pairs after the event, which no score needs."""
    pairs = work.design.after
    if not pairs:
        return np.full(tile.shape, np.nan, np.float32)
    maps = cube.Cube(work.folder, maps_name(work.design.track))
    places = [work.layers[work.design.pairs.index(pair)] for pair in pairs]
    stacked = np.stack([maps.read_tile(f"coherence_{band}", n, tile) for band in work.bands for n in places])
    return normal_mean(stacked, range(len(stacked)))
