"""The response of the region's estimator, measured once on simulated series and kept in the ledger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.decay import measure
from models.decay.measure import SCENES, SEED, SIZE, tally
from models.decay.response import IDENTITY, Response
from models.errors import ModelError
from pipeline.compute import Pool
from pipeline.errors import CohmapError
from pipeline.estimator import open_estimator
from pipeline.ledger import Ledger, digest
from pipeline.mosaic import estimator_label
from pipeline.progress import Progress
from pipeline.region import Region

STAGE = "response"


@dataclass(frozen=True)
class _Task:
    region: Region
    number: int
    contexts: int


def measure_response(region: Region, passes: int, ledger: Ledger, pool: Pool, progress: Progress) -> Response:
    """What the region's estimator reads at each coherence; scenes that an earlier run measured are not done again.

    Parameters
    ----------
    passes
        Of the track with most: where there are few, the estimator has fewer further dates to look at.

    Raises
    ------
    CohmapError
        The estimator can't be measured.
    """
    if not region.config.season.unbias:
        return IDENTITY
    estimator = open_estimator(region, "cpu")
    asked = region.config.estimator.context
    contexts = min(estimator.context if asked is None else min(asked, estimator.context), max(passes - 2, 0))
    spacing = region.config.grid.spacing
    fingerprint = digest(estimator_label(region.config, estimator), spacing, contexts, SEED, SIZE, measure.DAYS)
    tasks = [_Task(region, number, contexts) for number in range(SCENES)]
    todo = [task for task in tasks if not ledger.matches(_key(task), fingerprint)]
    progress.start(STAGE, len(tasks), len(tasks) - len(todo))
    for task, counts in pool.run(_tally, todo):
        ledger.record(_key(task), fingerprint, "", counts=counts)
        progress.advance()
    records = [ledger.get(_key(task)) or {} for task in tasks]
    try:
        return measure.response(np.array(record["counts"]) for record in records)
    except ModelError as error:
        raise CohmapError(f"[season] {error}; unbias = false does without") from None


def _key(task: _Task) -> str:
    return f"response-{task.number:02d}"


def _tally(task: _Task) -> list[list[float]]:
    """On a worker: one simulated scene."""
    estimator = open_estimator(task.region, "cpu")
    counts = tally(estimator, task.number, contexts=task.contexts, spacing=task.region.config.grid.spacing)
    rounded: list[list[float]] = np.round(counts, 6).tolist()
    return rounded
