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
from pipeline.region import crs_of, to_crs
from pipeline.sources import FloatArray, Query, ee_radiometry
from pipeline.sources.ee_records import ANGLE, read_record
from pipeline.sources.ee_session import HIGH_VOLUME, Patience, Session, TooLarge

log = logging.getLogger(__name__)

# Stands for "masked" on the way here, because what a masked pixel becomes in the answer is not documented. No power
# and no angle has this value, and float32 holds it exactly.
SENTINEL = -9999

# Limits of one computePixels request; a pixel counts with one byte of mask in every band.
MOST_BYTES = 48 * 2**20
MOST_PIXELS_A_SIDE = 32768

# A window of this many pixels a side that Earth Engine still finds too large won't get better by splitting.
SMALLEST_SPLIT = 64

# Images a page of the listing; the server may send fewer.
PAGE = 1000

# The footprint follows the valid pixels only roughly; a window this close to it still asks for the image.
FOOTPRINT_MARGIN = 5000.0

RESAMPLING = {"bilinear": "bilinear", "cubic": "bicubic"}


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
            url=(settings.url or HIGH_VOLUME).rstrip("/"),
            project=project or settings.project,
            service_account_key=settings.service_account_key,
            credentials=credentials,
            patience=patience or Patience(),
        )

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
        return sorted(found, key=lambda piece: (piece.start, piece.id))

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
        """Pixels of one pass on a window of the grid: one request, or several where Earth Engine finds it too large.

        Where slices overlap the pass's first one wins. Nearest neighbour unless the settings say otherwise, no
        speckle filter.

        Returns
        -------
        FloatArray
            Shape (len(bands), height, width), linear power (degrees for "angle"); NaN where masked, and where power
            is 0 or less or infinite, which no measured power is.

        Raises
        ------
        CohmapError
            Earth Engine refuses the request, or doesn't answer it in spite of every try.
        """
        pieces = [piece for piece in item.slices if _is_near(piece.footprint, window)]
        values = np.full((len(bands), *window.shape), np.nan, dtype=np.float32)
        if pieces:
            self._session.open()  # the client can't build an expression before
            self._fill(values, self._expression(pieces, bands), window, bands, item.id)
        values[values == SENTINEL] = np.nan
        for layer, band in zip(values, bands, strict=True):
            if band != ANGLE:
                layer[~((layer > 0) & (layer < np.inf))] = np.nan
        return values

    def _expression(self, pieces: Sequence[Slice], bands: Sequence[str]) -> Any:
        """The pass as an `ee.Image`: float32, sentinel where masked.

        `mosaic` puts the last image on top, hence the reversed order. Fill is masked before anything is interpolated
        or laid on top, and each image is resampled by itself: a mosaic has no pixel grid of its own.
        """
        import ee

        powers = [band for band in bands if band != ANGLE]
        mode = RESAMPLING.get(self.settings.resampling)
        images = []
        for piece in reversed(pieces):
            asset = ee.Image(piece.id)
            layers = []
            if powers:
                power = asset.select(powers)
                power = power.updateMask(power.gt(0))
                if self.settings.border_noise:
                    power = ee_radiometry.without_borders(power, asset, piece)
                power = power if mode is None else power.resample(mode)
                layers.append(ee_radiometry.as_asked(power, asset, piece, self.settings))
            if ANGLE in bands:
                # Its native pixels are 13 km wide: the nearest one would be up to half a degree off.
                layers.append(asset.select([ANGLE]).resample("bilinear"))
            floats = [layer.toFloat() for layer in layers]
            images.append(floats[0] if len(floats) == 1 else floats[0].addBands(floats[1]))
        masked = ee.Image.constant(SENTINEL).toFloat()  # a float, or unmask would promote the pixels to double
        return ee.ImageCollection(images).mosaic().unmask(masked, False)

    def _fill(self, values: FloatArray, image: Any, window: GeoBox, bands: Sequence[str], subject: str) -> None:
        """Write the window's pixels into `values`, in quarters where they don't fit into one request."""
        if _fits(window, len(bands)):
            try:
                _unpack(values, self._compute(image, window, subject), bands, subject)
            except TooLarge as error:
                if max(window.shape) <= SMALLEST_SPLIT:
                    raise CohmapError(
                        f"Earth Engine can't compute even {window.shape.y} x {window.shape.x} pixels of pass "
                        f"{subject}: {error}"
                    ) from None
                log.info("Earth Engine: %s x %s pixels of %s in quarters: %s", *window.shape, subject, error)
            else:
                return
        for rows in _halves(window.shape.y):
            for cols in _halves(window.shape.x):
                self._fill(values[:, rows, cols], image, window[rows, cols], bands, subject)

    def _compute(self, image: Any, window: GeoBox, subject: str) -> Any:
        import ee

        transform = window.transform
        crs = crs_of(window)
        grid = {
            "dimensions": {"width": window.shape.x, "height": window.shape.y},
            "affineTransform": {
                "scaleX": transform.a,
                "shearX": transform.b,
                "translateX": transform.c,
                "shearY": transform.d,
                "scaleY": transform.e,
                "translateY": transform.f,
            },
            **({"crsCode": f"EPSG:{crs.epsg}"} if crs.epsg else {"crsWkt": crs.to_wkt()}),
        }
        parameters = {"expression": image, "fileFormat": "NUMPY_NDARRAY", "grid": grid}
        return self._session.call(ee.data.computePixels, parameters, f"pass {subject}")


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


def _is_near(footprint: BaseGeometry, window: GeoBox) -> bool:
    outline = box(*window.boundingbox.bbox).buffer(FOOTPRINT_MARGIN)
    return bool(to_crs(footprint, crs_of(window)).intersects(outline))


def _fits(window: GeoBox, bands: int) -> bool:
    height, width = window.shape
    return height * width * bands * (4 + 1) <= MOST_BYTES and max(height, width) <= MOST_PIXELS_A_SIDE


def _halves(length: int) -> list[slice]:
    middle = length // 2
    return [slice(0, middle), slice(middle, length)] if middle else [slice(0, length)]


def _unpack(values: FloatArray, answer: Any, bands: Sequence[str], subject: str) -> None:
    """Copy a structured array, one field a band, into ``values[band, row, column]``.

    Raises
    ------
    CohmapError
        The answer isn't what was asked for.
    """
    wanted = (set(bands), values.shape[1:])
    fields = answer.dtype.fields or {}
    if (set(fields), answer.shape) != wanted or any(kind.kind != "f" for kind, *_ in fields.values()):
        raise CohmapError(
            f"Earth Engine sent {answer.dtype} pixels of shape {answer.shape} for pass {subject} instead of floating "
            f"bands {', '.join(bands)} of shape {values.shape[1:]}; if it does so again, report it with this sentence"
        )
    for index, band in enumerate(bands):
        values[index] = answer[band]
