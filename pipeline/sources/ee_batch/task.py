"""One task: which pass and block it exports, the names it goes by, and the request that starts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from pipeline.config import EarthEngineSource
from pipeline.ledger import digest
from pipeline.passes import Pass, Slice
from pipeline.region import Region, crs_of
from pipeline.sources.ee_batch.blocks import Block
from pipeline.sources.ee_requests import SENTINEL, Part, expression, field_of, near_slices

# Raised where the expression changes, so that files made by an older cohmap aren't taken for those of a newer one.
FORMAT = 1

# Earth Engine's limit of a task's description is 100 characters; the rest of it takes 67.
MOST_OF_NAME = 30

# Settings that decide a pixel's value.
MADE_BY = ("collection", "resampling", "radiometry", "dem", "border_noise")


@dataclass(frozen=True, eq=False)
class Task:
    """A block of a pass, all bands of it.

    Attributes
    ----------
    window
        The block on the region's grid.
    pieces
        Slices of the pass near it; none, and there is nothing to export.
    fingerprint
        Digest of everything that decides its files' content and their place.
    folder
        Where its files go in the bucket.
    """

    region: str
    item: Pass
    block: Block
    window: GeoBox
    pieces: tuple[Slice, ...]
    bands: tuple[str, ...]
    fingerprint: str
    folder: str

    @property
    def key(self) -> str:
        """Its name in the ledger; the same whatever it is made from."""
        return f"{self.item.track}/{self.item.id}/{self.block.key}"

    def name(self, attempt: int) -> str:
        """What Earth Engine's list of tasks calls it, e.g. ``cohmap-my-valley-S1A_20211119T015858-b00-00-9f…-1``."""
        return f"cohmap-{self.region[:MOST_OF_NAME]}-{self.item.id}-{self.block.key}-{self.fingerprint}-{attempt}"

    def request_id(self, attempt: int) -> str:
        """By this Earth Engine knows a repeated start: letters, digits and dashes, at most 60."""
        return f"cohmap-{self.fingerprint}-{attempt}"

    def files(self, attempt: int) -> str:
        """How its files' names begin, after the folder."""
        return f"{self.block.key}-{self.fingerprint}-{attempt}"

    def request(self, attempt: int, settings: EarthEngineSource) -> dict[str, Any]:
        """What `ee.data.exportImage` takes; the client must have been started.

        The grid is given by its transform and its size in pixels, never by an outline and a scale.
        """
        import ee

        height, width = self.block.shape
        transform, crs = self.window.transform, crs_of(self.window)
        nowhere = np.empty((len(self.bands), 0, 0), np.float32)  # the pixels go to the bucket
        image = expression([Part(self.item.id, self.pieces, nowhere)], self.bands, settings)
        task = ee.batch.Export.image.toCloudStorage(
            image=image.select([field_of(0, band) for band in self.bands], list(self.bands)),
            description=self.name(attempt),
            bucket=settings.bucket,
            fileNamePrefix=f"{self.folder}/{self.files(attempt)}",
            dimensions=f"{width}x{height}",
            crs=f"EPSG:{crs.epsg}" if crs.epsg else crs.to_wkt(),
            crsTransform=[transform.a, transform.b, transform.c, transform.d, transform.e, transform.f],
            maxPixels=width * height,
            fileDimensions=settings.shard,
            fileFormat="GeoTIFF",
            formatOptions={"cloudOptimized": True, "noData": SENTINEL},
        )
        return dict(task.config or {})


def make_task(region: Region, item: Pass, block: Block, settings: EarthEngineSource) -> Task:
    """The task that exports a block of a pass."""
    window = region.grid[block.top : block.bottom, block.left : block.right]
    pieces = near_slices(item, window)
    folder = f"{folder_of(region, settings)}/{item.id}"
    return Task(
        region.name,
        item,
        block,
        window,
        pieces,
        region.bands,
        fingerprint=digest(
            FORMAT,
            [(piece.id, piece.version, piece.updated) for piece in pieces],
            region.bands,
            settings.model_dump(mode="json", include=set(MADE_BY)),
            [str(window.crs), list(window.affine)[:6], list(window.shape)],
            [settings.bucket, folder, settings.shard],
        ),
        folder=folder,
    )


def folder_of(region: Region, settings: EarthEngineSource) -> str:
    """The region's folder in the bucket."""
    return settings.prefix or f"cohmap/{region.name}"
