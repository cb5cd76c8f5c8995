"""Which pairs are normal and which are tested against them, by the region's [change] rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.config import Change
from pipeline.errors import CohmapError
from pipeline.passes import Pair, Track

# Two pairs say nothing about their own spread.
FEWEST_NORMAL = 3


@dataclass(frozen=True)
class Comparison:
    """Which pairs of one track are normal, and which are tested against them; all of one temporal baseline."""

    label: str
    normal: tuple[Pair, ...]
    tested: tuple[Pair, ...]


def compare(pairs: tuple[Pair, ...], rule: Change) -> list[Comparison]:
    """The comparisons that the region's rule makes of one track's pairs.

    With an event: pairs that end before it are normal, pairs across it are tested together. With a baseline period:
    pairs within it are normal, and each later pair is tested on its own. Only pairs of like baseline are compared; the
    shortest baseline with enough normal pairs is taken.

    Raises
    ------
    CohmapError
        No baseline has enough normal pairs and a tested one.
    """
    for days in sorted({pair.days for pair in pairs}):
        like = [pair for pair in pairs if pair.days == days]
        if rule.event is not None:
            event = rule.event
            normal = [pair for pair in like if pair.secondary_start.date() < event]
            across = [pair for pair in like if pair.reference_start.date() < event <= pair.secondary_start.date()]
            tested = [(f"{event:%Y%m%d}", tuple(across))] if across else []
        else:
            first, last = rule.baseline_period or (None, None)
            assert first is not None  # noqa: S101 - the schema gives one of the two
            assert last is not None  # noqa: S101
            inside = [p for p in like if first <= p.reference_start.date() and p.secondary_start.date() <= last]
            normal = inside
            tested = [(pair.id, (pair,)) for pair in like if pair.secondary_start.date() > last]
        if len(normal) >= FEWEST_NORMAL and tested:
            return [Comparison(label, tuple(normal), members) for label, members in tested]
    what = (
        f"event = {rule.event}"
        if rule.event
        else f"baseline_period = {[str(day) for day in rule.baseline_period or ()]}"
    )
    raise CohmapError(
        f"[change] {what}: track {pairs[0].track} has no temporal baseline with {FEWEST_NORMAL} pairs before and one "
        "across or after; widen [passes] or move the date"
    )


def compare_tracks(pairs: Mapping[Track, tuple[Pair, ...]], rule: Change) -> tuple[list[Comparison], list[str]]:
    """The comparisons of every track that allows one, and a note for every track that doesn't.

    Raises
    ------
    CohmapError
        No track allows one.
    """
    comparisons: list[Comparison] = []
    notes = []
    for members in pairs.values():
        try:
            comparisons += compare(members, rule)
        except CohmapError as error:
            notes.append(str(error))
    if not comparisons:
        raise CohmapError(notes[0])
    return comparisons, [f"no change map: {note}" for note in notes]
