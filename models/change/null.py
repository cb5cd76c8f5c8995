"""What a score does where nothing happened: counted on ground and dates taken as normal.

No formula says how the scores of a few pairs spread that share passes, windows and weather. So they are counted, and
any score is then given the tail probability that was counted. Beyond what can be counted the tail goes on as an
exponential does, from the mean of what lies beyond its 99th percentile: heavier than a normal tail, lighter than a
power.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Scores are counted in bins this wide over [-REACH, REACH]; what lies beyond is in the outer bins.
BIN, REACH = 0.02, 40.0
BINS = round(2 * REACH / BIN)
TAIL = 0.01
# A day is never taken for calmer than this.
LEAST_SPREAD = 0.8
# No probability is told below it.
LEAST_P = 1e-12


def count(scores: FloatArray) -> IntArray:
    """Histogram of scores; NaN left out."""
    known = scores[np.isfinite(scores)].astype(np.float64)
    place = np.clip(((known + REACH) / BIN).astype(np.int64), 0, BINS - 1)
    return np.bincount(place, minlength=BINS).astype(np.int64)


def nothing_counted() -> IntArray:
    """Counts to begin with."""
    return np.zeros(BINS, np.int64)


@dataclass(frozen=True)
class Null:
    """Counted scores of ground where nothing happened.

    Attributes
    ----------
    counts
        Histogram by `count`; where it is empty, scores are taken for standard normal ones.
    """

    counts: IntArray

    def probability(self, scores: FloatArray) -> FloatArray:
        """Tail probability of scores: the share of normal ones that are as great; NaN stays."""
        return np.asarray(np.exp(self._log_tail(scores)), dtype=np.float32)

    def normal(self, scores: FloatArray) -> FloatArray:
        """Scores as standard normal ones of the same tail probability; NaN stays."""
        return np.asarray(-special.ndtri_exp(np.minimum(self._log_tail(scores), -1e-9)), dtype=np.float32)

    def _log_tail(self, scores: FloatArray) -> DoubleArray:
        place = np.clip((scores.astype(np.float64) + REACH) / BIN, 0, BINS)
        low = np.minimum(np.where(np.isfinite(place), place, 0).astype(np.int64), BINS - 1)
        one, two = self._table[low], self._table[low + 1]
        return np.asarray(one + (place - low) * (two - one))

    @cached_property
    def _table(self) -> DoubleArray:
        """Logarithm of the tail probability at the lower edge of each bin, and at the last one's upper."""
        edges = -REACH + BIN * np.arange(BINS + 1)
        total = self.counts.sum()
        if total == 0:
            return np.asarray(special.log_ndtr(-edges))
        above = np.concatenate([[total], total - np.cumsum(self.counts)]) / total
        start = int(np.argmax(above <= TAIL))
        beyond = self.counts[start:].sum()
        middles = edges[:-1] + BIN / 2
        scale = float((self.counts[start:] * (middles[start:] - edges[start])).sum() / beyond) if beyond else BIN
        log_p = np.log(np.maximum(above, 0.5 / total))
        log_p[start:] = log_p[start] - (edges[start:] - edges[start]) / max(scale, BIN)
        return np.asarray(np.maximum(log_p, np.log(LEAST_P)))


@dataclass(frozen=True)
class Bulk:
    """How the many scores of one test lie that show no change, beside normal ones: middle and spread.

    Efron (2004): where thousands of places are tested at once, most of which did not change, these tell what chance
    does on that very day: rain or frost over the whole region, or speckle that has drifted away from that of the normal
    dates.
    """

    middle: float = 0.0
    spread: float = 1.0

    def corrected(self, scores: FloatArray) -> FloatArray:
        """Scores with the day's middle and spread taken out."""
        return np.asarray((scores - np.float32(self.middle)) / np.float32(self.spread), dtype=np.float32)


def measure_bulk(counts: IntArray, *, keep_middle: bool) -> Bulk:
    """The bulk of counted normal scores (`count`), from their quantiles of 5 and 25 %, on the side where no change is.

    Parameters
    ----------
    keep_middle
        Take out the spread alone. An event may strike much of a region at once, and its own weight would then be taken
        for the day's. Otherwise middle and spread are taken out where they are worse than those of the normal dates, 0
        and 1, and left alone where they are better.
    """
    total = counts.sum()
    if total == 0:
        return Bulk()
    below = np.cumsum(counts)
    low, high = (float(-REACH + BIN * (np.searchsorted(below, share * total) + 0.5)) for share in (0.05, 0.25))
    at_low, at_high = (float(special.ndtri(share)) for share in (0.05, 0.25))
    spread = max((high - low) / (at_high - at_low), LEAST_SPREAD)
    if keep_middle:
        return Bulk(0.0, round(spread, 4))
    spread = max(spread, 1.0)
    return Bulk(round(max(high - at_high * spread, 0.0), 4), round(spread, 4))
