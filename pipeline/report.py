"""The page a person looks at: one self-contained HTML file with maps, series, pairs, settings, provenance and limits.

Everything is inlined, so it opens offline and can be mailed; nothing depends on the clock, so an identical run writes
an identical page. Links to maps and catalogue are relative to the output folder, in which the page lies.
"""

from __future__ import annotations

import datetime as dt
import platform
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from pipeline import __version__, catalog, plates, sampling
from pipeline.change.section import change_section
from pipeline.change.settings import Change
from pipeline.closeups import close_ups
from pipeline.figures import degrees_text, draw_by_baseline, draw_over_time
from pipeline.mosaic import Maps, open_maps
from pipeline.pages import percent, render
from pipeline.plates import Plate, by_kind
from pipeline.products import Product, load_products
from pipeline.quicklook import MapImage, read_cog
from pipeline.region import SHIPPED, Region
from pipeline.sampling import PairMaps, PairSummary, Place
from pipeline.season.plates import season_section
from pipeline.settings import as_toml
from pipeline.sources import Source
from pipeline.storage import Folder
from pipeline.truth import KnowsTruth, Verdict, compare_with_truth

ADDRESS, SUMMARY = "report.html", "summary.html"
LIBRARIES = ("numpy", "scipy", "torch", "xarray", "zarr", "dask", "odc-geo", "rasterio", "rio-cogeo", "pystac")
# Below this share of tiles with data, the page says so at its top.
WELL_COVERED = 0.9
# Places given or chosen beyond this many make a page nobody scrolls through.
MOST_PLACES = 12


def write_report(region: Region, folder: Folder, source: Source | None = None) -> str:
    """Write the page of a region's results, and a summary of it that prints on one sheet.

    Parameters
    ----------
    source
        Where it knows the true coherence, as the simulated one does, the page shows the error against it.

    Returns
    -------
    address
        Path or URI of the page.

    Raises
    ------
    CohmapError
        There are no products yet.
    """
    products = load_products(folder)
    maps = open_maps(region, folder)
    truth = compare_with_truth(maps, products, source) if isinstance(source, KnowsTruth) else None
    content = describe(maps, products, truth)
    folder.write_bytes(SUMMARY, render("summary.html.j2", **content))
    folder.write_bytes(ADDRESS, render("report.html.j2", **content))
    return folder.address(ADDRESS)


def describe(maps: Maps, products: Sequence[Product], truth: Verdict | None) -> dict[str, Any]:
    """What the page, and the summary that prints on one sheet, are made of."""
    region = maps.region
    means = sorted(by_kind(products, "mean"), key=lambda p: (_band_order(region, p.polarisation), p.track, p.days))
    scores, masks = by_kind(products, "change"), by_kind(products, "change-mask")
    pairs = by_kind(products, "coherence")
    reader = PairMaps(maps)
    rows = [reader.summary(pair) for pair in maps.pairs]
    shown = means or [pair for pair in pairs if pair.pairs[0] == pairs[0].pairs[0]]
    places, chosen = _places(maps, shown, scores)
    spots = close_ups(maps, shown)
    # maps of a few islands in a wide sea look all alike: there, one is enough beside the close-ups
    large = shown[: 1 if spots.is_all else plates.MOST_MEANS]
    return {
        "title": catalog.title_of(region),
        "region": region,
        "lead": _lead(maps, products[0].estimator.split()[0]),
        "attribution": catalog.attribution(maps),
        "simulated": region.config.source.kind == "simulated",
        "facts": _facts(maps),
        "findings": _findings(rows, scores),
        "backscatter": plates.backscatter_plates(maps),
        "means": plates.mean_plates(maps, large),
        "means_are_pairs": not means,
        "more_means": [(product.title, product.path) for product in shown[len(large) :]],
        "sigma": plates.sigma_plate(maps, maps.pairs[0]),
        "count": plates.count_plate(maps, means[0]) if means else None,
        "spots": spots.spots,
        "gallery": plates.pair_plates(maps, pairs),
        "gallery_bar": plates.coherence_bar(),
        "pair_products": len(pairs),
        "change": plates.change_plates(maps, scores, masks),
        "comparisons": _comparisons(scores, masks),
        "season": season_section(maps.folder, products),
        "areas": change_section(maps.folder, products),
        "rule": region.config.change,
        "over_time": _over_time(maps, rows),
        "by_baseline": _by_baseline(rows),
        "places": _series(reader, places),
        "places_chosen": chosen,
        "truth": truth,
        "rows": rows,
        "files": _files(pairs),
        "bands": region.config.passes.polarisations,
        "settings": as_toml(region.config.model_dump(mode="json", exclude_none=True)),
        "provenance": _provenance(maps),
        "passes": _passes(maps),
        "command": _command(maps),
        "estimator": products[0].estimator,
        "page": ADDRESS,
        "summary": SUMMARY,
        "notes": maps.stacks.notes,
        "tiles_sampled": sampling.TILES,
    }


def _band_order(region: Region, polarisation: str) -> int:
    return [str(band) for band in region.config.passes.polarisations].index(polarisation)


def _days_text(maps: Maps) -> str:
    days = sorted({pair.days for pair in maps.pairs})
    if len(days) > 6:
        return f"{days[0]} to {days[-1]} days"
    return f"{', '.join(str(n) for n in days[:-1])} and {days[-1]} days" if len(days) > 1 else f"{days[0]} days"


def _paired_passes(maps: Maps) -> set[tuple[str, str]]:
    return {(str(pair.track), name) for pair in maps.pairs for name in (pair.reference, pair.secondary)}


def _span(maps: Maps) -> tuple[dt.datetime, dt.datetime]:
    return min(pair.reference_start for pair in maps.pairs), max(pair.secondary_start for pair in maps.pairs)


def _lead(maps: Maps, estimator: str) -> str:
    region = maps.region
    first, last = _span(maps)
    simulated = region.config.source.kind == "simulated"
    centre = region.area.centroid
    tracks = ", ".join(str(track) for track in maps.stacks.pairs)
    return (
        f"InSAR coherence of {region.area_on_grid.area / 1e6:,.0f} km² around {degrees_text(centre.x, centre.y)}, from "
        f"{len(_paired_passes(maps))} {'simulated' if simulated else 'Sentinel-1'} passes between "
        f"{first.day} {first:%B %Y} and {last.day} {last:%B %Y} on track {tracks}: "
        f"{len(maps.pairs)} pairs at {_days_text(maps)}. Estimated with {estimator} from the detected images alone; "
        "their phase was never used."
    )


def _facts(maps: Maps) -> list[tuple[str, str]]:
    region = maps.region
    tracks = len(maps.stacks.pairs)
    return [
        (f"{len(_paired_passes(maps))}", "passes"),
        (f"{len(maps.pairs)}", "pairs"),
        (f"{tracks}", "track" if tracks == 1 else "tracks"),
        (f"{len(region.tiles)}", f"tiles of {region.config.grid.tile} px"),
        (f"{region.config.grid.spacing:g} m", f"pixels, {region.grid.crs}"),
        (" ".join(region.config.passes.polarisations), "polarisations"),
    ]


def _files(products: Sequence[Product]) -> dict[str, dict[str, str]]:
    """Paths of the pairs' maps, by pair and polarisation."""
    files: dict[str, dict[str, str]] = {}
    for product in products:
        files.setdefault(product.pairs[0], {})[product.polarisation] = product.path
    return files


def _findings(rows: Sequence[PairSummary], scores: Sequence[Product]) -> list[str]:
    days = min(row.pair.days for row in rows)
    like = [row.spread for row in rows if row.pair.days == days]
    known = {band: [spread[band].value for spread in like if spread[band].is_known] for band in like[0]}
    medians = [f"{np.median(values):.2f} in {band}" for band, values in known.items() if values]
    sentences = [f"At {days} days, the typical pair has a median coherence of {' and '.join(medians)}."]
    if not medians:
        sentences = ["No pair has data."]
    covered = float(np.mean([row.valid for row in rows]))
    if covered < WELL_COVERED:
        sentences.append(f"The mean pair covers {percent(covered, 1)} of the region's tiles; the rest holds no data.")
    for product in scores[: plates.MOST_COMPARISONS]:
        facts = product.properties
        sentences.append(
            f"{product.title}: {percent(facts['flagged_share'], 1)} of the pixels are flagged, in areas of at "
            f"least {facts['minimum_hectares']:g} ha; chance alone would flag "
            f"{percent(facts['false_alarm_rate'], 1)} of the pixels before small areas are dropped."
        )
    return sentences


def _places(maps: Maps, means: Sequence[Product], scores: Sequence[Product]) -> tuple[list[Place], bool]:
    """Places of the series, and whether they were chosen automatically."""
    if maps.region.config.products.points:
        return sampling.given_places(maps.region)[:MOST_PLACES], False
    if not means:
        return [], True

    def look(product: Product) -> MapImage:
        return read_cog(maps.folder.address(product.path), longest=200)

    return sampling.telling_places(maps.region, look(means[0]), look(scores[0]) if scores else None), True


def _series(reader: PairMaps, places: Sequence[Place]) -> list[tuple[Place, str, list[Plate]]]:
    maps = reader.maps
    event = _event(maps.region.config.change)
    found = []
    for place in places:
        figures = []
        for track in maps.stacks.pairs:
            bands = maps.region.config.passes.polarisations
            panels = [(band, reader.series(track, band, place)) for band in bands]
            if len(maps.stacks.pairs) > 1 and not any(value.is_known for _, values in panels for value in values):
                continue  # outside this track
            title = f"Coherence at {place.name} over time, {track}"
            figures.append(Plate(draw_over_time(panels, event, "coherence"), title, f"{track}"))
        found.append((place, degrees_text(place.lon, place.lat), figures))
    return found


def _event(rule: Change | None) -> dt.date | None:
    return rule.event if rule else None


def _over_time(maps: Maps, rows: Sequence[PairSummary]) -> list[Plate]:
    figures = []
    for track in maps.stacks.pairs:
        panels = [
            (band, [row.spread[band] for row in rows if row.pair.track == track])
            for band in maps.region.config.passes.polarisations
        ]
        image = draw_over_time(panels, _event(maps.region.config.change), "median coherence")
        figures.append(Plate(image, f"Median coherence of every pair over time, {track}", f"Track {track}"))
    return figures


def _by_baseline(rows: Sequence[PairSummary]) -> Plate | None:
    if len({row.pair.days for row in rows}) < 2:
        return None
    series = [(band, [row.spread[band] for row in rows]) for band in rows[0].spread]
    return Plate(draw_by_baseline(series), "Median coherence of every pair against its temporal baseline", "")


def _comparisons(scores: Sequence[Product], masks: Sequence[Product]) -> list[tuple[Product, str]]:
    paths = {mask.id.replace("change-mask-", "change-", 1): mask.path for mask in masks}
    return [(score, paths.get(score.id, "")) for score in scores]


def _passes(maps: Maps) -> list[tuple[str, Mapping[str, Any]]]:
    used = _paired_passes(maps)
    return [
        (str(track), entry)
        for track, entries in maps.stacks.passes.items()
        for entry in sorted(entries.values(), key=lambda entry: str(entry["start"]))
        if (str(track), entry["id"]) in used
    ]


def _provenance(maps: Maps) -> list[tuple[str, str]]:
    source = maps.region.config.source
    where = {"archive": getattr(source, "path", ""), "earthengine": getattr(source, "collection", "")}
    return [
        ("Source", " ".join(part for part in (source.kind, where.get(source.kind, "")) if part)),
        ("cohmap", __version__),
        ("Python", platform.python_version()),
        ("Libraries", ", ".join(f"{name} {version(name)}" for name in LIBRARIES)),
    ]


def _command(maps: Maps) -> str:
    path = maps.region.path
    name = maps.region.name if path is None or path.resolve().parent == SHIPPED.resolve() else str(path)
    return f"cohmap run {shlex.quote(name)} --output {shlex.quote(str(maps.folder))}"
