"""Score the seasonal maps against tiles of the global coherence set that the user has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from rasterio.errors import RasterioError

from models.decay.agreement import Agreement, agreement
from pipeline.addresses import open_raster
from pipeline.errors import CohmapError
from pipeline.figures import DPI, INK, to_png
from pipeline.products import Product
from pipeline.season.exchange import TileName, parse_name, season_products, warped, widest
from pipeline.storage import Folder

FOLDER = "products/season-compare"
FloatArray = npt.NDArray[np.float32]
# Pixels at least; of fewer, no score means anything.
FEWEST = 30


@dataclass(frozen=True)
class Score:
    """How one map agrees with one tile, and where the picture of it is."""

    name: str
    found: Agreement
    picture: str

    @property
    def sentence(self) -> str:
        """In words."""
        each = self.found
        return (
            f"{self.name}: over {each.pixels:,} pixels ours minus theirs has bias {each.bias:+.3f}, "
            f"RMSE {each.rmse:.3f}, r {each.correlation:.2f}; {self.picture} shows it"
        )


def compare_tiles(folder: Folder, references: Sequence[str]) -> list[Score]:
    """Score our map of each reference's season, polarisation and metric against it; writes figures and scores.

    Raises
    ------
    CohmapError
        A reference is not named as the set's tiles are, can't be read, or has no like among our maps.
    """
    return [_compare(folder, reference) for reference in references]


def _compare(folder: Folder, reference: str) -> Score:
    name = parse_name(reference)
    product = _like(folder, name, reference)
    try:
        with open_raster(reference) as dataset:
            numbers = dataset.read(1)
            # a file's own scale counts where it states one
            scale = dataset.scales[0] if dataset.scales[0] != 1.0 else 1.0 / name.scale
            theirs = np.where(numbers == 0, np.nan, numbers * scale).astype(np.float32)
            ours = warped(folder, product, name, dataset.transform, dataset.shape, dataset.crs)
    except (RasterioError, OSError) as error:
        raise CohmapError(f"--compare {reference} can't be read: {error}") from None
    found = agreement(ours, theirs)
    if found.pixels < FEWEST:
        raise CohmapError(
            f"--compare {reference} shares only {found.pixels} pixels with our map {product.path}; give the tile in "
            "which the region lies"
        )
    stem = PurePosixPath(reference).name.removesuffix(".tif")
    picture = f"{FOLDER}/{stem}.png"
    folder.write_bytes(picture, _draw(ours, theirs, name, found))
    facts = {
        "reference": reference,
        "product": product.path,
        "pixels": found.pixels,
        "bias": round(found.bias, 6),
        "rmse": round(found.rmse, 6),
        "r": round(found.correlation, 6) if math.isfinite(found.correlation) else None,
    }
    folder.write_json(f"{FOLDER}/{stem}.json", facts)
    return Score(stem, found, folder.address(picture))


def _like(folder: Folder, name: TileName, reference: str) -> Product:
    kind, days, _ = name.layer
    products = widest(season_products(folder))
    for product in products:
        facts = (product.kind, product.days, product.properties["season"], product.polarisation.lower())
        if facts == (kind, days, name.season, name.band):
            return product
    there = sorted({f"{p.properties['season']} {p.polarisation} {p.days or 'decay'}" for p in products})
    raise CohmapError(
        f"--compare {reference}: no seasonal map of ours is like it; there are {', '.join(there)} (season, "
        "polarisation, baseline)"
    )


def _draw(ours: FloatArray, theirs: FloatArray, name: TileName, found: Agreement) -> bytes:
    """Both maps cut to where they overlap, and one against the other."""
    both = np.isfinite(ours) & np.isfinite(theirs)
    rows, cols = np.flatnonzero(both.any(axis=1)), np.flatnonzero(both.any(axis=0))
    cut = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    top = float(np.percentile(theirs[both], 99)) if name.metric == "tau" else 1.0
    top = float(np.percentile(theirs[both], 99.5)) if name.metric == "rmse" else top
    figure = Figure(figsize=(11, 3.6), dpi=DPI, layout=ConstrainedLayoutEngine())
    axes = figure.subplots(1, 3)
    for place, values, title in ((axes[0], ours, "cohmap"), (axes[1], theirs, "reference")):
        image = place.imshow(values[cut], vmin=0, vmax=top, cmap="viridis", interpolation="nearest")
        place.set_title(f"{title}: {name}", fontsize=9, color=INK)
        place.set(xticks=[], yticks=[])
    unit = " (days)" if name.metric == "tau" else ""
    figure.colorbar(image, ax=list(axes[:2]), label=f"{name.metric}{unit}", shrink=0.9)
    edges = np.linspace(0, top, 61)
    axes[2].hist2d(theirs[both], ours[both], bins=[edges, edges], cmin=1, cmap="magma_r")
    axes[2].plot([0, top], [0, top], color="#2a788e", linewidth=1)
    axes[2].set(xlabel=f"reference{unit}", ylabel=f"cohmap{unit}", aspect="equal")
    title = f"bias {found.bias:+.3f}, RMSE {found.rmse:.3f}, r {found.correlation:.2f}, {found.pixels:,} pixels"
    axes[2].set_title(title, fontsize=9, color=INK)
    return to_png(figure)
