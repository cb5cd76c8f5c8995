"""One step ahead of a device with a queue of its own: it is given the next images before its last maps are fetched."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from models.estimator import Estimator, FloatArray

Key = TypeVar("Key")
Value = TypeVar("Value")
Maps = tuple[FloatArray, FloatArray]


@runtime_checkable
class Queued(Protocol):
    """An estimator that can begin an estimate and be asked for it later.

    Attributes
    ----------
    queued
        Whether that gains anything: its device goes on by itself. A CPU doesn't.
    """

    queued: bool

    def begin(
        self, reference: FloatArray, secondary: FloatArray, context: Sequence[FloatArray] = (), *, margin: int = 0
    ) -> Callable[[], Maps]:
        """Begin what `Estimator.estimate` does, with the same arguments; call what is returned for the maps.

        The images must stay as they are until then.
        """
        ...


def fetched(begun: Iterable[tuple[Key, Callable[[], Value]]], *, late: bool) -> Iterator[tuple[Key, Value]]:
    """What was begun, in its order; where `late`, each is fetched when the next has been begun."""
    waiting: deque[tuple[Key, Callable[[], Value]]] = deque()
    for each in begun:
        waiting.append(each)
        if len(waiting) > late:
            key, fetch = waiting.popleft()
            yield key, fetch()
    for key, fetch in waiting:
        yield key, fetch()


def estimates(
    estimator: Estimator, shown: Iterable[tuple[Key, Sequence[FloatArray]]], *, margin: int
) -> Iterator[tuple[Key, Maps]]:
    """Coherence and sigma of one set of images after the other, without a GPU standing still between them.

    Parameters
    ----------
    shown
        What each is called, and its images: reference, secondary, further dates. On a GPU the next is taken before the
        maps of the last are given.
    margin
        As in `Estimator.estimate`.
    """
    if isinstance(estimator, Queued) and estimator.queued:
        queue = estimator
        begun = ((key, queue.begin(images[0], images[1], images[2:], margin=margin)) for key, images in shown)
        yield from fetched(begun, late=True)
        return
    for key, images in shown:
        yield key, estimator.estimate(images[0], images[1], images[2:], margin=margin)
