"""HTML pages from the templates of the package: one way to render them, and how they write numbers."""

from __future__ import annotations

import functools
import math
from typing import Any

import jinja2


def render(template: str, /, **content: Any) -> bytes:
    """A page as UTF-8; whatever text goes in is escaped, and a name that a template asks for in vain is an error."""
    return _environment().get_template(template).render(content).encode()


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, signed=_signed, percent=percent)
    return environment


def _number(value: float, decimals: int = 2) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else "–"


def _signed(value: float, decimals: int = 2) -> str:
    return f"{round(value, decimals) + 0.0:+.{decimals}f}"  # adding nought turns -0.00 into +0.00


def percent(value: float, decimals: int = 0) -> str:
    """A share as per cent; a dash where it isn't known."""
    return f"{100 * value:.{decimals}f}%" if math.isfinite(value) else "–"
