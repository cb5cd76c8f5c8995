"""Pixels that the same passes see share everything that is counted: a block as runs of such signatures.

Each outline has a random number of 64 bits; the numbers of the outlines that a pixel lies in, combined by exclusive or,
are its signature. Along a row it changes only at crossings. That two different sets of outlines get one signature by
chance has a probability of about n^2 / 4e19 for n signatures: 3e-8 for a million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

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
        place, seen = self._accumulate(crossings, block.shape)
        codes, signatures = pd.factorize(seen)
        lengths = np.diff(np.append(place, height * (width + 1)))
        first = place[np.unique(codes, return_index=True)[1]]
        whole = Runs(signatures, codes, lengths, first, (height, width))
        return whole, dict(self._by_track(crossings, block.shape))

    def _by_track(self, crossings: Crossings, shape: tuple[int, int]) -> Iterator[tuple[int, TrackRuns]]:
        track = self._track[crossings.who]
        whole = crossings.whole
        of_whole = self._track[whole]
        for number in np.union1d(track, of_whole):
            mine = track == number
            own = Crossings(crossings.place[mine], crossings.who[mine], whole[of_whole == number])
            yield int(number), TrackRuns(own, *self._accumulate(own, shape), shape)

    def _accumulate(self, crossings: Crossings, shape: tuple[int, int]) -> tuple[IntArray, Hashes]:
        """Places where the signature changes, and what it is from there on."""
        height, width = shape
        changes = np.zeros(height * (width + 1), np.uint64)
        np.bitwise_xor.at(changes, crossings.place, self._numbers[crossings.who])
        changes[0] ^= np.bitwise_xor.reduce(self._numbers[crossings.whole])
        place = np.flatnonzero(changes)
        if place.size == 0 or place[0] > 0:
            place = np.insert(place, 0, 0)
        return place, np.bitwise_xor.accumulate(changes[place])


@dataclass(frozen=True)
class TrackRuns:
    """What crosses a block of one track's outlines, and the signatures that follow."""

    crossings: Crossings
    place: IntArray
    seen: Hashes
    shape: tuple[int, int]

    def at(self, place: IntArray) -> Hashes:
        """Signatures at places of the block; 0 where no outline of the track is."""
        return self.seen[np.searchsorted(self.place, place, "right") - 1]

    def members(self, place: int) -> IntArray:
        """Which outlines a pixel lies in: those that hold the block, or whose crossings to its left are odd."""
        order, starts = self._rows
        row = place // (self.shape[1] + 1)
        crossed = order[starts[row] : starts[row + 1]]
        crossed = crossed[self.crossings.place[crossed] <= place]
        outlines, times = np.unique(self.crossings.who[crossed], return_counts=True)
        inside: IntArray = np.concatenate([self.crossings.whole, outlines[times % 2 == 1]])
        return inside

    @cached_property
    def _rows(self) -> tuple[IntArray, IntArray]:
        """The crossings in the order of their rows, and where each row begins."""
        row = (self.crossings.place // (self.shape[1] + 1)).astype(np.int16)  # sorted by digits, and so fast
        starts = np.append(0, np.cumsum(np.bincount(row, minlength=self.shape[0])))
        return np.argsort(row, kind="stable"), starts
