"""The part of the page's address that says what it shows, so that it can be kept and sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from urllib.parse import urlencode


@dataclass(frozen=True)
class Link:
    """What a page shows; None where the address doesn't say.

    Attributes
    ----------
    layer, band
        A product's id and the name of its band.
    x, y, scale
        Middle of the view in map units, and map units a screen pixel.
    at_x, at_y
        The place whose time series is shown.
    """

    layer: str | None = None
    band: str | None = None
    x: float | None = None
    y: float | None = None
    scale: float | None = None
    at_x: float | None = None
    at_y: float | None = None

    def query(self) -> str:
        """As it stands in an address, escaped."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return urlencode({k: f"{v:.10g}" if isinstance(v, float) else v for k, v in given.items() if v is not None})


def read_link(arguments: Mapping[str, Sequence[bytes]]) -> Link:
    """From the arguments of a request; what makes no sense counts as not given."""
    texts = {name: values[-1].decode("utf-8", "replace") for name, values in arguments.items() if values}
    numbers = {name: _number(texts.get(name)) for name in ("x", "y", "scale", "at_x", "at_y")}
    if (numbers["scale"] or 1) <= 0:
        numbers["scale"] = None
    return Link(texts.get("layer"), texts.get("band"), **numbers)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e9 else None
