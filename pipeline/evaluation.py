"""`cohmap evaluate`: estimators scored on simulated scenes, with a ledger, tables and a figure in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from models.errors import ModelError
from models.evaluate import tables
from models.evaluate.contenders import Contender, open_contenders, registered
from models.evaluate.run import Results, evaluate
from models.evaluate.sets import FIRST_SEED, LEAST_SIZE, SceneSet, choose
from models.simulate.draw import draw
from pipeline import __version__
from pipeline.errors import CohmapError, Stopped
from pipeline.evaluation_figure import Example, draw_evaluation
from pipeline.interrupts import sigterm_is_ctrl_c
from pipeline.ledger import Ledger
from pipeline.progress import Progress
from pipeline.storage import Folder, explain_full_disk, lock

STAGE = "evaluate"
RESULTS = ("evaluation.json", "evaluation.md", "evaluation.png")
MOST_CONTEXTS = 8
"""Further dates that the simulator surely has room for around any pair."""


@dataclass(frozen=True)
class Extent:
    """How much is evaluated.

    Attributes
    ----------
    sets
        Names of `models.evaluate.sets`; none for all.
    scenes, seeds
        Scenes of each set and seed; how many seeds.
    size
        Side of the scenes in pixels.
    contexts
        Further dates of each scene, for estimators that use them.
    """

    sets: tuple[str, ...] = ()
    scenes: int = 100
    seeds: int = 3
    size: int = 256
    contexts: int = 4

    def chosen(self) -> list[SceneSet]:
        """The sets, with scenes of this size.

        Raises
        ------
        CohmapError
            There is no such set, or a number makes no sense.
        """
        if self.scenes < 1 or self.seeds < 1:
            raise CohmapError("nothing to evaluate: --scenes and --seeds must be at least 1")
        if self.size < LEAST_SIZE:
            raise CohmapError(f"--size {self.size} is too small for the windows; give {LEAST_SIZE} or more")
        if not 0 <= self.contexts <= MOST_CONTEXTS:
            raise CohmapError(f"--contexts {self.contexts} can't be drawn; give 0 to {MOST_CONTEXTS}")
        try:
            return [each.sized(self.size, self.contexts) for each in choose(self.sets)]
        except ModelError as error:
            raise CohmapError(f"--sets: {error}") from None


class LedgerStore:
    """A ledger as the store of `models.evaluate.run`: one line a scene."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def known(self, key: str, fingerprint: str) -> dict[str, Any]:
        """See `models.evaluate.run.Store`."""
        if not self._ledger.matches(key, fingerprint):
            return {}
        return dict((self._ledger.get(key) or {})["scene"])

    def keep(self, key: str, fingerprint: str, record: dict[str, Any]) -> None:
        """See `models.evaluate.run.Store`."""
        self._ledger.record(key, fingerprint, "", scene=record)


def run_evaluation(
    estimators: Sequence[str], extent: Extent, folder: Folder, progress: Progress, *, device: str = "auto"
) -> Results:
    """Score estimators and write what came out into the folder; scenes done by an earlier run aren't done again.

    Parameters
    ----------
    estimators
        As `models.evaluate.contenders.open_contenders` takes them.

    Raises
    ------
    CohmapError
        There is no such estimator, set or device, or the folder can't be written.
    Stopped
        By Ctrl-C or SIGTERM; the same call continues.
    """
    sets = extent.chosen()
    seeds = [FIRST_SEED + number for number in range(extent.seeds)]
    torch.set_num_threads(1)  # CPU-seconds then mean the same on every machine, and two runs don't slow each other
    folder.require_writable()
    try:
        contenders = open_contenders(estimators, contexts=extent.contexts, device=device)
        with sigterm_is_ctrl_c(), lock(folder), explain_full_disk(folder), Ledger(folder, STAGE) as ledger:
            progress.start(STAGE, len(sets) * len(seeds) * extent.scenes, 0)
            results = evaluate(
                contenders,
                sets,
                scenes=extent.scenes,
                seeds=seeds,
                store=LedgerStore(ledger),
                advance=progress.advance,
            )
            _write(results, contenders, estimators, extent, folder)
    except ModelError as error:
        raise CohmapError(str(error)) from None
    except KeyboardInterrupt:
        raise Stopped from None
    return results


def _write(
    results: Results, contenders: Sequence[Contender], estimators: Sequence[str], extent: Extent, folder: Folder
) -> None:
    made = {"cohmap": __version__, "estimators": list(estimators), **asdict(extent)}
    as_json, as_markdown, as_png = RESULTS
    folder.write_json(as_json, tables.to_json(results, made))
    folder.write_bytes(as_markdown, "\n".join(each.to_markdown() for each in tables.all_tables(results)).encode())
    folder.write_bytes(as_png, draw_evaluation(results, _example(results, contenders)))


def _example(results: Results, contenders: Sequence[Contender]) -> Example:
    """The first scene of the first set."""
    scene_set = results.sets[0]
    sample = draw(scene_set.recipe, results.seeds[0], 0)
    scene = registered(sample)
    return Example(
        sample.reference, sample.coherence, {contender.name: contender.answer(scene)[0] for contender in contenders}
    )
