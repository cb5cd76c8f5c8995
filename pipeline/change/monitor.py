"""Monitoring mode, one tile: pass after pass, continuing from the last stored state that is still true.

A tile's file holds the states after the last few passes, each with a digest of everything that went in up to there.
A further pass continues from the last of them. Where a new pass made some of the latest pairs be estimated anew, as
estimators do that look at further dates, the tile goes back to the last state before these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.change.evidence import coherence_loss, combined, opinions, raw_scores
from models.change.null import Bulk
from models.change.sequence import NAMES, UNKNOWN, State, day_number, nothing_known, update
from pipeline.change.calibrate import Calibration
from pipeline.change.design import Test
from pipeline.change.tilefile import read_tile, tile_name, write_tile
from pipeline.change.work import INSIDE, Work, read
from pipeline.products import Band
from pipeline.region import Tile

STATE_BANDS = (Band("state", "state of the alert, codes as in OPERA's DIST products"),)
SCORE_BANDS = (
    Band("confidence", "greatest cumulative sum of the passes' normal scores"),
    Band("peak", "greatest normal score of a pass since the change was detected"),
    Band("date", "pass of the first detection, days since 1970-01-01"),
    Band("before", "last pass before it that saw the pixel, days since 1970-01-01: the change lies between"),
    Band("detections", "passes that detected the change"),
    Band("loss", "greatest loss of coherence in a detection"),
)
# States kept: as many as the passes whose pairs a new pass may cause to be estimated anew, and one.
KEPT = 4
# A state, how many passes it stands for, pixels in each state after each of them, and states to keep by pass.
Resumed = tuple[State, int, np.ndarray[tuple[int, int], np.dtype[np.int64]], dict[int, State]]


@dataclass(frozen=True)
class MonitorTask:
    """One tile and all monitored passes, for a worker.

    Attributes
    ----------
    chain
        Digest of everything that went in up to each pass.
    """

    work: Work
    tile: Tile
    calibrations: tuple[Calibration, ...]
    bulks: tuple[Bulk, ...]
    chain: tuple[str, ...]
    rate: float
    key: str

    @property
    def fingerprint(self) -> str:
        """Digest of all that goes in."""
        return self.chain[-1]


def run_monitor(task: MonitorTask) -> dict[str, object]:
    """On a worker: continue the tile's states to the last pass; gives how many passes were taken anew."""
    state, done, history, kept = _resume(task)
    tests = task.work.design.tests
    for number in range(done, len(tests)):
        state = _advance(task, tests[number], number, state)
        history = np.concatenate([history, _count_states(state)[np.newaxis]])
        kept[number] = state
    arrays = {
        f"{number}/{name}": values for number in sorted(kept)[-KEPT:] for name, values in kept[number].arrays().items()
    }
    write_tile(
        task.work.folder, task.work.name, task.tile, {**arrays, "chain": np.array(task.chain), "history": history}
    )
    return {"passes": len(tests) - done}


def _advance(task: MonitorTask, test: Test, number: int, state: State) -> State:
    work, group = task.work, task.calibrations[test.group]
    scene, targets = read(work, task.tile, (test.target,))
    ((coherence, intensity),) = raw_scores(scene, targets)
    normal = group.combined.normal(combined(opinions(coherence, intensity, group.opinions)))[INSIDE]
    loss = coherence_loss(scene, targets[0])[INSIDE]
    return update(state, task.bulks[number].corrected(normal), loss, day_number(test.visit.day), task.rate)


def _resume(task: MonitorTask) -> Resumed:
    """The last stored state true of these inputs, how many passes it stands for, history, and states to keep."""
    folder, name = task.work.folder, task.work.name
    last_normal = max(pair.secondary_start for pair in task.work.design.normal).date()
    nothing: Resumed = (
        nothing_known(task.tile.shape, day_number(last_normal)),
        0,
        np.zeros((0, len(NAMES)), np.int64),
        {},
    )
    if not folder.exists(tile_name(name, task.tile)):
        return nothing
    stored = read_tile(folder, name, task.tile)
    chain = [str(link) for link in stored["chain"]]
    true = 0
    while true < min(len(chain), len(task.chain)) and chain[true] == task.chain[true]:
        true += 1
    states = {number: state for number, state in _stored_states(stored).items() if number < true}
    if not states:
        return nothing
    last = max(states)
    return states[last], last + 1, stored["history"][: last + 1].astype(np.int64), states


def last_state(work: Work, tile: Tile) -> tuple[State, np.ndarray[tuple[int, int], np.dtype[np.int64]]]:
    """The newest state of a tile, and how many pixels were in each state after each pass."""
    stored = read_tile(work.folder, work.name, tile)
    states = _stored_states(stored)
    return states[max(states)], stored["history"].astype(np.int64)


def _stored_states(stored: Mapping[str, np.ndarray[Any, Any]]) -> dict[int, State]:
    """The states in a tile's file, by pass: its arrays are called ``PASS/FIELD``."""
    found: dict[int, dict[str, Any]] = {}
    for key, values in stored.items():
        if "/" in key:
            number, name = key.split("/")
            found.setdefault(int(number), {})[name] = values
    return {number: State(**arrays) for number, arrays in found.items()}


def _count_states(state: State) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.bincount(state.status[state.status != UNKNOWN], minlength=len(NAMES)).astype(np.int64)
