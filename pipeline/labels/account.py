"""What came out, counted from the shards: how many examples, how much truth, and whether fringes spoil it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.train.pool import Pool
from models.train.supply import TRAINING, VALIDATION
from pipeline.console import Terminal
from pipeline.errors import CohmapError
from pipeline.labels.pairs import DatePair

TURNED = 0.25
"""Turns of the phase within a window from which on the user is told."""


def counted(output: Path, pairs: Sequence[DatePair]) -> dict[str, Any]:
    """How many examples there are, how much of their truth is known, and how far each pair's phase turns.

    Raises
    ------
    CohmapError
        One of the parts has none.
    """
    counts: dict[str, Any] = {}
    turned: dict[str, list[float]] = {one.isoformat() + two.isoformat(): [] for one, two in pairs}
    for part in (TRAINING, VALIDATION):
        if not any((output / part).glob("shard-*.npy")):
            raise CohmapError(
                f"no example for {part} in {output} has enough truth, data are missing there; delete it, and give "
                "another --seed or a smaller --block"
            )
        pool = Pool(output / part)
        known, means = [], []
        for number in range(len(pool)):
            truth = pool[number][0][4].astype(np.float32)
            there = np.isfinite(truth)
            known.append(float(there.mean()))
            means.append(float(truth[there].mean()))
            origin = pool.origin(number)
            if origin is not None and origin.turns is not None:
                turned[origin.reference + origin.secondary].append(origin.turns)
        counts[part] = {
            "examples": len(pool),
            "truth_known": round(float(np.mean(known)), 3),
            "mean_coherence": round(float(np.average(means, weights=known)), 3),
        }
    found = [
        {
            "reference": one.isoformat(),
            "secondary": two.isoformat(),
            "days": (two - one).days,
            "turns": round(float(np.median(values)), 3)
            if (values := turned[one.isoformat() + two.isoformat()])
            else None,
        }
        for one, two in pairs
    ]
    return {"examples": counts, "pairs": found}


def advise(manifest: dict[str, Any], terminal: Terminal) -> None:
    """Say what makes labels worth less than they look."""
    fringes = [pair for pair in manifest["pairs"] if pair["turns"] is not None and pair["turns"] > TURNED]
    if fringes:
        worst = max(fringes, key=lambda pair: pair["turns"])
        terminal.note(
            f"the phase of {len(fringes)} of {len(manifest['pairs'])} pairs turns by more than {TURNED:g} within the "
            f"window (most: {worst['reference']} to {worst['secondary']}, {worst['turns']:g}): remove flat-earth and "
            "topographic phase first, or their coherence is taken for lower than it is"
        )
