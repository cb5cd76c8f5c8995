"""The loop over sets, seeds and scenes: each scene is drawn once, given to every contender, scored and forgotten."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

import models
from models.evaluate.constant import histogram, predict
from models.evaluate.contenders import CONSTANT, Contender, registered
from models.evaluate.floors import WINDOWS, window_floor
from models.evaluate.scores import Scores, Sums, edges, interval, measure, median, summarise
from models.evaluate.sets import SceneSet
from models.simulate.draw import draw

DoubleArray = npt.NDArray[np.float64]

_CODE = ("simulate/*.py", "evaluate/scores.py", "evaluate/constant.py", "coregister.py")
"""What the scores of one estimator follow from, besides itself."""


class Store(Protocol):
    """Remembers what each scene gave, so that a stopped evaluation goes on where it was."""

    def known(self, key: str, fingerprint: str) -> dict[str, Any]:
        """The record of a scene made under this fingerprint; empty where there is none."""
        ...

    def keep(self, key: str, fingerprint: str, record: dict[str, Any]) -> None:
        """Remember a scene's record, in place of an earlier one."""
        ...


@dataclass
class Memory:
    """Remembers within the process only."""

    records: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def known(self, key: str, fingerprint: str) -> dict[str, Any]:
        """See `Store`."""
        made, record = self.records.get(key, ("", {}))
        return record if made == fingerprint else {}

    def keep(self, key: str, fingerprint: str, record: dict[str, Any]) -> None:
        """See `Store`."""
        self.records[key] = (fingerprint, record)


@dataclass
class Row:
    """One contender on one set.

    Attributes
    ----------
    seeds
        Its scores, one a seed.
    squares
        Pixels and squared error of every scene of every seed, shape (scenes, 2).
    """

    seeds: list[Scores]
    squares: DoubleArray

    @property
    def median(self) -> Scores:
        """Median over seeds; the interval of the RMSE resamples the scenes of all seeds together."""
        return median(self.seeds, interval(self.squares))


@dataclass(frozen=True)
class Results:
    """What an evaluation found.

    Attributes
    ----------
    sets
        The sets, in their order.
    seeds
        Seeds of the scenes.
    rows
        By set, then by contender.
    floors
        Bayes floor by window in pixels, for the sets of homogeneous ground.
    """

    sets: tuple[SceneSet, ...]
    seeds: tuple[int, ...]
    rows: dict[str, dict[str, Row]]
    floors: dict[str, dict[int, float]]

    def score(self, scene_set: str, contender: str) -> Scores:
        """Median scores of a contender on a set."""
        return self.rows[scene_set][contender].median


def evaluate(
    contenders: Sequence[Contender],
    sets: Sequence[SceneSet],
    *,
    scenes: int,
    seeds: Sequence[int],
    store: Store | None = None,
    advance: Callable[[], None] | None = None,
) -> Results:
    """Score contenders, and the constant, on sets of scenes.

    Parameters
    ----------
    sets
        As sized by `SceneSet.sized`.
    scenes
        How many of each set and seed.
    store
        What is known from an earlier run; only what is missing is computed.
    advance
        Called after every scene.
    """
    kept = Memory() if store is None else store
    rows: dict[str, dict[str, Row]] = {}
    for scene_set in sets:
        by_seed = [_run_seed(contenders, scene_set, scenes, seed, kept, advance) for seed in seeds]
        rows[scene_set.name] = {
            name: Row(
                [summarise(sums[name]) for sums in by_seed],
                np.array([[scene.pixels, scene.square] for sums in by_seed for scene in sums[name]]),
            )
            for name in by_seed[0]
        }
    floors = {
        each.name: {window: window_floor(window, each.product) for window in WINDOWS}
        for each in sets
        if each.recipe.homogeneous
    }
    return Results(tuple(sets), tuple(seeds), rows, floors)


def _run_seed(
    contenders: Sequence[Contender],
    scene_set: SceneSet,
    scenes: int,
    seed: int,
    store: Store,
    advance: Callable[[], None] | None,
) -> dict[str, list[Sums]]:
    """Sums of every scene, by contender."""
    sums: dict[str, list[Sums]] = {contender.name: [] for contender in contenders}
    histograms = []
    for number in range(scenes):
        record = _run_scene(contenders, scene_set, seed, number, store)
        histograms.append(np.array(record["truth"]))
        for name, found in sums.items():
            found.append(Sums.from_json(record["answers"][name]["sums"]))
        if advance is not None:
            advance()
    return {CONSTANT: predict(histograms), **sums}


def _run_scene(
    contenders: Sequence[Contender], scene_set: SceneSet, seed: int, number: int, store: Store
) -> dict[str, Any]:
    """A scene's record with the answer of every contender; drawn only where one is missing."""
    key = f"{scene_set.name}/{seed}/{number}"
    fingerprint = _digest(repr(scene_set.recipe), code_digest())
    record = store.known(key, fingerprint)
    spacing = scene_set.product.spacing
    answers: dict[str, Any] = dict(record.get("answers", {}))
    versions = {contender.name: contender.version(spacing) for contender in contenders}
    missing = [each for each in contenders if answers.get(each.name, {}).get("version") != versions[each.name]]
    if record and not missing:
        return record
    sample = draw(scene_set.recipe, seed, number)
    scene = registered(sample)
    at_edge = edges(sample.coherence)
    for contender in missing:
        began = time.process_time()
        coherence, sigma = contender.answer(scene)
        seconds = time.process_time() - began
        sums = measure(coherence, sample.coherence, sigma, seconds=seconds, at_edge=at_edge)
        answers[contender.name] = {"version": versions[contender.name], "sums": sums.to_json()}
    record = {"truth": histogram(sample.coherence).astype(int).tolist(), "answers": answers}
    store.keep(key, fingerprint, record)
    return record


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=12).hexdigest()


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Changes with the code that draws, registers and scores: records of two simulators must never be mixed."""
    folder = Path(models.__file__).parent
    return _digest(*(path.read_text(encoding="utf-8") for name in _CODE for path in sorted(folder.glob(name))))
