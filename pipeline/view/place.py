"""Places of the map in degrees, and where north is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from odc.geo import CRS

from pipeline.region import DEGREES


@dataclass(frozen=True)
class Places:
    """The map's CRS, to say where its places are.

    Attributes
    ----------
    crs
        As any library names it.
    """

    crs: str

    @property
    def in_metres(self) -> bool:
        """Whether the map's units are metres."""
        return bool(CRS(self.crs).projected)

    def degrees(self, x: float, y: float) -> tuple[float, float]:
        """Longitude and latitude; NaN where the CRS has none for it."""
        lon, lat = CRS(self.crs).transformer_to_crs(DEGREES)(x, y)
        there = math.isfinite(lon) and math.isfinite(lat)
        return (float(lon), float(lat)) if there else (math.nan, math.nan)

    def text(self, x: float, y: float) -> str:
        """Latitude and longitude as a map says them, to about a metre."""
        lon, lat = self.degrees(x, y)
        if not math.isfinite(lon):
            return "outside the projection"
        return f"{abs(lat):.5f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.5f}° {'E' if lon >= 0 else 'W'}"

    def north(self, x: float, y: float, reach: float) -> float:
        """Angle in degrees, counted clockwise from the map's up, at which true north lies from a place.

        Parameters
        ----------
        reach
            Map units over which the direction is taken.
        """
        lon, lat = self.degrees(x, y)
        if not math.isfinite(lat):
            return 0.0
        further = np.sign(89.9 - lat) * min(0.01, reach)
        x1, y1 = DEGREES.transformer_to_crs(CRS(self.crs))(lon, lat + further)
        return float(math.degrees(math.atan2(x1 - x, y1 - y)))
