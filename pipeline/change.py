"""Where coherence dropped: across an event, or after a period taken as normal, against the pairs that are normal.

The score of a pixel is how many standard deviations its coherence lies below what is normal there, on
x = logit(coherence^2) (Stephenson et al. 2021 score forecast errors the same way): x spreads evenly where coherence
itself crowds towards 0 and 1. The threshold of the mask is an empirical one: every normal pair is scored against the
others, and the mask keeps the stated rate of such pixels, which by construction hold no event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.comparison import Comparison, compare_tracks
from pipeline.compute import Pool
from pipeline.config import Change
from pipeline.cube import FloatArray
from pipeline.errors import CohmapError
from pipeline.estimator import open_estimator
from pipeline.export import Outcome, variable_name
from pipeline.ledger import Ledger
from pipeline.mosaic import (
    MapLayer,
    Maps,
    estimator_label,
    open_maps,
    product_fingerprint,
    product_is_done,
    read_layers,
)
from pipeline.products import NO_CLASS, Band, Product, clipped, save_index, write_cog
from pipeline.progress import Progress
from pipeline.region import Region, Tile
from pipeline.storage import Folder

STAGE = "change"

# Weight, in pairs, of the estimator's own sigma when the spread of a few normal pairs is estimated.
PRIOR_PAIRS = 4.0
# Coherence outside is moved to these ends before the logit; the estimators resolve nothing beyond them.
LOWEST, HIGHEST = 0.05, 0.98
# Scores are counted in bins this wide to find the threshold without keeping them all.
BIN, REACH = 0.01, 50.0

SCORE_BANDS = (
    Band("score", "coherence drop in standard deviations of the normal pairs"),
    Band("coherence_normal", "mean coherence of the normal pairs"),
    Band("coherence_tested", "mean coherence of the tested pairs"),
)
MASK_BANDS = (Band("change", "1 where the score passes the threshold, 0 elsewhere"),)


@dataclass(frozen=True)
class _Task:
    output: str
    region: Region
    score: Product
    mask: Product
    normal: tuple[MapLayer, ...]
    tested: tuple[MapLayer, ...]
    tiles: tuple[Tile, ...]
    fingerprint: str


def change(region: Region, folder: Folder, pool: Pool, progress: Progress) -> Outcome:
    """Write a score map and a mask of every comparison; those made from the same maps are left alone.

    Raises
    ------
    CohmapError
        The region has no [change] table, or its pairs allow no comparison.
    """
    rule = region.config.change
    if rule is None:
        raise CohmapError(f"region '{region.name}' has no [change] table; add one with event = DATE")
    maps = open_maps(region, folder)
    comparisons, notes = compare_tracks(maps.stacks.pairs, rule)
    for note in notes:
        progress.note(note)
    tasks = [
        _make_task(maps, comparison, polarisation, rule)
        for comparison in comparisons
        for polarisation in region.config.passes.polarisations
    ]
    products: list[Product] = []
    with Ledger(folder, STAGE) as ledger:
        todo = [task for task in tasks if not _is_done(folder, ledger, task)]
        progress.start(STAGE, len(tasks), len(tasks) - len(todo))
        for task, facts in pool.run(_write, todo):
            ledger.record(task.score.id, task.fingerprint, "", facts=facts)
            progress.advance()
        for task in tasks:
            record = ledger.get(task.score.id) or {}
            products += [task.score.with_properties(record["facts"]), task.mask.with_properties(record["facts"])]
    save_index(folder, STAGE, products)
    return Outcome(len(tasks), len(tasks) - len(todo))


def _is_done(folder: Folder, ledger: Ledger, task: _Task) -> bool:
    return product_is_done(folder, ledger, task.score, task.fingerprint) and folder.exists(task.mask.path)


def _make_task(maps: Maps, comparison: Comparison, polarisation: str, rule: Change) -> _Task:
    normal, tested = list(comparison.normal), list(comparison.tested)
    track, band = str(tested[0].track), variable_name(polarisation)
    name = f"{track}_{comparison.label}_{band}"
    subject = f"across {rule.event}" if rule.event else f"of {comparison.label.replace('_', ' to ')}"
    score = Product(
        id=f"change-{name}",
        kind="change",
        path=f"products/change/{name}_score.tif",
        title=f"Coherence drop {subject}, {polarisation}, {track}",
        bands=SCORE_BANDS,
        track=track,
        polarisation=polarisation,
        reference=min(pair.reference_start for pair in tested).isoformat(),
        secondary=max(pair.secondary_start for pair in tested).isoformat(),
        days=tested[0].days,
        pairs=tuple(f"{pair.track}/{pair.id}" for pair in (*normal, *tested)),
        estimator=estimator_label(maps.region.config, open_estimator(maps.region, "cpu")),
        properties={"normal_pairs": len(normal), "false_alarm_rate": rule.false_alarm_rate},
    )
    mask = replace(
        score,
        id=f"change-mask-{name}",
        kind="change-mask",
        path=f"products/change/{name}_mask.tif",
        title=f"Coherence change {subject}, {polarisation}, {track}, {rule.false_alarm_rate:.1%} false alarms",
        bands=MASK_BANDS,
    )
    return _Task(
        output=maps.folder.absolute,
        region=maps.region,
        score=score,
        mask=mask,
        normal=tuple(maps.layer(pair) for pair in normal),
        tested=tuple(maps.layer(pair) for pair in tested),
        tiles=maps.tiles(tested),
        fingerprint=product_fingerprint(maps, score, normal + tested),
    )


def _write(task: _Task) -> dict[str, Any]:
    """On a worker: the threshold from the normal pairs, then score and mask tile by tile."""
    folder = Folder(task.output)
    histogram = np.zeros(round(2 * REACH / BIN), dtype=np.int64)
    for tile in task.tiles:
        histogram += count_scores(null_scores(*_normal(task, folder, tile)))
    rate = float(task.score.properties["false_alarm_rate"])
    threshold = threshold_at(histogram, rate)
    counts = np.zeros(2, dtype=np.int64)

    def masks() -> Iterator[tuple[Tile, npt.NDArray[np.uint8]]]:
        for tile, bands in _score_blocks(task, folder):
            mask = np.where(np.isfinite(bands[0]), bands[0] > threshold, NO_CLASS).astype(np.uint8)
            counts[:] += (np.count_nonzero(mask == 1), np.count_nonzero(mask != NO_CLASS))
            yield tile, mask[np.newaxis]

    grid = task.region.grid
    write_cog(folder, task.score, grid, clipped(task.region, _score_blocks(task, folder)))
    write_cog(folder, task.mask, grid, clipped(task.region, masks()))
    flagged = float(counts[0] / counts[1]) if counts[1] else 0.0
    return {"threshold": round(threshold, 4), "flagged_share": round(flagged, 6)}


def _normal(task: _Task, folder: Folder, tile: Tile) -> tuple[FloatArray, FloatArray]:
    band = variable_name(task.score.polarisation)
    return (
        read_layers(folder, task.normal, f"coherence_{band}", tile),
        read_layers(folder, task.normal, f"sigma_{band}", tile),
    )


def _score_blocks(task: _Task, folder: Folder) -> Iterator[tuple[Tile, FloatArray]]:
    band = variable_name(task.score.polarisation)
    for tile in task.tiles:
        coherence, sigma = _normal(task, folder, tile)
        tested = read_layers(folder, task.tested, f"coherence_{band}", tile)
        score = drop_score(coherence, sigma, tested)
        yield tile, np.stack([score, coherence.mean(axis=0), tested.mean(axis=0)]).astype(np.float32)


def logit_of_square(coherence: FloatArray) -> npt.NDArray[np.float64]:
    """X = logit(coherence^2), its ends clipped."""
    square = np.clip(coherence.astype(np.float64), LOWEST, HIGHEST) ** 2
    return np.asarray(np.log(square / (1 - square)))


def drop_score(normal: FloatArray, sigma: FloatArray, tested: FloatArray) -> FloatArray:
    """How far the tested coherence lies below the normal one, in standard deviations; positive where it dropped.

    Parameters
    ----------
    normal, sigma
        Coherence and its sigma of the normal pairs, shape (pairs, height, width).
    tested
        Coherence of the tested pairs, shape (pairs, height, width); their mean is scored.

    Returns
    -------
    score
        Shape (height, width), float32; NaN where any input is.
    """
    x, y = logit_of_square(normal), logit_of_square(tested)
    spread = _spread(x, normal, sigma)
    scale = spread * np.sqrt(1 / len(y) + 1 / len(x))
    return np.asarray((x.mean(axis=0) - y.mean(axis=0)) / scale, dtype=np.float32)


def _spread(x: npt.NDArray[np.float64], coherence: FloatArray, sigma: FloatArray) -> npt.NDArray[np.float64]:
    """Standard deviation of x: the pairs' own, steadied by what the estimator's sigma predicts.

    dx/dg = 2 / (g (1 - g^2)) carries sigma over to x.
    """
    g = np.clip(coherence.astype(np.float64), LOWEST, HIGHEST)
    predicted = ((2 * sigma / (g * (1 - g**2))) ** 2).mean(axis=0)
    own = x.var(axis=0, ddof=1) if len(x) > 1 else 0.0
    degrees = len(x) - 1
    return np.asarray(np.sqrt((degrees * own + PRIOR_PAIRS * predicted) / (degrees + PRIOR_PAIRS)))


def null_scores(normal: FloatArray, sigma: FloatArray) -> FloatArray:
    """Scores of every normal pair against the others: what the score does where nothing happened."""
    rest = [np.delete(np.arange(len(normal)), index) for index in range(len(normal))]
    return np.stack([drop_score(normal[others], sigma[others], normal[[index]]) for index, others in enumerate(rest)])


def count_scores(scores: FloatArray) -> npt.NDArray[np.int64]:
    """Histogram of scores over [-REACH, REACH], ends included in the outer bins; NaN left out."""
    inside = np.clip(scores[np.isfinite(scores)], -REACH, REACH - BIN / 2)
    counts, _ = np.histogram(inside, bins=round(2 * REACH / BIN), range=(-REACH, REACH))
    return counts.astype(np.int64)


def threshold_at(histogram: npt.NDArray[np.int64], rate: float) -> float:
    """Smallest score that at most `rate` of the counted scores exceed."""
    total = histogram.sum()
    if total == 0:
        return REACH
    above = total - np.cumsum(histogram)
    return float(-REACH + BIN * (1 + np.searchsorted(-above, -rate * total)))
