"""Days and polarisations out of names and of metadata, which every processor writes its own way."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from pipeline.slc.image import POLARISATIONS

_DIGITS = re.compile(r"(?<!\d)((?:19|20)\d{2})[-_]?(0[1-9]|1[0-2])[-_]?(0[1-9]|[12]\d|3[01])(?!\d)")
_WORDS = re.compile(r"(?<!\d)(\d{2})-?([A-Z][A-Z]{2})-?((?:19|20)\d{2})(?!\d)", re.IGNORECASE)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_POLARISATION = re.compile(rf"(?<![A-Z])({'|'.join(POLARISATIONS)})(?![A-Z])", re.IGNORECASE)
_PRODUCT = re.compile(r"1S(SV|SH)_", re.IGNORECASE)


def date_in(text: str) -> dt.date | None:
    """The first day in a text: 20230331, 2023-03-31, or 31Mar2023 and 31-MAR-2023 as SNAP writes; None without one."""
    found: list[tuple[int, dt.date]] = []
    for match in _DIGITS.finditer(text):
        found += _day(match.start(), *(int(part) for part in match.groups()))
    for match in _WORDS.finditer(text):
        day, month, year = match.groups()
        if month.upper() in _MONTHS:
            found += _day(match.start(), int(year), _MONTHS.index(month.upper()) + 1, int(day))
    return min(found)[1] if found else None


def _day(place: int, year: int, month: int, day: int) -> list[tuple[int, dt.date]]:
    try:
        return [(place, dt.date(year, month, day))]
    except ValueError:  # 31 February
        return []


def date_of_file(path: Path) -> dt.date | None:
    """The day in a file's name, or else in its folder's: stacks keep one folder a date, too."""
    return date_in(path.name) or date_in(path.absolute().parent.name)


def polarisation_in(text: str) -> str:
    """The polarisation that a name tells, empty where it tells none or several; 1SSV of a Sentinel-1 product is VV."""
    found = {match.upper() for match in _POLARISATION.findall(text)}
    if not found and (single := _PRODUCT.search(text)):
        return "VV" if single.group(1).upper() == "SV" else "HH"
    return found.pop() if len(found) == 1 else ""
