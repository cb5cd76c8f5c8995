"""Which pairs and images are tested against which, and which tests of normal dates tell what chance does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from models.change.evidence import Target, Tested
from pipeline.change.settings import Change
from pipeline.errors import CohmapError
from pipeline.passes import Pair, Track

# Two pairs say nothing about their own spread.
FEWEST_NORMAL = 3
MONITOR = "monitor"


@dataclass(frozen=True)
class Visit:
    """One pass of a track."""

    id: str
    start: dt.datetime

    @property
    def day(self) -> dt.date:
        """Day of the pass (UTC)."""
        return self.start.date()


@dataclass(frozen=True)
class Test:
    """One test that is reported: of an event, or of one new pass.

    Attributes
    ----------
    visit
        The first pass after what is tested.
    group
        Number of the normal tests that tell its null distribution.
    """

    visit: Visit
    target: Target
    group: int


@dataclass(frozen=True)
class Design:
    """All tests of one track; positions in targets count in `pairs` and `visits`.

    Attributes
    ----------
    label
        Day of the event, or "monitor".
    visits
        Passes in the order of time.
    pairs
        Pairs in the order of time.
    normal, tested, after
        Pairs that are taken as normal, that are tested, and that lie wholly after an event.
    nulls
        Groups of tests of normal dates.
    """

    track: Track
    label: str
    visits: tuple[Visit, ...]
    pairs: tuple[Pair, ...]
    normal: tuple[Pair, ...]
    tested: tuple[Pair, ...]
    after: tuple[Pair, ...]
    nulls: tuple[tuple[Target, ...], ...]
    tests: tuple[Test, ...]


def design_tracks(pairs: Mapping[Track, tuple[Pair, ...]], rule: Change) -> tuple[list[Design], list[str]]:
    """The design of every track that allows one, and a note for every track that doesn't.

    Raises
    ------
    CohmapError
        No track allows one.
    """
    designs, notes = [], []
    for members in pairs.values():
        try:
            designs.append(design(members, rule))
        except CohmapError as error:
            notes.append(str(error))
    if not designs:
        raise CohmapError(notes[0])
    return designs, [f"no change map: {note}" for note in notes]


def design(pairs: Sequence[Pair], rule: Change) -> Design:
    """The tests that the region's rule makes of one track's pairs.

    With an event: pairs that end before it are normal, pairs across it are tested together; the shortest baseline with
    enough normal pairs is taken. With a baseline period: pairs within it are normal, and each later pass is tested by
    all pairs that end at it and have enough normal pairs of like baseline.

    Raises
    ------
    CohmapError
        There are not enough normal pairs, or nothing to test.
    """
    ordered = tuple(sorted(pairs, key=lambda pair: (pair.reference_start, pair.secondary_start)))
    ends = {(pair.reference, pair.reference_start) for pair in ordered}
    ends |= {(pair.secondary, pair.secondary_start) for pair in ordered}
    visits = tuple(Visit(*end) for end in sorted(ends, key=lambda end: (end[1], end[0])))
    made = _event(ordered, visits, rule.event) if rule.event else _monitor(ordered, visits, rule)
    if made is not None:
        return made
    what = (
        f"event = {rule.event}"
        if rule.event
        else f"baseline_period = {[str(day) for day in rule.baseline_period or ()]}"
    )
    raise CohmapError(
        f"[change] {what}: track {ordered[0].track} has no temporal baseline with {FEWEST_NORMAL} pairs before and one "
        "across or after; widen [passes] or move the date"
    )


def _event(pairs: tuple[Pair, ...], visits: tuple[Visit, ...], event: dt.date) -> Design | None:
    position = {visit.id: number for number, visit in enumerate(visits)}
    before = [number for number, visit in enumerate(visits) if visit.day < event]
    for days in sorted({pair.days for pair in pairs}):
        like = [number for number, pair in enumerate(pairs) if pair.days == days]
        normal = [n for n in like if pairs[n].secondary_start.date() < event]
        tested = [n for n in like if pairs[n].reference_start.date() < event <= pairs[n].secondary_start.date()]
        if len(normal) < FEWEST_NORMAL or not tested:
            continue
        target = Target(
            (tuple(Tested(n, tuple(normal)) for n in tested),),
            min(set(range(len(visits))) - set(before)),
            tuple(before),
        )
        gaps = []
        for _, late in pairwise(before):
            across = [n for n in normal if position[pairs[n].reference] < late <= position[pairs[n].secondary]]
            against = tuple(Tested(n, _held_against(pairs, n, [m for m in normal if m not in across])) for n in across)
            if across and all(len(one.normal) >= FEWEST_NORMAL - 1 for one in against):
                gaps.append(Target((against,), late, tuple(number for number in before if number != late)))
        alike = [gap for gap in gaps if len(gap.baselines[0]) == len(tested)]
        gaps = alike if len(alike) >= FEWEST_NORMAL else gaps
        return Design(
            track=pairs[0].track,
            label=f"{event:%Y%m%d}",
            visits=visits,
            pairs=pairs,
            normal=tuple(pairs[n] for n in normal),
            tested=tuple(pairs[n] for n in tested),
            after=tuple(pairs[n] for n in like if pairs[n].reference_start.date() >= event),
            nulls=(tuple(gaps),),
            tests=(Test(visits[target.image], target, 0),),
        )
    return None


def _held_against(pairs: tuple[Pair, ...], tested: int, others: Sequence[int]) -> tuple[int, ...]:
    """Of the other pairs those that share no pass with the tested one, where there are enough of them.

    Pairs that share a pass share its speckle, and so depart from their mean together; later pairs don't share any.
    """
    ends = {pairs[tested].reference, pairs[tested].secondary}
    free = tuple(n for n in others if not ends & {pairs[n].reference, pairs[n].secondary})
    return free if len(free) >= FEWEST_NORMAL - 1 else tuple(n for n in others if n != tested)


def _monitor(pairs: tuple[Pair, ...], visits: tuple[Visit, ...], rule: Change) -> Design | None:
    assert rule.baseline_period is not None  # noqa: S101 - the schema gives one of the two
    first, last = rule.baseline_period
    position = {visit.id: number for number, visit in enumerate(visits)}
    inside = [number for number, visit in enumerate(visits) if first <= visit.day <= last]
    like: dict[int, list[int]] = {}
    for number, pair in enumerate(pairs):
        if first <= pair.reference_start.date() and pair.secondary_start.date() <= last:
            like.setdefault(pair.days, []).append(number)
    like = {days: normal for days, normal in sorted(like.items()) if len(normal) >= FEWEST_NORMAL}
    groups: dict[tuple[int, ...], int] = {}
    nulls: list[tuple[Target, ...]] = []
    tests = []
    for number, visit in enumerate(visits):
        ending = [
            n for n, pair in enumerate(pairs)
            if pair.secondary == visit.id and pair.days in like and pair.reference_start.date() >= first
        ]  # fmt: skip
        if visit.day <= last or not ending:
            continue
        days = tuple(sorted({pairs[n].days for n in ending}))
        while days not in groups:
            found = _normal_tests(pairs, position, like, inside, days)
            if len(found) >= FEWEST_NORMAL or len(days) == 1:
                groups[days] = len(nulls)
                nulls.append(found)
            else:
                days = days[:-1]
        by_days = tuple(
            tuple(Tested(n, tuple(like[baseline])) for n in ending if pairs[n].days == baseline) for baseline in days
        )
        tests.append(Test(visit, Target(by_days, number, tuple(inside)), groups[days]))
    if not tests:
        return None
    used = sorted({one.pair for test in tests for baseline in test.target.baselines for one in baseline})
    return Design(
        track=pairs[0].track,
        label=MONITOR,
        visits=visits,
        pairs=pairs,
        normal=tuple(pairs[n] for normal in like.values() for n in normal),
        tested=tuple(pairs[n] for n in used),
        after=(),
        nulls=tuple(nulls),
        tests=tuple(tests),
    )


def _normal_tests(
    pairs: tuple[Pair, ...],
    position: Mapping[str, int],
    like: Mapping[int, list[int]],
    inside: Sequence[int],
    days: tuple[int, ...],
) -> tuple[Target, ...]:
    """Tests of the passes of the baseline period at which a normal pair of every baseline ends."""
    found = []
    for late in inside:
        ending = [[n for n in like[baseline] if position[pairs[n].secondary] == late] for baseline in days]
        if all(ending):
            against = tuple(
                tuple(Tested(n, _held_against(pairs, n, [m for m in like[pairs[n].days] if m != n])) for n in members)
                for members in ending
            )
            found.append(Target(against, late, tuple(number for number in inside if number != late)))
    return tuple(found)
