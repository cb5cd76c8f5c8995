"""The archive source: finds slices by name or STAC, and mosaics the rasters of a pass onto a window."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from pipeline import config
from pipeline.addresses import local_path
from pipeline.errors import CohmapError
from pipeline.passes import Pass, Slice
from pipeline.sources import Query
from pipeline.sources.archive import files, names, rasters, scenes, stac
from pipeline.sources.archive.scenes import Scene

FloatArray = npt.NDArray[np.float32]

_REMOTE_REQUESTS = 16
# pixels added around a window before asking whether a raster touches it: outlines are polygons, not curves
_MARGIN = 4.0


class ArchiveSource:
    """Rasters on disk or object storage.

    Parameters
    ----------
    settings
        The region file's ``[source]`` table with ``kind = "archive"``.

    Raises
    ------
    CohmapError
        The settings don't go together.

    Notes
    -----
    Pixels: linear power. NaN, infinity, the file's nodata value and mask, `settings.nodata`, and power of 0 or less
    are no data.
    """

    name = "archive"

    def __init__(self, settings: config.ArchiveSource) -> None:
        self.settings = settings
        self.requests = _REMOTE_REQUESTS if local_path(settings.path) is None else min(8, os.cpu_count() or 1)
        self._layout = None if settings.layout == "stac" else names.layout(settings)
        self._outlines: dict[str, BaseGeometry] = {}
        self._require_coherent()

    def _require_coherent(self) -> None:
        if self.settings.layout == "stac":
            names.declared_units(self.settings)
        if self.settings.pattern is not None and self.settings.layout != "pattern":
            raise CohmapError(
                f"source.pattern goes with source.layout = 'pattern', not '{self.settings.layout}'; "
                "remove one of the two"
            )
        known = self.settings.layout in {"opera-rtc", "hyp3-rtc"}
        if known and self.settings.units is not None:
            raise CohmapError(
                f"source.units = '{self.settings.units}' does not go with source.layout = '{self.settings.layout}', "
                "whose names tell the units; remove source.units"
            )

    def search(self, query: Query) -> list[Slice]:
        """Slices that meet the query, sorted by time; see `pipeline.sources.Source`.

        Raises
        ------
        CohmapError
            The archive is not there, no file fits the layout, no slice has the bands, products of different kind are
            mixed, a header can't be read, or nothing tells a slice's platform or track.
        """
        found = self._scenes()
        in_time = [scene for scene in found if query.covers(scene.start)]
        complete = [scene for scene in in_time if set(query.bands) <= set(scene.hrefs)]
        if in_time and not complete:
            raise CohmapError(self._lacking(query.bands, in_time))
        near = [s for s in complete if s.outline is None or s.outline.intersects(query.area)]
        candidates = scenes.newest(near)
        outlines = self._outline_all([scene.hrefs[query.bands[0]] for scene in candidates])
        inside = [
            (scene, outline)
            for scene, outline in zip(candidates, outlines, strict=True)
            if outline.intersects(query.area) and not outline.touches(query.area)
        ]
        scenes.require_one_kind((scene for scene, _ in inside), self.settings.path)
        slices = [self._slice(scene, outline) for scene, outline in inside]
        return sorted(slices, key=lambda piece: (piece.start, piece.order, piece.id))

    def read(self, item: Pass, window: GeoBox, bands: Sequence[str]) -> FloatArray:
        """Pixels of a pass; where slices overlap the first valid one in the pass's order wins.

        Parameters, result and thread safety as in `pipeline.sources.Source`. Rasters that don't touch the window are
        not opened. Slices may have different CRS.

        Raises
        ------
        CohmapError
            A band is not there, or a raster can't be used.
        """
        result = np.full((len(bands), *window.shape), np.nan, dtype=np.float32)
        outline = rasters.window_outline(window, margin=_MARGIN)
        touching = [piece for piece in item.slices if piece.footprint.intersects(outline)]
        for band, target in zip(bands, result, strict=True):
            for piece in touching:
                missing = np.isnan(target)
                if not missing.any():
                    break
                if band not in piece.hrefs:
                    raise CohmapError(f"{piece.id} has no {band}; it has {', '.join(sorted(piece.hrefs))}")
                href = piece.hrefs[band]
                values = rasters.read(href, window, self._reading(href))
                target[missing] = values[missing]
        return result

    def _reading(self, href: str) -> rasters.Reading:
        known = self.settings.layout in {"opera-rtc", "hyp3-rtc"}
        return rasters.Reading(
            units=names.declared_units(self.settings) if self._layout is None else self._layout.units(href),
            declared=not known,
            nodata=self.settings.nodata,
            resampling=self.settings.resampling,
        )

    def _scenes(self) -> list[Scene]:
        if self._layout is None:
            return stac.scenes(self.settings.path, self.requests)
        entries = files.listing(self.settings.path, names.RASTER_SUFFIXES)
        gathered: dict[str, Scene] = {}
        for entry in entries:
            named = self._layout.parse(entry.path)
            if named is None:
                continue
            scene = gathered.get(named.scene.id, named.scene)
            if named.polarisation not in scene.hrefs:  # else a copy of the file in another folder
                hrefs = {**scene.hrefs, named.polarisation: entry.href}
                updated = named.scene.updated or max(scene.updated, entry.updated)
                gathered[scene.id] = replace(scene, hrefs=hrefs, updated=updated)
        if not gathered:
            there = f"{len(entries)} .tif files, e.g. {entries[0].path}" if entries else "no .tif file"
            raise CohmapError(
                f"source.path {self.settings.path} holds {there}, but none named as source.layout = "
                f"'{self.settings.layout}' expects: {self._layout.example}"
            )
        return list(gathered.values())

    def _lacking(self, bands: Sequence[str], in_time: Sequence[Scene]) -> str:
        there = sorted({" and ".join(sorted(scene.hrefs)) for scene in in_time})
        text = f"source.path {self.settings.path} has no slice with {' and '.join(bands)}; there are slices with "
        text += ", with ".join(there)
        if "angle" in bands:
            return text + "; an archive has no incidence angle: set passes.angle = false"
        return text + "; change passes.polarisations"

    def _outline_all(self, hrefs: Sequence[str]) -> list[BaseGeometry]:
        """Outlines from the files' headers: opened once each, some at a time."""
        unknown = [href for href in hrefs if href not in self._outlines]
        with ThreadPoolExecutor(self.requests) as pool:
            self._outlines.update(zip(unknown, pool.map(rasters.outline_of, unknown), strict=True))
        return [self._outlines[href] for href in hrefs]

    def _slice(self, scene: Scene, outline: BaseGeometry) -> Slice:
        platform, track = scenes.identify(scene, self.settings)
        return Slice(
            id=scene.id,
            order=scene.order,
            platform=platform,
            start=scene.start,
            track=track,
            hrefs=scene.hrefs,
            footprint=outline,
            version=scene.version,
            updated=scene.updated,
        )
