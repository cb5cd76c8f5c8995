"""Earth Engine under a map: geemap's base maps, and the Sentinel-1 image of a date."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import EarthEngineSource as Settings
from pipeline.errors import CohmapError
from pipeline.region import Region
from pipeline.sources import Query
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_session import TOKEN_VARIABLE
from pipeline.sources.opening import open_source

if TYPE_CHECKING:
    import geemap

# Backscatter from calm water to towns, dB.
DECIBELS = {"min": -22, "max": 2}


def has_credentials(region: Region) -> bool:
    """Whether there are credentials to try, without asking anybody."""
    import ee

    key = getattr(region.config.source, "service_account_key", None)
    return bool(key or os.environ.get(TOKEN_VARIABLE)) or Path(ee.oauth.get_credentials_path()).is_file()


def earth_engine_map(
    region: Region, project: str | None, date: dt.date | None, last: dt.date, view: Mapping[str, Any]
) -> geemap.Map:
    """A `geemap.Map` with the Sentinel-1 image of a date over the region.

    Parameters
    ----------
    date
        Day (UTC) of the image. Where None the day `last` is tried, and the image left out if there is none.
    view
        Centre and zoom.

    Raises
    ------
    CohmapError
        Earth Engine refuses, or there is no image on `date`.
    """
    import ee
    import geemap

    source = open_source(region, project)
    if not isinstance(source, EarthEngineSource):
        source = EarthEngineSource(Settings(kind="earthengine"), project)
    band, day = region.config.passes.polarisations[0], date or last
    pieces = source.search(Query(region.area, day, day, (band,)))
    if date is not None and not pieces:
        raise CohmapError(f"Sentinel-1 took no image of {region.name} in {band} on {date}; choose another date")
    # the session is open already, in cohmap's way
    shown = geemap.Map(ee_initialize=False, draw_ctrl=False, measure_ctrl=False, **view)
    if pieces:
        images = [ee.Image(piece.id).select([band]) for piece in pieces]
        backscatter = ee.ImageCollection(images).mosaic().log10().multiply(10)
        try:
            shown.add_layer(backscatter, DECIBELS, f"Sentinel-1 {band} (dB), {day}")
        except ee.EEException as error:
            raise CohmapError(f"Earth Engine draws no map of the image of {day}: {error}") from None
    return shown
