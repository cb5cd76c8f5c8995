"""How much ground was in which state after every monitored pass, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np

from models.change.null import Bulk
from models.change.sequence import NAMES
from pipeline.change.monitor import last_state
from pipeline.change.work import Work
from pipeline.region import Tile


def write_history(work: Work, tiles: Sequence[Tile], bulks: Mapping[str, Bulk]) -> str:
    """Write the CSV of one track: one row a pass, hectares in each state; gives its path."""
    tests = work.design.tests
    pixels = np.zeros((len(tests), len(NAMES)), dtype=np.int64)
    for tile in tiles:
        pixels += last_state(work, tile)[1]
    hectares = pixels * work.region.config.grid.spacing**2 / 10_000
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["pass", "date", "pairs", "middle", "spread", *NAMES.values()])
    for test, row in zip(tests, hectares, strict=True):
        bulk = bulks[test.visit.id]
        tested = sum(len(like) for like in test.target.baselines)
        writer.writerow(
            [test.visit.id, test.visit.day, tested, bulk.middle, bulk.spread, *(f"{each:.4f}" for each in row)]
        )
    path = f"products/change/{work.name}_history.csv"
    work.folder.write_bytes(path, stream.getvalue().encode())
    return path
