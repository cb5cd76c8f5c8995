"""Which of the pixel spacings that an estimator was made for serves given images."""

from __future__ import annotations

import math
from collections.abc import Sequence

from models.errors import ModelError

FARTHEST = 1.5
"""An estimator serves spacings up to this factor away."""

LEARNED = (10.0, 20.0, 30.0)
"""Pixel spacings in metres that networks of ours are trained on."""
PUBLISHED = (10.0,)
"""Pixel spacing in metres that the published network was trained on."""


def nearest_spacing(name: str, known: Sequence[float], spacing: float) -> float:
    """The known spacing nearest by ratio, in metres.

    Raises
    ------
    ModelError
        The spacing isn't positive, or more than `FARTHEST` away from all.
    """
    if not (math.isfinite(spacing) and spacing > 0):
        raise ModelError(f"a pixel spacing of {spacing} m makes no sense; give metres above zero")
    nearest = min(known, key=lambda each: abs(math.log(spacing / each)))
    if not 1.0 / FARTHEST <= spacing / nearest <= FARTHEST:
        there = ", ".join(f"{each:g}" for each in known)
        raise ModelError(
            f"estimator '{name}' is made for pixels of {there} m, too far from {spacing:g} m; "
            "choose a grid spacing nearer to one of them"
        )
    return nearest
