"""Further dates that an estimator is shown beside a pair: those of the same track nearest to it in time."""

from __future__ import annotations

import datetime as dt

from models.estimator import Estimator
from pipeline.passes import Pair
from pipeline.stacks import Stacks


def context_passes(stacks: Stacks, pair: Pair, estimator: Estimator) -> list[str]:
    """Ids of the exported passes nearest to the middle of a pair, as many as are wanted, in the order of time.

    As many as the estimator makes use of, or as the region file says where that is fewer. The pair's own passes aren't
    among them; of two as near the earlier is. A pass without data in a tile may be among them: it says nothing there.
    """
    asked = stacks.region.config.estimator.context
    count = estimator.context if asked is None else min(asked, estimator.context)
    middle = pair.reference_start + (pair.secondary_start - pair.reference_start) / 2
    starts = {
        name: dt.datetime.fromisoformat(entry["start"])
        for name, entry in stacks.passes[pair.track].items()
        if name not in {pair.reference, pair.secondary}
    }
    nearest = sorted(starts, key=lambda name: (abs(starts[name] - middle), starts[name]))
    return sorted(nearest[:count], key=lambda name: starts[name])
