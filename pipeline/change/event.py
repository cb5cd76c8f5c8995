"""Event mode, one tile: score, p, coherence before, across and after, and how much of the loss came back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from models.change.departure import normal_mean
from models.change.discovery import count_p
from models.change.evidence import combined, raw_scores
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
    design = work.design
    ((coherence, intensity),) = raw_scores(*read(work, tile, (design.tests[0].target,)))
    opinions = task.calibration.opinions
    score = task.bulk.corrected(task.calibration.combined.normal(combined(coherence, intensity, opinions)))[INSIDE]
    before, across, after = (_mean(work, tile, pairs) for pairs in (design.normal, design.tested, design.after))
    drop = before - across
    recovery = np.where(drop >= LEAST_DROP, np.clip((after - across) / np.maximum(drop, LEAST_DROP), 0, 1), np.nan)
    nothing = np.full(score.shape, np.nan, np.float32)
    bands = np.stack(
        [
            score,
            special.ndtr(-score),
            before,
            across,
            after,
            recovery,
            opinions[0].normal(coherence)[INSIDE],
            opinions[1].normal(intensity)[INSIDE] if intensity is not None else nothing,
        ]
    ).astype(np.float32)
    write_tile(work.folder, work.name, tile, {"bands": bands})
    return {"p": sparse(count_p(bands[1]))}


def _mean(work: Work, tile: Tile, pairs: tuple[object, ...]) -> FloatArray:
    """Mean coherence of pairs and polarisations that have data; NaN where none has."""
    if not pairs:
        return np.full(tile.shape, np.nan, np.float32)
    maps = cube.Cube(work.folder, maps_name(work.design.track))
    places = [work.layers[work.design.pairs.index(pair)] for pair in pairs]
    stacked = np.stack([maps.read_tile(f"coherence_{band}", n, tile) for band in work.bands for n in places])
    return normal_mean(stacked, range(len(stacked)))
