"""The embedded default: a simulated landscape under a series of passes, which knows its true coherence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from models.simulate.cover import BANDS
from models.simulate.scene import Scene
from pipeline import config
from pipeline.errors import CohmapError
from pipeline.passes import Pair, Pass, Slice, Track
from pipeline.region import crs_of, to_degrees
from pipeline.sources import FloatArray, Query

TRACK = Track("ascending", 15)
PLATFORM = "S1A"
# The impulse response must fit a block's margin, and a pixel's scatterers the memory.
SPACINGS = (5.0, 60.0)
# Incidence angle in the middle of the region, and its growth eastwards across a swath of Sentinel-1 IW.
ANGLE, ANGLE_PER_METRE = 39.0, 6e-5


class SimulatedSource:
    """One track over an endless landscape whose town and river mouth lie in the middle of the region's grid.

    Each pixel follows from the settings, the grid's spacing and the middle of the grid alone. A region enlarged on one
    side moves its middle, and with it the landscape.

    Parameters
    ----------
    settings
        Seed, passes, and after which pass the event happens.
    grid
        The region's grid; windows to be read are windows of it.
    start
        Start time (UTC) of the first pass.

    Raises
    ------
    CohmapError
        The grid's spacing is too fine or too coarse to simulate.
    """

    name = "simulated"
    requests = 2

    def __init__(self, settings: config.SimulatedSource, grid: GeoBox, start: dt.datetime) -> None:
        self._grid = grid
        self._settings = settings
        self._start = start
        interval = dt.timedelta(days=settings.interval_days)
        self._starts = tuple(start + number * interval for number in range(settings.passes))
        spacing = float(grid.affine.a)
        if not SPACINGS[0] <= spacing <= SPACINGS[1]:
            raise CohmapError(
                f"the simulated source works at a pixel spacing of {SPACINGS[0]:g} to {SPACINGS[1]:g} m, not "
                f"{spacing:g}; change grid.spacing"
            )
        height, width = grid.shape
        self._scene = Scene(
            settings.seed,
            [float(number * settings.interval_days) for number in range(settings.passes)],
            event=None if self._event is None else (self._event - start) / dt.timedelta(days=1),
            origin=(height / 2, width / 2),
            spacing=spacing,
        )

    def __reduce__(self) -> tuple[type[SimulatedSource], tuple[config.SimulatedSource, GeoBox, dt.datetime]]:
        return type(self), (self._settings, self._grid, self._start)

    @property
    def _event(self) -> dt.datetime | None:
        """When the event happens: halfway between two passes; None where no two passes see it."""
        after = self._settings.event_after_pass
        if not 1 <= after < len(self._starts):
            return None
        return self._starts[after - 1] + (self._starts[after] - self._starts[after - 1]) / 2

    @property
    def event_date(self) -> dt.date | None:
        """Day of the event (UTC), between the pass before and the pass after; None where there is no event."""
        return None if self._event is None else self._event.date()

    def search(self, query: Query) -> list[Slice]:
        """One slice a pass; every pass has VV, VH and the incidence angle.

        Raises
        ------
        CohmapError
            The query asks for other bands.
        """
        self._check_bands(query.bands)
        footprint = self._footprint()
        if not footprint.intersects(query.area):
            return []
        return [
            Slice(
                id=f"simulated-{self._settings.seed}-{start:%Y%m%dT%H%M%S}",
                order="1",
                platform=PLATFORM,
                start=start,
                track=TRACK,
                hrefs={band: f"simulated:{band}" for band in (*BANDS, "angle")},
                footprint=footprint,
            )
            for start in self._starts
            if query.covers(start)
        ]

    def read(self, item: Pass, window: GeoBox, bands: Sequence[str]) -> FloatArray:
        """Pixels of one pass: shape (len(bands), height, width), float32 linear power, degrees for "angle".

        Raises
        ------
        CohmapError
            There is no such pass or band, or the window is not one of the region's grid.
        """
        self._check_bands(bands)
        index = self._index(item.start)
        row, col = self._corner(window)
        height, width = window.shape
        return np.stack(
            [
                self._angle(col, (height, width))
                if band == "angle"
                else self._scene.read(index, band, row, col, height, width)
                for band in bands
            ]
        )

    def true_coherence(self, pair: Pair, polarisation: str, window: GeoBox) -> FloatArray:
        """Population coherence of a pair on a window: shape (height, width), float32 in [0, 1].

        That of the complex samples behind the pixels, over the resolution cell and with thermal noise: what an
        unbiased estimate of infinite precision would find.
        """
        self._check_bands((polarisation,))
        if polarisation == "angle":
            raise CohmapError("the incidence angle has no coherence; ask for VV or VH")
        first, second = self._index(pair.reference_start), self._index(pair.secondary_start)
        row, col = self._corner(window)
        height, width = window.shape
        return self._scene.true_coherence(first, second, polarisation, row, col, height, width)

    def event_mask(self, window: GeoBox) -> npt.NDArray[np.bool_]:
        """Where the event changed the ground: shape (height, width); False everywhere where there is none."""
        row, col = self._corner(window)
        height, width = window.shape
        return self._scene.event_mask(row, col, height, width)

    def _angle(self, col: int, shape: tuple[int, int]) -> FloatArray:
        east = (np.arange(col, col + shape[1]) + 0.5 - self._grid.shape[1] / 2) * float(self._grid.affine.a)
        angle = np.clip(ANGLE + ANGLE_PER_METRE * east, 20.0, 60.0).astype(np.float32)
        return np.broadcast_to(angle, shape).copy()

    def _footprint(self) -> BaseGeometry:
        # The landscape has no end; a margin keeps an outline that is straight in degrees from cutting the grid's edge.
        outline = box(*self._grid.boundingbox.bbox)
        degrees = to_degrees(shapely.segmentize(outline, outline.length / 64), crs_of(self._grid))
        return degrees.buffer(0.02).intersection(box(-180, -90, 180, 90))

    def _index(self, start: dt.datetime) -> int:
        try:
            return self._starts.index(start)
        except ValueError:
            raise CohmapError(
                f"the simulated source has no pass at {start:%Y-%m-%d %H:%M:%S}; its {len(self._starts)} passes run "
                f"from {self._starts[0]:%Y-%m-%d} every {self._settings.interval_days} days: plan the region again"
            ) from None

    def _corner(self, window: GeoBox) -> tuple[int, int]:
        """Row and column of the grid at which a window begins."""
        grid, own = self._grid.affine, window.affine
        col, row = (own.c - grid.c) / grid.a, (own.f - grid.f) / grid.e
        same = (own.a, own.b, own.d, own.e) == (grid.a, grid.b, grid.d, grid.e) and window.crs == self._grid.crs
        if not same or abs(col - round(col)) > 1e-6 or abs(row - round(row)) > 1e-6:
            raise CohmapError(
                "the simulated source reads windows of its own region's grid only; crop that grid instead of "
                "making a new one"
            )
        return round(row), round(col)

    def _check_bands(self, bands: Sequence[str]) -> None:
        unknown = [band for band in bands if band not in {*BANDS, "angle"}]
        if unknown:
            raise CohmapError(
                f"the simulated source has {' and '.join(BANDS)}, not {', '.join(unknown)}; change passes.polarisations"
            )
