"""Sentinel-1's reference orbit and the swath of its IW mode, as `models.orbit` can say them.

Node: from the state vectors of twelve S1A passes of relative orbit 5 (2018, GAMMA parameter files), whose nodes lie
within .002 degrees of each other. Edges of IW: fitted to the footprint of one GRD slice (2019-12-02, relative orbit
175), with that node; the nominal edges are 29.1 and 46.0 degrees (ESA). The incidence angle in the middle of the
twelve passes' scenes comes out within .14 degrees.
"""

from __future__ import annotations

import math
from functools import lru_cache

from models.orbit.circular import RepeatOrbit, repeat_orbit

DAYS, REVOLUTIONS = 12, 175
NODE_LONGITUDE = 0.139
"""Of relative orbit 1, degrees east."""
NEAR, FAR = 30.4, 45.6
"""Incidence angles at the edges of IW's swath, degrees."""
FREQUENCY = 5.405e9
"""Hz, centre frequency (ESA, Sentinel-1 product specification)."""
WAVELENGTH = 299792458.0 / FREQUENCY


@lru_cache(maxsize=1)
def sentinel1_orbit() -> RepeatOrbit:
    """Sentinel-1's orbit: 175 revolutions in 12 days, sun-synchronous."""
    return repeat_orbit(REVOLUTIONS, DAYS, node_longitude=math.radians(NODE_LONGITUDE))
