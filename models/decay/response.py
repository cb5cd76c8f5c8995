"""What an estimator reads where the true coherence is known: above zero at no coherence, drawn to the middle elsewhere.

An estimate is no unbiased measurement of coherence: a calibrated one is the mean of what the truth may be, given what
the window shows, and that mean lies between the truth and the middle of what there is. Fits compare an estimate with
what the estimator would be expected to read, not with the coherence itself. Nor do an estimator's errors all average
out over the pairs of a pixel: texture and neighbours are the same in every pair. `spread` is what remains.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

DoubleArray = npt.NDArray[np.float64]

STEPS = 512


@dataclass(frozen=True)
class Response:
    """Mean reading of an estimator as a function of the true coherence, and how far places differ from it.

    Attributes
    ----------
    truth
        Nodes of true coherence, rising from 0 to 1.
    reading
        Mean estimate at the nodes, never falling.
    spread
        Standard deviation, from place to place, of the mean over many pairs of one baseline, at the nodes.
    """

    truth: tuple[float, ...]
    reading: tuple[float, ...]
    spread: tuple[float, ...]

    @property
    def floor(self) -> float:
        """What is read on average where there is no coherence."""
        return self.reading[0]

    @cached_property
    def _table(self) -> tuple[DoubleArray, DoubleArray]:
        """Readings on an even grid of coherence, and their slope from each step to the next."""
        values = np.interp(np.linspace(0.0, 1.0, STEPS + 1), self.truth, self.reading)
        return values, np.diff(values, append=2 * values[-1] - values[-2]) * STEPS

    def expected(self, coherence: Any) -> tuple[Any, Any]:
        """Mean reading at a true coherence in [0, 1], and its derivative; float64, same shape."""
        values, slopes = self._table
        place = np.clip(coherence, 0.0, 1.0) * STEPS
        step = np.minimum(place.astype(np.intp), STEPS - 1)
        return values[step] + (place - step) * slopes[step] / STEPS, slopes[step]

    def lasting_sigma(self, reading: npt.NDArray[Any]) -> DoubleArray:
        """The spread where so much is read on average; same shape, NaN where the reading is."""
        # where several nodes have one reading, the last of them counts
        places = np.maximum.accumulate(np.asarray(self.reading) + 1e-9 * np.arange(len(self.reading)))
        return np.asarray(np.interp(reading, places, self.spread), np.float64)

    def to_json(self) -> dict[str, list[float]]:
        """As JSON can say it."""
        return {"truth": list(self.truth), "reading": list(self.reading), "spread": list(self.spread)}


IDENTITY = Response((0.0, 1.0), (0.0, 1.0), (0.0, 0.0))
"""An estimator without bias, whose errors average out."""
