"""Colours of a layer: the report's where it has some, else what its values ask for."""

from __future__ import annotations

import math
from dataclasses import replace

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from pipeline.quicklook import COHERENCE, MapImage, Style, count_style, sigma_style, style_of
from pipeline.view.layers import Layer

# Bands whose values are coherences, whatever product they stand in.
_COHERENCES = {"coherence", "mean", "median", "rho_inf"}
# Smooth on a screen that sets no price on colours.
STEPS = 256
_LABELS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#000000")


def layer_style(layer: Layer, image: MapImage) -> Style:
    """The style of a layer.

    Parameters
    ----------
    image
        The whole layer, decimated: what the ends of an unknown band's colours are taken from.
    """
    if layer.product.is_classes:
        return _class_style(layer, image)
    if layer.name in _COHERENCES or layer.name.startswith("coherence"):
        return COHERENCE
    if layer.name == "sigma":
        return sigma_style(image)
    if layer.name == "count":
        return count_style(image)
    if layer.band == 1 and (style := style_of(layer.product, image)) is not COHERENCE:
        return style
    return _stretched(layer, image)


def _class_style(layer: Layer, image: MapImage) -> Style:
    style = style_of(layer.product, image)
    there = {int(value) for value in np.unique(image.values[np.isfinite(image.values)])}
    if layer.band == 1 and style.classes and there <= set(style.classes):
        return style
    if len(there) > 24:  # a scale in whole numbers rather than names
        return replace(_stretched(layer, image), whole=False)
    names = {value: (str(value), _LABELS[place % len(_LABELS)]) for place, value in enumerate(sorted(there))}
    return Style(layer.about or layer.name, classes=names or {0: ("0", _LABELS[0])})


def _stretched(layer: Layer, image: MapImage) -> Style:
    low, high = image.percentile(2), image.percentile(98)
    if not math.isfinite(low):
        low, high = 0.0, 1.0
    if high <= low:
        high = low + max(abs(low) * 1e-3, 1e-6)
    return Style(layer.about or layer.name, "viridis", low, high, beyond="both")


def palette(style: Style) -> tuple[list[str], float, float]:
    """A style's colours evenly spread between two ends, as a linear colour mapper takes them."""
    if style.classes:
        values = sorted(style.classes)
        named = {value: to_hex(style.classes[value][1], keep_alpha=True) for value in values}
        span = range(values[0], values[-1] + 1)
        return [named.get(value, "#00000000") for value in span], values[0] - 0.5, values[-1] + 0.5
    if style.whole:
        steps = round(style.high - style.low) + 1
        table = mpl.colormaps[style.colours].resampled(steps)
        return [to_hex(table(place)) for place in range(steps)], style.low - 0.5, style.high + 0.5
    table = mpl.colormaps[style.colours].resampled(STEPS)
    return [to_hex(table(place)) for place in range(STEPS)], style.low, style.high
