"""A stack: complex images of several dates on one grid, read by windows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import CohmapError
from pipeline.slc.formats import images_at
from pipeline.slc.image import ComplexArray, FloatArray, Image, Window


@dataclass(frozen=True)
class SlcStack:
    """Images of one polarisation, sorted by date, all of one shape.

    Attributes
    ----------
    spacing
        Metres between lines and between samples on the ground.
    """

    images: dict[dt.date, Image]
    polarisation: str
    shape: tuple[int, int]
    spacing: tuple[float, float]

    @property
    def dates(self) -> list[dt.date]:
        """From the earliest on."""
        return list(self.images)

    @property
    def files(self) -> list[Path]:
        """Where the images are, each once."""
        return list(dict.fromkeys(Path(image.source) for image in self.images.values()))

    def read(self, date: dt.date, window: Window) -> ComplexArray:
        """A window of one date, complex64.

        Raises
        ------
        CohmapError
            Its file can't be read there.
        """
        image = self.images[date]
        try:
            return image.read(window)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise CohmapError(f"{image.source} can't be read ({reason}); make it again, or leave it out") from None

    def carrier(self, date: dt.date, window: Window) -> FloatArray | None:
        """Phase of the azimuth carrier in a window, None where the format doesn't tell it."""
        image = self.images[date]
        return image.carrier(window) if image.carrier is not None else None


def open_stack(
    addresses: Sequence[str],
    *,
    polarisation: str | None = None,
    spacing: tuple[float, float] | None = None,
    dates: Sequence[dt.date] | None = None,
) -> SlcStack:
    """Open files or folders as one stack.

    Parameters
    ----------
    addresses
        Files, one a date or one for all; or folders of them.
    polarisation
        Which one, where there are several.
    spacing
        Metres along azimuth and ground range, where the files don't say.
    dates
        Of the images in their order, where nothing says.

    Raises
    ------
    CohmapError
        The first thing wrong with it.
    """
    images = [image for address in addresses for image in images_at(Path(address))]
    chosen = _of_one_polarisation(images, polarisation)
    days = _days(chosen, dates)
    by_date: dict[dt.date, Image] = {}
    for day, image in sorted(zip(days, chosen, strict=True), key=lambda entry: entry[0]):
        if day in by_date:
            raise CohmapError(f"{by_date[day].source} and {image.source} are both of {day}; leave one out")
        by_date[day] = image
    if len(by_date) < 2:
        raise CohmapError(f"{addresses[0]} has one date only ({days[0]}); a coherence takes two: give more files")
    first = chosen[0]
    for image in chosen:
        if image.shape != first.shape:
            raise CohmapError(
                f"{image.source} has {image.shape[0]} x {image.shape[1]} samples, {first.source} "
                f"{first.shape[0]} x {first.shape[1]}; a stack is coregistered: crop or resample them to one grid"
            )
    metres = spacing or first.spacing
    if metres is None:
        raise CohmapError(
            f"{first.source} doesn't say how far its samples are apart; give --spacing AZIMUTH RANGE, in metres on the "
            "ground (Sentinel-1 IW: 13.9 and about 3.5)"
        )
    if not all(0.05 < step < 1000.0 for step in metres):
        raise CohmapError(
            f"a spacing of {metres[0]:g} m and {metres[1]:g} m is not usable; give --spacing AZIMUTH RANGE"
        )
    return SlcStack(by_date, first.polarisation, first.shape, (float(metres[0]), float(metres[1])))


def _of_one_polarisation(images: list[Image], wanted: str | None) -> list[Image]:
    there = sorted({image.polarisation for image in images})
    if wanted is None and len(there) > 1:
        named = ", ".join(name or "an unnamed one" for name in there)
        raise CohmapError(f"{images[0].source} and the others have {named}; choose one with --polarisation")
    chosen = [image for image in images if wanted is None or image.polarisation in {wanted.upper(), ""}]
    if not chosen:
        raise CohmapError(f"{images[0].source} has no {wanted}, only {', '.join(there)}; choose with --polarisation")
    return chosen


def _days(images: list[Image], given: Sequence[dt.date] | None) -> list[dt.date]:
    if given is not None:
        if len(given) != len(images):
            raise CohmapError(f"--dates names {len(given)} days for {len(images)} images; name one for each, in order")
        return list(given)
    days = []
    for image in images:
        if image.date is None:
            raise CohmapError(
                f"{image.source} doesn't say of which day it is, and neither does its name; put YYYYMMDD into the "
                "name, or give --dates"
            )
        days.append(image.date)
    return days
