"""What chance does: scores of normal dates counted over the region, and the bulk of every reported test's own scores.

Counted on at most `TILES` tiles, evenly spread: the numbers wanted are shares of hundredths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.change.evidence import Target, combined, opinions, raw_scores
from models.change.null import Bulk, IntArray, Null, count, measure_bulk, nothing_counted
from pipeline.change.design import MONITOR
from pipeline.change.work import INSIDE, Work, inputs, read
from pipeline.compute import Pool
from pipeline.ledger import Ledger, digest
from pipeline.mosaic import Maps
from pipeline.progress import Progress
from pipeline.region import Tile
from pipeline.sampling import spread_out

TILES = 48
Nulls = tuple[Null, ...]


@dataclass(frozen=True)
class Calibration:
    """The null distributions of one group of tests.

    Attributes
    ----------
    opinions
        Of the raw scores: coherence, and intensity where it is asked.
    combined
        Of the combined score.
    correlation
        Of the two opinions where nothing happened; 0 where there is one.
    """

    opinions: Nulls
    combined: Null
    correlation: float


@dataclass(frozen=True)
class _Task:
    work: Work
    tile: Tile
    targets: tuple[Target, ...]
    opinions: Nulls | None = None
    combined: Null | None = None


def calibrate(
    maps: Maps, work: Work, tiles: Sequence[Tile], ledger: Ledger, pool: Pool, progress: Progress
) -> tuple[list[Calibration], dict[str, Bulk], str]:
    """Nulls of every group of tests, the bulk of every test, and the digest of what both rest on."""
    design, used = work.design, spread_out(list(tiles), TILES)
    groups = []
    for number, targets in enumerate(design.nulls):
        key = f"{work.name}/null/{number}"
        fingerprint = digest([inputs(maps, work, tile, targets) for tile in used])
        if not ledger.matches(key, fingerprint):
            ledger.record(key, fingerprint, "", **_count_group(work, targets, used, pool, progress))
        groups.append(_from_record(ledger.get(key) or {}, work))
    bulks = {}
    for test in design.tests:
        key = f"{work.name}/bulk/{test.visit.id}"
        group = groups[test.group]
        base = (ledger.get(f"{work.name}/null/{test.group}") or {})["fingerprint"]
        fingerprint = digest(base, [inputs(maps, work, tile, (test.target,)) for tile in used])
        if not ledger.matches(key, fingerprint):
            tasks = [_Task(work, tile, (test.target,), group.opinions, group.combined) for tile in used]
            counts = sum((found for _, found in pool.run(_count_final, tasks)), nothing_counted())
            bulk = measure_bulk(counts, keep_middle=work.design.label != MONITOR)
            ledger.record(key, fingerprint, "", middle=bulk.middle, spread=bulk.spread)
        record = ledger.get(key) or {}
        bulks[test.visit.id] = Bulk(record["middle"], record["spread"])
    used_digest = digest(
        [(ledger.get(f"{work.name}/null/{number}") or {})["fingerprint"] for number in range(len(groups))]
    )
    return groups, bulks, used_digest


def _count_group(
    work: Work, targets: tuple[Target, ...], tiles: Sequence[Tile], pool: Pool, progress: Progress
) -> dict[str, object]:
    """Two passes over the tiles: each opinion's raw scores, then both combined."""
    if not targets:
        progress.note("there are no normal dates to count scores of; scores are taken for standard normal ones")
    raw: list[IntArray] = [nothing_counted() for _ in range(2 if work.intensity else 1)]
    for _, found in pool.run(_count_raw, [_Task(work, tile, targets) for tile in tiles if targets]):
        raw = [one + other for one, other in zip(raw, found, strict=True)]
    nulls = tuple(Null(counts) for counts in raw)
    both, sums = nothing_counted(), np.zeros(6)
    for _, (counts, moments) in pool.run(_count_both, [_Task(work, tile, targets, nulls) for tile in tiles if targets]):
        both, sums = both + counts, sums + moments
    n, x, y, xx, yy, xy = sums
    spread = np.sqrt(max(xx * n - x * x, 0.0) * max(yy * n - y * y, 0.0))
    correlation = float((xy * n - x * y) / spread) if spread > 0 else 0.0
    return {
        "opinions": [sparse(counts) for counts in raw],
        "combined": sparse(both),
        "correlation": round(correlation, 4),
    }


def _count_raw(task: _Task) -> list[IntArray]:
    counts = [nothing_counted() for _ in range(2 if task.work.intensity else 1)]
    for scores in raw_scores(*read(task.work, task.tile, task.targets, halo=0)):
        counts = [total + count(score) for total, score in zip(counts, scores, strict=False) if score is not None]
    return counts


def _count_both(task: _Task) -> tuple[IntArray, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    assert task.opinions is not None  # noqa: S101 - the second pass has them
    counts, sums = nothing_counted(), np.zeros(6)
    for coherence, intensity in raw_scores(*read(task.work, task.tile, task.targets)):
        found = opinions(coherence, intensity, task.opinions)
        counts += count(combined(found)[INSIDE])
        if intensity is not None:
            x, y = (each[INSIDE] for each in found)
            known = np.isfinite(x) & np.isfinite(y)
            a, b = x[known].astype(np.float64), y[known].astype(np.float64)
            sums += (a.size, a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum())
    return counts, sums


def _count_final(task: _Task) -> IntArray:
    assert task.opinions is not None  # noqa: S101 - given above
    assert task.combined is not None  # noqa: S101
    ((coherence, intensity),) = raw_scores(*read(task.work, task.tile, task.targets))
    return count(task.combined.normal(combined(opinions(coherence, intensity, task.opinions)))[INSIDE])


def sparse(counts: IntArray) -> list[list[int]]:
    """Counts as JSON can say them in short: where they aren't nought, and what they are."""
    there = np.flatnonzero(counts)
    return [there.tolist(), counts[there].tolist()]


def _from_record(record: Mapping[str, object], work: Work) -> Calibration:
    def dense(stored: object) -> Null:
        assert isinstance(stored, list)  # noqa: S101 - by sparse
        counts = nothing_counted()
        counts[stored[0]] = stored[1]
        return Null(counts)

    opinions = record["opinions"]
    assert isinstance(opinions, list)  # noqa: S101 - written above
    made = tuple(dense(stored) for stored in opinions[: 2 if work.intensity else 1])
    return Calibration(made, dense(record["combined"]), float(str(record["correlation"])))
