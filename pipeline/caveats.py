"""What is known to be amiss with the passes of a plan, told before anything is spent on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from models import registry
from pipeline.config import EarthEngineSource
from pipeline.passes import Pass, Track
from pipeline.region import Region
from pipeline.sources.ee_radiometry import has_border_noise

# A pass that covers less of the area than this is told of; footprints are only rough.
WHOLE = 0.995


def find_caveats(region: Region, passes: Mapping[Track, Sequence[Pass]]) -> list[str]:
    """One sentence for each thing that a user of Earth Engine's images should know."""
    source = region.config.source
    if not isinstance(source, EarthEngineSource):
        return []
    found = list(_of_radiometry(source, region.config.estimator.name))
    for track, members in passes.items():
        found += _of_seams(track, members)
        if not source.border_noise:
            found += _of_borders(track, members)
        found += _of_cover(track, members, region)
    return found


def _of_radiometry(source: EarthEngineSource, estimator: str) -> Iterator[str]:
    expected = registry.radiometry_of(estimator)
    if expected not in {"", source.radiometry}:
        yield (
            f"estimator '{estimator}' was trained on {expected}, [source] radiometry is '{source.radiometry}': "
            "brightness doesn't enter it, only the texture around a pixel, to which a correction by terrain adds some"
        )


def _of_seams(track: Track, passes: Sequence[Pass]) -> Iterator[str]:
    joined = sum(len(item.slices) > 1 for item in passes)
    if joined:
        yield (
            f"{track}: {joined} of {len(passes)} passes are joined from several slices; along a seam, which lies "
            "elsewhere at every date, about a pixel may be missing"
        )


def _of_borders(track: Track, passes: Sequence[Pass]) -> Iterator[str]:
    noisy = sum(any(has_border_noise(piece) for piece in item.slices) for item in passes)
    if noisy:
        yield (
            f"{track}: {noisy} of {len(passes)} passes are from before March 2018 (IPF < 2.90) and hold noise at their "
            "borders that looks like data; [source] border_noise = true masks most of it"
        )


def _of_cover(track: Track, passes: Sequence[Pass], region: Region) -> Iterator[str]:
    area = region.area
    single = [item for item in passes if len(item.slices) == 1]
    shares = {item.id: item.footprint.intersection(area).area / area.area for item in single}
    partial = [name for name, share in shares.items() if share < WHOLE]
    if partial:
        worst = min(partial, key=lambda name: shares[name])
        yield (
            f"{track}: {len(partial)} of {len(passes)} passes have a single slice that doesn't cover the area, the "
            f"least {shares[worst]:.0%} of it ({worst}); pairs with them hold data only where both do"
        )
