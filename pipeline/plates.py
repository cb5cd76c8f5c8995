"""The report's maps: which are shown, in which style, and what their captions say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from pipeline import cube
from pipeline.export import stack_name, unit_key, variable_name
from pipeline.figures import data_url, draw_map
from pipeline.mosaic import Maps
from pipeline.passes import Pair
from pipeline.products import Product
from pipeline.quicklook import (
    CHANGED,
    COHERENCE,
    MapImage,
    Style,
    backscatter_style,
    count_style,
    decibels,
    read_cog,
    read_cube,
    score_style,
    sigma_style,
    thumbnail,
)

# How many maps a page bears; what is left out is linked in its tables.
MOST_MEANS, MOST_COMPARISONS, MOST_PAIRS, MOST_TRACKS = 12, 4, 12, 3
THUMBNAIL_PIXELS = 240


@dataclass(frozen=True)
class Plate:
    """A picture with its caption.

    Attributes
    ----------
    image
        PNG.
    href
        The file that it shows, relative to the page; "" where there is none.
    """

    image: bytes
    alt: str
    caption: str
    href: str = ""

    @property
    def src(self) -> str:
        """The picture as the page carries it."""
        return data_url(self.image)


def reading_note(image: MapImage) -> str:
    """How far a map was decimated, in words for its caption; "" where it wasn't."""
    return "" if image.step == 1 else f" Each dot averages {image.step} × {image.step} pixels."


def backscatter_plates(maps: Maps) -> list[Plate]:
    """The first pass of each track, in the first polarisation."""
    region = maps.region
    band = region.config.passes.polarisations[0]
    plates = []
    for track in list(maps.stacks.pairs)[:MOST_TRACKS]:
        stack = cube.Cube(maps.folder, stack_name(track))
        first = min(maps.stacks.passes[track].values(), key=lambda entry: str(entry["start"]))
        records = ((tile, maps.stacks.exported.get(unit_key(track, first["id"], tile))) for tile in region.tiles)
        tiles = [tile for tile, record in records if record and record["valid"] > 0]
        image = decibels(read_cube(stack, variable_name(band), stack.position(first["id"]), region.grid, tiles))
        title = f"Backscatter {band}, {first['start'][:10]}, {track}"
        caption = (
            f"Backscatter of the first pass of {track}, {band}, in dB. Speckle is left as it is: its repetition from "
            f"pass to pass is the signal.{reading_note(image)}"
        )
        plates.append(Plate(draw_map(image, backscatter_style(image, band), title), title, caption))
    return plates


def mean_plates(maps: Maps, means: Sequence[Product]) -> list[Plate]:
    """Mean coherence, one map a polarisation, baseline and track."""
    plates = []
    for product in means:
        image = read_cog(maps.folder.address(product.path))
        caption = (
            f"Temporal mean of the coherence in {product.polarisation} over {len(product.pairs)} pairs "
            f"{product.days} days apart, {product.reference[:10]} to {product.secondary[:10]}, "
            f"{_track_text(product)}.{reading_note(image)}"
        )
        plates.append(_plate(image, COHERENCE, product.title, caption, product.path))
    return plates


def count_plate(maps: Maps, product: Product) -> Plate | None:
    """How many pairs the first mean rests on; None where it is the same number everywhere."""
    image = read_cog(maps.folder.address(product.path), band=3)
    if image.percentile(0) == image.percentile(100):
        return None
    title = f"Pairs with data, {product.polarisation}, {product.days} days"
    caption = f"Number of pairs that the mean of {_track_text(product)} at {product.days} days rests on."
    return _plate(image, count_style(image), title, caption, product.path)


def sigma_plate(maps: Maps, pair: Pair) -> Plate:
    """Standard deviation of one pair's coherence."""
    region = maps.region
    band = region.config.passes.polarisations[0]
    layer = maps.layer(pair)
    opened = cube.Cube(maps.folder, layer.maps)
    image = read_cube(opened, f"sigma_{variable_name(band)}", layer.position, region.grid, maps.stacks.pair_tiles(pair))
    title = f"Sigma {band}, {pair.reference_start:%Y-%m-%d} to {pair.secondary_start:%Y-%m-%d}"
    caption = (
        f"Standard deviation that the estimator states for the coherence of one pair ({pair.days} days, {band}). "
        f"It was calibrated on simulated pairs.{reading_note(image)}"
    )
    return _plate(image, sigma_style(image), title, caption)


def pair_plates(maps: Maps, pairs: Sequence[Product]) -> list[Plate]:
    """Single pairs in the first polarisation, evenly chosen over time and baselines."""
    band = maps.region.config.passes.polarisations[0]
    like = [product for product in pairs if product.polarisation == band]
    plates = []
    for index in sorted({round(place) for place in np.linspace(0, len(like) - 1, min(len(like), MOST_PAIRS))}):
        product = like[index]
        image = read_cog(maps.folder.address(product.path), longest=THUMBNAIL_PIXELS)
        caption = f"{product.reference[:10]} → {product.secondary[:10]}, {product.days} days"
        plates.append(Plate(thumbnail(image, COHERENCE), product.title, caption, product.path))
    return plates


def change_plates(maps: Maps, scores: Sequence[Product], masks: Sequence[Product]) -> list[Plate]:
    """Score and mask of the comparisons in which most was flagged, in their order."""
    most = sorted(scores, key=lambda product: -float(product.properties.get("flagged_share", 0.0)))[:MOST_COMPARISONS]
    by_id = {product.id: product for product in masks}
    plates = []
    for product in [product for product in scores if product in most]:
        facts = product.properties
        image = read_cog(maps.folder.address(product.path))
        caption = (
            f"Loss of coherence against {facts['normal_pairs']} normal pairs in {product.polarisation} and change of "
            f"intensity, as one normal score; red is change.{reading_note(image)}"
        )
        plates.append(_plate(image, score_style(image), product.title, caption, product.path))
        mask = by_id.get(product.id.replace("change-", "change-mask-", 1))
        if mask is not None:
            image = read_cog(maps.folder.address(mask.path))
            note = reading_note(image).replace("averages", "is the majority of")
            caption = (
                f"Where the score exceeds {facts['threshold']:.2f}, which chance does in "
                f"{facts['false_alarm_rate']:.1%} of the pixels, in areas of at least "
                f"{facts['minimum_hectares']:g} ha; {facts['flagged_share']:.2%} of the pixels are flagged.{note}"
            )
            plates.append(_plate(image, CHANGED, "Change mask", caption, mask.path))
    return plates


def _plate(image: MapImage, style: Style, title: str, caption: str, href: str = "") -> Plate:
    if image.is_empty:
        caption += " It holds no data."
    return Plate(draw_map(image, style, _short(title)), title, caption, href)


def _short(title: str) -> str:
    """A title that fits above a map: what stands before the track's name."""
    return title.rsplit(", ", 1)[0] if len(title) > 60 else title


def _track_text(product: Product) -> str:
    return "all tracks together" if product.track == "all" else f"track {product.track}"


def coherence_bar() -> Plate:
    """The colour bar that all small coherence maps share."""
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[np.newaxis].repeat(12, axis=0)
    nowhere = GeoBox(ramp.shape, Affine.identity(), None)
    return Plate(thumbnail(MapImage(ramp, nowhere, 1), COHERENCE), "Colours of coherence from 0 to 1", "")


def by_kind(products: Iterable[Product], kind: str) -> list[Product]:
    """Products of one kind, in their order."""
    return [product for product in products if product.kind == kind]
