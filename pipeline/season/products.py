"""What the products of a season are called and hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.export import variable_name
from pipeline.mosaic import Maps
from pipeline.passes import Pair
from pipeline.products import Band, Product

LEVEL_BANDS = (
    Band("median", "median coherence of the season's pairs at this baseline"),
    Band("mean", "their mean, weighted by the inverse variance that the estimator states"),
    Band("sigma", "standard error of that mean, widened where the pairs scatter more than sigma allows"),
    Band("count", "number of contributing pairs"),
)
DECAY_BANDS = (
    Band("tau", "decay time in days"),
    Band("tau_error", "standard error of tau in days"),
    Band("rho_inf", "lasting coherence"),
    Band("rho_inf_error", "standard error of rho_inf"),
    Band("rmse", "root-mean-square distance of the readings from the fitted curve"),
    Band("baselines", "number of baselines with data"),
)
QUALITY_BANDS = (Band("quality", "what the data can tell of the decay"),)

FOLDER = "products/season"


def season_text(season: str) -> str:
    """A season's name for titles."""
    return season.upper() if len(season) == 3 else season


def level_product(
    maps: Maps, season: str, track: str, baseline: int, polarisation: str, pairs: Sequence[Pair], estimator: str
) -> Product:
    """Coherence of a season at one baseline."""
    band = variable_name(polarisation)
    name = f"{season}-{track}-{baseline:03d}d-{band}"
    return Product(
        id=f"season-{name}",
        kind="season",
        path=f"{FOLDER}/{season}/{track}_{baseline:03d}d_{band}.tif",
        title=f"Coherence {polarisation} in {season_text(season)} at {baseline} days, {len(pairs)} pairs, "
        f"{_track_text(track)}",
        bands=LEVEL_BANDS,
        track=track,
        polarisation=polarisation,
        days=baseline,
        estimator=estimator,
        properties={"season": season, "mean_days": round(sum(pair.days for pair in pairs) / len(pairs), 3)},
        **_span(maps, pairs),
    )


def decay_products(
    maps: Maps, season: str, track: str, polarisation: str, pairs: Sequence[Pair], estimator: str
) -> tuple[Product, Product]:
    """The parameters of a season's decay, and what can be told of them."""
    band = variable_name(polarisation)
    common: dict[str, Any] = {
        "track": track,
        "polarisation": polarisation,
        "days": 0,
        "estimator": estimator,
        "properties": {"season": season},
        **_span(maps, pairs),
    }
    where = f"{polarisation} in {season_text(season)}, {_track_text(track)}"
    return (
        Product(
            id=f"decay-{season}-{track}-{band}",
            kind="decay",
            path=f"{FOLDER}/{season}/{track}_decay_{band}.tif",
            title=f"Decay of coherence {where}",
            bands=DECAY_BANDS,
            **common,
        ),
        Product(
            id=f"decay-quality-{season}-{track}-{band}",
            kind="decay-quality",
            path=f"{FOLDER}/{season}/{track}_decay_quality_{band}.tif",
            title=f"What the decay fit can tell, {where}",
            bands=QUALITY_BANDS,
            **common,
        ),
    )


def _track_text(track: str) -> str:
    return "all tracks" if track == "all" else track


def _span(maps: Maps, pairs: Sequence[Pair]) -> dict[str, Any]:
    def assets(role: str) -> tuple[str, ...]:
        names = {(pair.track, getattr(pair, role)) for pair in pairs}
        return tuple(sorted({asset for track, name in names for asset in maps.assets(track, name)}))

    return {
        "reference": min(pair.reference_start for pair in pairs).isoformat(),
        "secondary": max(pair.secondary_start for pair in pairs).isoformat(),
        "pairs": tuple(f"{pair.track}/{pair.id}" for pair in pairs),
        "reference_assets": assets("reference"),
        "secondary_assets": assets("secondary"),
    }
