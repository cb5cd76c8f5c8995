"""The coverage study of a region: listing and scenarios, their maps, the table, the page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.config import GridSettings
from pipeline.coverage.catalog import ROOT, write_catalog
from pipeline.coverage.footprints import read_footprints
from pipeline.coverage.ground import Ground, decay_text
from pipeline.coverage.maps import Mapper, blocks_of, map_bands
from pipeline.coverage.page import write_page
from pipeline.coverage.scenarios import study_scenario
from pipeline.coverage.settings import Coverage
from pipeline.coverage.sightings import SOME_DAY, YEAR, Study, study_listing
from pipeline.coverage.summary import as_csv
from pipeline.errors import CohmapError
from pipeline.ledger import Ledger, digest
from pipeline.products import Product, index_name, load_index, save_index, write_cog
from pipeline.progress import Progress
from pipeline.region import Region
from pipeline.sources import Query, Source
from pipeline.storage import Folder

STAGE = "coverage"
TABLE_CSV, TABLE_JSON = f"{ROOT}/coverage.csv", f"{ROOT}/coverage.json"
# The finest that maps are by default, metres.
FINEST = 100.0
# A grid's edges lie on whole multiples of this many pixels; small, so that coarse maps don't reach far.
ALIGNED = 64


@dataclass(frozen=True)
class Results:
    """What a coverage study has made."""

    studies: tuple[Study, ...]
    products: tuple[Product, ...]
    rows: tuple[dict[str, Any], ...]
    page: str


def coverage(region: Region, folder: Folder, progress: Progress, open_source: Callable[[], Source]) -> Results:
    """Study what the settings name: maps that are there and made from the same are kept.

    Parameters
    ----------
    open_source
        Called only where the source is asked for its passes.

    Raises
    ------
    CohmapError
        Nothing to study, or what is named can't be read.
    """
    settings = region.config.coverage
    studied = _region_of_maps(region, settings)
    ground = Ground(studied, settings)
    studies = find_studies(region, settings, open_source)
    _check_names(studies)
    made, rows = [], []
    with Ledger(folder, STAGE) as ledger:
        marks = {study.id: _fingerprint(study, studied, settings) for study in studies}
        fresh = [study for study in studies if not _is_done(ledger, folder, study, marks[study.id])]
        progress.start(
            "coverage", len(studies) * len(blocks_of(studied)), (len(studies) - len(fresh)) * len(blocks_of(studied))
        )
        for study in studies:
            product = _product(study, studied, settings)
            if study in fresh:
                mapper = Mapper(study, studied, settings, ground, progress)
                write_cog(folder, product, studied.grid, mapper.blocks())
                ledger.record(study.id, marks[study.id], "", rows=mapper.summary.rows())
            made.append(product)
            rows += (ledger.get(study.id) or {})["rows"]
    _remove_others(folder, made)
    folder.write_bytes(TABLE_CSV, as_csv(rows).encode())
    folder.write_json(TABLE_JSON, {"cohmap": __version__, "decay": decay_text(settings.decay), "rows": rows})
    save_index(folder, STAGE, made)
    write_catalog(studied, folder, made)
    page = write_page(studied, folder, studies, made, rows)
    return Results(tuple(studies), tuple(made), tuple(rows), page)


def find_studies(region: Region, settings: Coverage, open_source: Callable[[], Source]) -> list[Study]:
    """The listing, if it is asked for, and the scenarios."""
    if not settings.listing and not settings.scenarios:
        raise CohmapError("[coverage] has listing = false and no scenarios: there is nothing to study")
    rule = region.config.passes
    start, end = settings.start or rule.start, settings.end or rule.end
    southern = region.area.centroid.y < 0
    studies = []
    if settings.listing:
        query = Query(region.area, start, end, region.bands)
        if settings.footprints is not None:
            path = _beside(region, settings.footprints)
            found = [
                one
                for one in read_footprints(path)
                if query.covers(one.start) and one.footprint.intersects(region.area)
            ]
            where = f"footprints {path.name}"
        else:
            source = open_source()
            found, where = source.search(query), f"source '{source.name}'"
        wanted = [one for one in found if region.wants(one.track)]
        studies.append(study_listing(wanted, where, start, end, southern=southern))
    first = start or (studies[0].start if studies else SOME_DAY)
    days = (end - first).days + 1 if end else YEAR
    if days < 1:
        raise CohmapError(f"[coverage] scenarios would fly from {first} to {end}: give a start before the end")
    return studies + [study_scenario(scenario, region.area, first, days) for scenario in settings.scenarios]


def _region_of_maps(region: Region, settings: Coverage) -> Region:
    """The region on the grid of its coverage maps."""
    own = region.config.grid
    spacing = settings.spacing or max(own.spacing, FINEST)
    grid = GridSettings(crs=own.crs, spacing=spacing, tile=ALIGNED, anchor=own.anchor)
    return replace(region, config=region.config.model_copy(update={"grid": grid}))


def _check_names(studies: list[Study]) -> None:
    names = [study.id for study in studies]
    for study in studies:
        if names.count(study.id) > 1:
            raise CohmapError(
                f"[coverage] scenario {study.name!r} would be written to {study.id}.tif, as another would; rename it"
            )


def _beside(region: Region, path: str) -> Path:
    return (region.path.parent if region.path else Path()) / Path(path).expanduser()


def _path(study: Study) -> str:
    return f"{ROOT}/maps/{study.id}.tif"


def _product(study: Study, region: Region, settings: Coverage) -> Product:
    facts = {
        **{name.replace(" ", "_"): value for name, value in study.facts.items()},
        "study": study.name,
        "decay": decay_text(settings.decay),
        "looks": settings.looks,
        "wavelength": settings.wavelength,
    }
    return Product(
        id=f"coverage-{study.id}",
        kind="coverage",
        path=_path(study),
        title=f"Coverage of {region.config.title or region.name}: {study.name}",
        bands=map_bands(settings),
        track="all",
        polarisation="",
        reference=_utc(study.start),
        secondary=_utc(study.end),
        days=0,
        pairs=(),
        estimator="",
        properties=facts,
    )


def _utc(day: dt.date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def _fingerprint(study: Study, region: Region, settings: Coverage) -> str:
    """Of all that a map is made from; rasters by name, size and time."""
    sightings = [(str(one.track), one.outline.wkt, one.days) for one in study.sightings]
    given = (settings.land, settings.decay.tau, settings.decay.rho_inf, settings.decay.raster)
    files = []
    for name in given:
        path = _beside(region, name) if isinstance(name, str) else None
        if path is not None and path.is_file():
            files.append((str(name), path.stat().st_size, path.stat().st_mtime_ns))
    rules = settings.model_dump(mode="json", exclude={"scenarios", "footprints", "listing"})
    grid = (str(region.grid.crs), list(region.grid.affine)[:6], list(region.grid.shape), region.area.wkt)
    return digest(
        __version__, study.name, str(study.start), study.days, sightings, dict(study.facts), files, rules, grid
    )


def _is_done(ledger: Ledger, folder: Folder, study: Study, fingerprint: str) -> bool:
    return ledger.matches(study.id, fingerprint) and folder.exists(_path(study))


def _remove_others(folder: Folder, made: list[Product]) -> None:
    """Remove maps of studies that are no longer asked for."""
    if folder.exists(index_name(STAGE)):
        kept = {product.path for product in made}
        for product in load_index(folder, STAGE):
            if product.path not in kept:
                folder.remove(product.path)
