"""From a region's settings to the source they name."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from pipeline.config import ArchiveSource, EarthEngineSource, SimulatedSource
from pipeline.region import Region
from pipeline.sources import Source

# The simulated satellite's first overflight where the region names no start.
SIMULATED_START = dt.datetime(2023, 1, 4, 17, 14, 12, tzinfo=dt.UTC)


def open_source(region: Region, project: str | None = None) -> Source:
    """The region's source, ready to search; each one's libraries are loaded only here.

    Raises
    ------
    CohmapError
        The source can't be used as the region sets it up.
    """
    settings = region.config.source
    match settings:
        case SimulatedSource():
            from pipeline.sources import simulated

            return simulated.SimulatedSource(settings, region.grid, SIMULATED_START)
        case ArchiveSource():
            from pipeline.sources import archive

            return archive.ArchiveSource(settings.model_copy(update={"path": _beside(region, settings.path)}))
        case EarthEngineSource():
            from pipeline.sources import earthengine

            key = settings.service_account_key
            located = settings.model_copy(update={"service_account_key": key and _beside(region, key)})
            images = earthengine.EarthEngineSource(located, project)
            if settings.mode == "interactive":
                return images
            from pipeline.sources.ee_batch.source import BatchSource

            mount = settings.mount and _beside(region, settings.mount)
            return BatchSource(images, located.model_copy(update={"mount": mount}))


def _beside(region: Region, path: str) -> str:
    """A relative path counts from the region file, as area.geojson does."""
    if "://" in path or region.path is None:
        return path
    return str(region.path.parent / Path(path).expanduser())
