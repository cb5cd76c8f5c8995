"""The page of a coverage study: one self-contained HTML file with table, figures and what stands behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline import __version__
from pipeline.coverage.catalog import ROOT
from pipeline.coverage.figures import MOST_ROWS, SHOWN, draw_maps, draw_revisit
from pipeline.coverage.ground import decay_text
from pipeline.coverage.sightings import Study
from pipeline.figures import data_url
from pipeline.pages import render
from pipeline.products import Product
from pipeline.quicklook import read_cog
from pipeline.region import Region
from pipeline.storage import Folder

ADDRESS = f"{ROOT}/coverage.html"
MAPS, REVISIT = f"{ROOT}/maps.png", f"{ROOT}/revisit.png"
# Longer side of a map in the figure, in pixels.
LONGEST = 300

COLUMNS = (
    ("passes_mean", "passes", ".1f"),
    ("ascending_mean", "ascending", ".1f"),
    ("descending_mean", "descending", ".1f"),
    ("gap_mean", "mean gap, d", ".2f"),
    ("gap_max", "longest gap, d", ".1f"),
    ("interval_median", "revisit of a track, d", ".1f"),
    ("coherence_median", "coherence", ".2f"),
    ("share_above", "land above threshold", ".0%"),
    ("phase_noise_median", "phase noise, rad", ".2f"),
    ("displacement_noise_median", "noise of a pair, mm", ".2f"),
    ("velocity_noise", "of a velocity, mm/a", ".2f"),
)


def write_page(
    region: Region,
    folder: Folder,
    studies: Sequence[Study],
    products: Sequence[Product],
    rows: Sequence[Mapping[str, Any]],
) -> str:
    """Write the page and its figures; gives the page's address."""
    images = {}
    for study, product in zip(studies, products, strict=True):
        names = [band.name for band in product.bands]
        address = folder.address(product.path)
        images[study.name] = {band: read_cog(address, names.index(band) + 1, LONGEST) for band, _, _ in SHOWN}
    title = region.config.title or region.name
    maps = draw_maps(images, region.area_on_grid, f"{title}: what passes cover")
    revisit = draw_revisit(region.config.coverage, rows)
    folder.write_bytes(MAPS, maps)
    folder.write_bytes(REVISIT, revisit)
    folder.write_bytes(ADDRESS, _render(region, studies, products, rows, maps, revisit))
    return folder.address(ADDRESS)


def _render(
    region: Region,
    studies: Sequence[Study],
    products: Sequence[Product],
    rows: Sequence[Mapping[str, Any]],
    maps: bytes,
    revisit: bytes,
) -> bytes:
    settings = region.config.coverage
    return render(
        "coverage.html.j2",
        title=region.config.title or region.name,
        area=region.area_on_grid.area / 1e6,
        spacing=region.config.grid.spacing,
        crs=str(region.grid.crs),
        start=studies[0].start,
        end=studies[0].end,
        maps=data_url(maps),
        revisit=data_url(revisit),
        shown=min(len(studies), MOST_ROWS),
        columns=[name for _, name, _ in COLUMNS],
        table=[[row["study"], row["land"], *(_text(row[key], form) for key, _, form in COLUMNS)] for row in rows],
        pairs=[f"{days} d" for days in settings.baselines],
        pair_table=[
            [row["study"], row["land"], *(_text(row[f"pairs_{days}_mean"], ".1f") for days in settings.baselines)]
            for row in rows
        ],
        settings=settings,
        decay=decay_text(settings.decay),
        studies=studies,
        files=[(product.title, product.path.removeprefix(f"{ROOT}/")) for product in products],
        bands=products[0].bands,
        incidence=any(study.views for study in studies),
        version=__version__,
    )


def _text(value: Any, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"
