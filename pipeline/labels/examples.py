"""The examples of one block: read once for all dates, detected, labelled pair by pair, cut into squares."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.coherence.inputs import logarithm, summarise
from models.slc.detect import PAD
from models.slc.labels import TWO_SCALE, Measure, detected, label, on_same_pixels, pixel_of, told_spacing, turns
from models.train.examples import Example, Origin
from pipeline.labels.blocks import Block, around
from pipeline.labels.pairs import DatePair, beside
from pipeline.labels.settings import LabelSettings
from pipeline.slc.image import ComplexArray, Window
from pipeline.slc.stack import SlcStack

FloatArray = npt.NDArray[np.float32]

KNOWN = 0.1
"""An example is kept where the truth of so many of its pixels is known."""


@dataclass(frozen=True)
class Cut:
    """Where a block's pixels lie in the window that is read for it.

    Attributes
    ----------
    read
        Lines and samples of the scene, with what labels and detection need around the block.
    pixels
        Rows and columns of the detected window that lie within the block.
    begin
        Line and sample of the scene where these begin.
    step
        Lines and samples a pixel.
    """

    read: Window
    pixels: Window
    begin: tuple[float, float]
    step: tuple[float, float]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, cols = self.pixels
        return rows.stop - rows.start, cols.stop - cols.start


def cut_for(stack: SlcStack, block: Block, settings: LabelSettings, measure: Measure = TWO_SCALE) -> Cut:
    """What to read for a block, and which pixels of it count."""
    lines, samples = (
        max(side // 2 + 1 + more, PAD) for side, more in zip(settings.looked_through, measure.reach, strict=True)
    )
    read = around(block.window, (lines, samples), stack.shape)
    pixel = pixel_of(settings.sampling, stack.spacing)
    step = (pixel[0] / stack.spacing[0], pixel[1] / stack.spacing[1])
    rows, cols = (
        slice(
            math.ceil(round((inner.start - outer.start) / each, 6)),
            math.floor(round((inner.stop - outer.start) / each, 6)),
        )
        for inner, outer, each in zip(block.window, read, step, strict=True)
    )
    begin = (read[0].start + rows.start * step[0], read[1].start + cols.start * step[1])
    return Cut(read, (rows, cols), begin, step)


def examples_of(
    stack: SlcStack,
    block: Block,
    pairs: Sequence[DatePair],
    settings: LabelSettings,
    *,
    size: int,
    looks: float,
    measure: Measure = TWO_SCALE,
) -> Iterator[tuple[int, list[Example]]]:
    """Number of each pair, and its examples in the block; none where too little of the truth is known.

    Parameters
    ----------
    size
        Side of an example in pixels; where the block has fewer, the rest is NaN.
    looks
        Independent samples in the label's window.
    measure
        What estimates the label.

    Raises
    ------
    CohmapError
        A file can't be read.
    """
    cut, window = cut_for(stack, block, settings, measure), settings.looked_through
    images: dict[dt.date, ComplexArray] = {}
    powers: dict[dt.date, FloatArray] = {}
    for number, pair in enumerate(pairs):
        further = beside(pair, stack.dates, settings.contexts)
        for day in (*pair, *further):
            if day not in powers:
                images[day] = stack.read(day, cut.read)
                carrier = stack.carrier(day, cut.read)
                powers[day] = detected(images[day], stack.spacing, settings.sampling, carrier)[cut.pixels]
        first, second = (images[day] for day in pair)
        truth = label(first, second, window, looks, measure=measure)
        known = on_same_pixels(truth, stack.spacing, settings.sampling)[cut.pixels]
        layers = np.stack(
            [
                *(logarithm(powers[day]) for day in pair),
                *summarise([powers[day] for day in further], cut.shape),
                known,
            ]
        )
        turned = turns(first, second, window)
        yield (
            number,
            [
                Example(
                    piece[:2],
                    piece[2:4],
                    len(further),
                    piece[4],
                    told_spacing(settings.sampling),
                    Origin(
                        pair[0].isoformat(),
                        pair[1].isoformat(),
                        days=(pair[1] - pair[0]).days,
                        looks=looks,
                        turns=None if turned is None else round(turned, 3),
                        block=block.number,
                        line=round(cut.begin[0] + row * cut.step[0], 2),
                        sample=round(cut.begin[1] + col * cut.step[1], 2),
                    ),
                )
                for row, col, piece in _pieces(layers, size)
            ],
        )


def _pieces(layers: FloatArray, size: int) -> Iterator[tuple[int, int, npt.NDArray[np.float16]]]:
    """Squares that cover the layers, overlapping where they must, of which enough is known."""
    for row in _begins(layers.shape[1], size):
        for col in _begins(layers.shape[2], size):
            piece = np.full((layers.shape[0], size, size), np.nan, np.float16)
            piece[2:4] = 0.0  # no further date
            there = layers[:, row : row + size, col : col + size]
            piece[:, : there.shape[1], : there.shape[2]] = there
            if np.isfinite(piece[4]).mean() >= KNOWN:
                yield row, col, piece


def _begins(length: int, size: int) -> list[int]:
    if length <= size:
        return [0]
    begins: list[int] = np.linspace(0, length - size, math.ceil(length / size)).round().astype(int).tolist()
    return begins
