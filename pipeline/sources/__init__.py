"""Where pixels come from: one small protocol, one file a source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from pipeline.passes import Pass, Slice
from pipeline.progress import Progress
from pipeline.region import Region, Tile
from pipeline.storage import Folder

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Query:
    """What a search asks for: every slice that meets all of it.

    Attributes
    ----------
    area
        Polygon in EPSG:4326.
    start, end
        First day and last day (included), UTC; None = unbounded.
    bands
        Polarisations (and "angle") each slice must have.
    """

    area: BaseGeometry
    start: dt.date | None
    end: dt.date | None
    bands: tuple[str, ...]

    def covers(self, moment: dt.datetime) -> bool:
        """Whether a start time (UTC) lies in the time span."""
        day = moment.date()
        return (self.start is None or day >= self.start) and (self.end is None or day <= self.end)


class Source(Protocol):
    """Finds slices, and reads a pass on a window of the region's grid."""

    name: str
    requests: int
    """How many reads may run at once."""

    def search(self, query: Query) -> list[Slice]:
        """Slices that meet the query, in any order; an empty list where there are none.

        Raises CohmapError with a sentence for the user where the source can't be searched at all.
        """
        ...

    def read(self, item: Pass, window: GeoBox, bands: Sequence[str]) -> FloatArray:
        """Pixels of one pass: shape (len(bands), height, width), float32 linear power (degrees for "angle").

        NaN where there is no data. Safe to call from several threads.
        """
        ...


@runtime_checkable
class ManySource(Source, Protocol):
    """A source that can read several passes of one window together; what a plain source can't, nobody asks of it.

    It keeps to `requests` at once by itself, however many threads read: what they ask next is ready by then.
    """

    def passes_at_once(self, window: GeoBox, bands: Sequence[str]) -> int:
        """How many passes of a window it is best to ask for together, at least 1."""
        ...

    def read_many(self, items: Sequence[Pass], window: GeoBox, bands: Sequence[str]) -> list[FloatArray]:
        """What `read` gives for each pass, in their order."""
        ...


@runtime_checkable
class LateSource(Source, Protocol):
    """A source whose pixels are made elsewhere first: a window can be read once it was announced."""

    def arrivals(
        self,
        region: Region,
        planned: Sequence[tuple[Pass, Sequence[Tile]]],
        wanted: Collection[tuple[str, Tile]],
        folder: Folder,
        progress: Progress,
    ) -> Iterator[tuple[Pass, tuple[Tile, ...]]]:
        """Have the wanted tiles made, and announce them as they become ready, in any order.

        Parameters
        ----------
        planned
            Every pass of the plan with its tiles; so that what is asked for doesn't depend on what an earlier run did.
        wanted
            Ids of passes, with the tiles that are to be read.
        folder
            Where the source remembers what it has begun.

        Raises
        ------
        CohmapError
            Some can't be made; raised after the others were announced, unless none could be.
        """
        ...

    def goes_on(self) -> str:
        """One sentence on what is still being made elsewhere, for a run that ends before its time; "" where nothing."""
        ...
