"""Sentinel-1 GRD on Google Earth Engine, through its own client: explicit images, an explicit grid, no filtering."""

from __future__ import annotations

import datetime as dt
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from shapely.geometry import Polygon, box, mapping
from shapely.geometry.base import BaseGeometry

from pipeline import config
from pipeline.errors import CohmapError
from pipeline.passes import Pass, Slice
from pipeline.sources import FloatArray, Query
from pipeline.sources.ee_failures import TooLarge
from pipeline.sources.ee_pace import Patience
from pipeline.sources.ee_records import read_record, without_duplicates
from pipeline.sources.ee_requests import (
    SMALLEST_SPLIT,
    Budget,
    Part,
    Size,
    clean,
    decode,
    expression,
    grid_of,
    halves,
    near_slices,
    subject_of,
    unpack,
)
from pipeline.sources.ee_session import HIGH_VOLUME, STANDARD, Session

log = logging.getLogger(__name__)

# Images a page of the listing; the server may send fewer.
PAGE = 1000


class EarthEngineSource:
    """The `Source` of Sentinel-1 images on Earth Engine.

    Parameters
    ----------
    settings
        The region's [source] table.
    project
        Google Cloud project; goes before the region's.
    credentials
        google-auth credentials, for programs that have their own; else the service account's key of the settings,
        an access token in the environment variable COHMAP_EE_TOKEN (``gcloud auth print-access-token`` prints one),
        what ``earthengine authenticate`` stored, or application default credentials, whichever comes first.
    patience
        How long transient failures are put up with.
    """

    name = "earthengine"

    def __init__(
        self,
        settings: config.EarthEngineSource,
        project: str | None = None,
        *,
        credentials: Any = None,
        patience: Patience | None = None,
    ) -> None:
        self.settings = settings
        self.requests = settings.requests
        self._session = Session(
            # many small requests go to the one, tasks to the other
            url=(settings.url or (STANDARD if settings.mode == "batch" else HIGH_VOLUME)).rstrip("/"),
            project=project or settings.project,
            service_account_key=settings.service_account_key,
            credentials=credentials,
            patience=patience or Patience(),
            requests=settings.requests,
        )
        self._budget = Budget()

    @property
    def session(self) -> Session:
        """How Earth Engine is reached, for what else is asked of it."""
        return self._session

    def search(self, query: Query) -> list[Slice]:
        """Images of the collection that meet the query, in order of time; an empty list where there are none.

        Raises
        ------
        CohmapError
            No credentials, a refused project, no such collection, or images that aren't Sentinel-1 in linear power.
        """
        collection = self.settings.collection
        if collection.rstrip("/") == "COPERNICUS/S1_GRD":
            raise CohmapError(
                "[source] collection = 'COPERNICUS/S1_GRD' holds dB; take 'COPERNICUS/S1_GRD_FLOAT', the same images "
                "in linear power"
            )
        found = []
        for record in self._list(query):
            if record.get("properties", {}).get("instrumentMode", "IW") != "IW":
                continue
            piece = read_record(record, query.area)
            if (
                query.covers(piece.start)
                and set(query.bands) <= set(piece.hrefs)
                and piece.footprint.intersects(query.area)
            ):
                found.append(piece)
        return sorted(without_duplicates(found), key=lambda piece: (piece.start, piece.id))

    def _list(self, query: Query) -> Iterator[Mapping[str, Any]]:
        """Records of the collection's images near the area and the time span, page by page."""
        import ee

        parameters: dict[str, Any] = {
            "parent": self.settings.collection,
            "pageSize": PAGE,
            "region": mapping(_outline_to_ask_for(query.area)),
        }
        if query.start is not None:
            parameters["startTime"] = f"{query.start.isoformat()}T00:00:00Z"
        if query.end is not None:
            # Earth Engine compares an image's end with it; the exact day is checked on the image's start.
            after = dt.datetime.combine(query.end, dt.time(1)) + dt.timedelta(days=1)
            parameters["endTime"] = f"{after.isoformat()}Z"
        subject = f"image collection {self.settings.collection!r}"
        while True:
            try:
                page = self._session.call(ee.data.listImages, parameters, subject)
            except TooLarge as error:
                raise CohmapError(
                    f"Earth Engine can't list {subject} in one go ({error}); shorten [passes] start to end"
                ) from None
            yield from page["images"]
            token = page.get("nextPageToken")
            if not token:
                return
            parameters["pageToken"] = token

    def read(self, item: Pass, window: GeoBox, bands: Sequence[str]) -> FloatArray:
        """Pixels of one pass on a window of the grid: what `read_many` reads of it."""
        return self.read_many([item], window, bands)[0]

    def passes_at_once(self, window: GeoBox, bands: Sequence[str]) -> int:
        """Passes of a window that fit into one request; fewer where Earth Engine has found such requests too large."""
        return self._budget.passes(window, len(bands))

    def read_many(self, items: Sequence[Pass], window: GeoBox, bands: Sequence[str]) -> list[FloatArray]:
        """Pixels of several passes on one window: one request, or several where Earth Engine finds it too large.

        Where slices overlap the pass's first one wins. Nearest neighbour unless the settings say otherwise, no
        speckle filter.

        Returns
        -------
        list of FloatArray
            One a pass, of shape (len(bands), height, width), linear power (degrees for "angle"); NaN where masked, and
            where power is 0 or less or infinite, which no measured power is.

        Raises
        ------
        CohmapError
            Earth Engine refuses the request, or doesn't answer it in spite of every try.
        """
        blocks = [np.full((len(bands), *window.shape), np.nan, dtype=np.float32) for _ in items]
        parts = []
        for item, values in zip(items, blocks, strict=True):
            near = near_slices(item, window)
            if near:
                parts.append(Part(item.id, near, values))
        if parts:
            self._session.open()  # the client can't build an expression before
            self._fill(parts, window, bands)
        for values in blocks:
            clean(values, bands)
        return blocks

    def _fill(self, parts: Sequence[Part], window: GeoBox, bands: Sequence[str]) -> None:
        """Write the window's pixels into every part, in several requests where they don't fit into one.

        Passes are divided first, because a window in pieces loads every image once a piece; then the window.
        """
        size = Size.of(window, len(parts) * len(bands))
        if self._budget.fits(size):
            try:
                answer = self._ask(parts, window, bands)
            except TooLarge as error:
                self._budget.refuse(size)
                if len(parts) == 1 and max(window.shape) <= SMALLEST_SPLIT:
                    raise CohmapError(
                        f"Earth Engine can't compute even {window.shape.y} x {window.shape.x} pixels of "
                        f"{subject_of(parts)}: {error}"
                    ) from None
                log.info("Earth Engine: %s x %s pixels of %s in parts: %s", *window.shape, subject_of(parts), error)
            else:
                self._budget.succeed(size)
                unpack(parts, answer, bands)
                return
        if len(parts) > 1:
            middle = len(parts) // 2
            self._fill(parts[:middle], window, bands)
            self._fill(parts[middle:], window, bands)
            return
        for rows in halves(window.shape.y):
            for cols in halves(window.shape.x):
                self._fill([part.cut(rows, cols) for part in parts], window[rows, cols], bands)

    def _ask(self, parts: Sequence[Part], window: GeoBox, bands: Sequence[str]) -> Any:
        """One request for all parts; a structured array with one field a part and band."""
        import ee

        image = expression(parts, bands, self.settings)
        # not NUMPY_NDARRAY, which the client decodes: a torn file must be told from a request that it can't send
        parameters = {"expression": image, "fileFormat": "NPY", "grid": grid_of(window)}

        def ask(asked: dict[str, Any]) -> Any:
            return decode(ee.data.computePixels(asked), parts, bands)

        return self._session.call(ask, parameters, subject_of(parts))


def _outline_to_ask_for(area: BaseGeometry) -> Polygon:
    """A box around the area, a little wider: what is near enough for the server, whose answer is then cut exactly.

    Few corners keep the request's address short. Its edges are great circles, which leave a parallel by at most
    width^2 / 16 (radians), so the box is widened by that.
    """
    west, south, east, north = area.bounds
    margin = 0.01 + math.degrees(math.radians(east - west) ** 2 / 16)
    return box(
        max(west - margin, -180), max(south - margin, -90), min(east + margin, 180), min(north + margin, 90), ccw=True
    )
