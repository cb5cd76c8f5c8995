"""Which p-values to believe: at most a stated share of false ones among them (Benjamini and Hochberg 1995)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# p-values are counted by their decimal logarithm, in bins this wide, so that any number of them takes no memory.
STEP, DECADES = 0.01, 12
BINS = round(DECADES / STEP)


def count_p(p: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Histogram of -log10 p; NaN left out, the smallest in the last bin."""
    known = p[np.isfinite(p)].astype(np.float64)
    place = np.clip((-np.log10(np.maximum(known, 1e-300)) / STEP).astype(np.int64), 0, BINS - 1)
    return np.bincount(place, minlength=BINS).astype(np.int64)


def discovery_threshold(counts: npt.NDArray[np.int64], rate: float) -> float:
    """Greatest p such that of the p-values up to it at most `rate` are expected to be false; 0 where there is none.

    The largest p_(k) <= rate k / m of the m values in their order. It holds for values that depend on each other as
    those of neighbouring pixels do (positively). Taken at the edges of the bins, on the strict side.
    """
    total = int(counts.sum())
    if total == 0:
        return 0.0
    edges = 10.0 ** (-STEP * np.arange(BINS))  # a bin's greatest p
    up_to = np.cumsum(counts[::-1])[::-1]  # how many are no greater
    believed = edges * total <= rate * up_to
    return float(edges[np.argmax(believed)]) if believed.any() else 0.0
