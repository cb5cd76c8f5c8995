"""Further dates that an estimator is shown beside a pair: those of the same track nearest to it in time."""

from __future__ import annotations

import datetime as dt

from pipeline.passes import Pair
from pipeline.stacks import Stacks


def context_passes(stacks: Stacks, pair: Pair, count: int) -> list[str]:
    """Ids of up to `count` exported passes nearest to the middle of a pair, the earlier first where two are as near.

    The pair's own passes aren't among them. A pass without data in a tile is among them too: it says nothing there.
    """
    middle = pair.reference_start + (pair.secondary_start - pair.reference_start) / 2
    starts = {
        name: dt.datetime.fromisoformat(entry["start"])
        for name, entry in stacks.passes[pair.track].items()
        if name not in {pair.reference, pair.secondary}
    }
    nearest = sorted(starts, key=lambda name: (abs(starts[name] - middle), starts[name]))
    return sorted(nearest[:count], key=lambda name: starts[name])
