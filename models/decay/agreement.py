"""How far two maps of one quantity agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Agreement:
    """First map minus second: mean, root mean square, Pearson's correlation; over pixels that both have."""

    pixels: int
    bias: float
    rmse: float
    correlation: float


def agreement(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> Agreement:
    """Compare two maps of one shape; NaN is no data, and so are all figures where no pixel has both."""
    both = np.isfinite(first) & np.isfinite(second)
    one, two = (each[both].astype(np.float64) for each in (first, second))
    if not one.size:
        return Agreement(0, math.nan, math.nan, math.nan)
    apart = one - two
    varies = one.std() > 0 and two.std() > 0
    correlation = float(np.corrcoef(one, two)[0, 1]) if varies else math.nan
    return Agreement(one.size, float(apart.mean()), float(np.sqrt((apart**2).mean())), correlation)
