"""Outlines of a plan's passes as GeoJSON: for the map before a run, and for any GIS."""

from __future__ import annotations

from collections import Counter
from typing import Any

from shapely.geometry import mapping

from pipeline.plan import Plan

FOOTPRINTS = "passes.geojson"


def footprints(plan: Plan) -> dict[str, Any]:
    """A feature collection in EPSG:4326: one feature a pass, its slices as one outline, in order of track and time.

    Properties: id, track, direction, relative_orbit, platform, start (ISO 8601, UTC), slices (how many), pairs (in how
    many of the region's pairs the pass is).
    """
    pairs = Counter(
        (track, end)
        for track, pairs in plan.pairs.items()
        for pair in pairs
        for end in (pair.reference, pair.secondary)
    )
    features = [
        {
            "type": "Feature",
            "id": f"{track}/{item.id}",
            "geometry": mapping(item.footprint),
            "properties": {
                "id": item.id,
                "track": str(track),
                "direction": track.direction,
                "relative_orbit": track.relative_orbit,
                "platform": item.platform,
                "start": item.start.isoformat(),
                "slices": len(item.slices),
                "pairs": pairs[track, item.id],
            },
        }
        for track, passes in plan.passes.items()
        for item in passes
    ]
    return {"type": "FeatureCollection", "features": features}
