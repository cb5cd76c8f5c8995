"""Pixels that the same passes see share everything that is counted: a block as runs of such signatures.

Each outline has a random number of 64 bits; the numbers of the outlines that a pixel lies in, combined by exclusive or,
are its signature. Along a row it changes only at crossings. That two different sets of outlines get one signature by
chance has a probability of about n^2 / 4e19 for n signatures: 3e-8 for a million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.coverage.edges import Crossings, Edges, IntArray
from pipeline.region import Tile

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Runs:
    """A block cut into runs of one signature, in the order of its pixels.

    Attributes
    ----------
    signatures
        The different ones there are.
    codes
        Which of them each run has.
    lengths
        Pixels of each run; each row has one pixel more than the block is wide.
    first
        Place of the first run of each signature.
    """

    signatures: Hashes
    codes: IntArray
    lengths: IntArray
    first: IntArray
    shape: tuple[int, int]

    def paint(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Values of the signatures as an image; shape (len(signatures),) becomes that of the block."""
        height, width = self.shape
        image: npt.NDArray[np.float32] = np.repeat(values[self.codes], self.lengths)
        return image.reshape(height, width + 1)[:, :width]


class Signatures:
    """Signatures of outlines that belong to tracks.

    Parameters
    ----------
    edges
        Of all outlines.
    track
        Number of each outline's track.
    """

    def __init__(self, edges: Edges, track: IntArray) -> None:
        self._edges, self._track = edges, track
        # the numbers only have to differ; from a fixed seed every run does the same
        self._numbers: Hashes = np.random.default_rng(1).integers(1, 2**63, track.size, np.uint64)

    def block(self, block: Tile) -> tuple[Runs, dict[int, TrackRuns]]:
        """Runs of a block: of all outlines together, and of those of each track."""
        crossings = self._edges.crossings(block)
        height, width = block.shape
        place, seen = self._accumulate(crossings)
        if place.size == 0 or place[0] > 0:
            place, seen = np.insert(place, 0, 0), np.insert(seen, 0, np.uint64(0))
        codes, signatures = pd.factorize(seen)
        lengths = np.diff(np.append(place, height * (width + 1)))
        first = place[np.unique(codes, return_index=True)[1]]
        whole = Runs(signatures, codes, lengths, first, (height, width))
        return whole, dict(self._by_track(crossings, width))

    def _by_track(self, crossings: Crossings, width: int) -> Iterator[tuple[int, TrackRuns]]:
        track = self._track[crossings.who]
        for number in np.unique(track):
            mine = track == number
            own = Crossings(crossings.place[mine], crossings.who[mine])
            yield int(number), TrackRuns(own, *self._accumulate(own), width)

    def _accumulate(self, crossings: Crossings) -> tuple[IntArray, Hashes]:
        """Places where the signature changes, and what it is from there on."""
        seen = np.bitwise_xor.accumulate(self._numbers[crossings.who])
        last = np.ones(seen.size, bool)
        last[:-1] = crossings.place[1:] != crossings.place[:-1]
        return crossings.place[last], seen[last]


@dataclass(frozen=True)
class TrackRuns:
    """What crosses a block of one track's outlines, and the signatures that follow."""

    crossings: Crossings
    place: IntArray
    seen: Hashes
    width: int

    def at(self, place: IntArray) -> Hashes:
        """Signatures at places of the block; 0 where no outline of the track is."""
        run = np.searchsorted(self.place, place, "right") - 1
        return np.where(run >= 0, self.seen[np.maximum(run, 0)], np.uint64(0))

    def members(self, place: int) -> IntArray:
        """Which outlines a pixel lies in: those crossed an odd number of times to its left."""
        row = place - place % (self.width + 1)
        start, stop = np.searchsorted(self.crossings.place, [row, place + 1])
        outlines, times = np.unique(self.crossings.who[start:stop], return_counts=True)
        inside: IntArray = outlines[times % 2 == 1]
        return inside
