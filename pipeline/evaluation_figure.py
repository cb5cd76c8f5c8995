"""The figure of an evaluation: error by true coherence, error by set, coverage of the intervals, and one scene."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from models.estimator import FloatArray
from models.evaluate.contenders import CONSTANT
from models.evaluate.run import Results
from models.evaluate.scores import BINS, LEVELS, Scores
from pipeline.figures import DPI, FAINT, INK, RULE, to_png
from pipeline.quicklook import COHERENCE

MOST = 8
"""Contenders shown: more lines, or smaller images, can't be told apart."""
_MIDDLES = [0.5 * (low + high) for low, high in pairwise(BINS)]


@dataclass(frozen=True)
class Example:
    """One scene for the eye.

    Attributes
    ----------
    reference
        Linear power, shape (height, width).
    truth
        Coherence, same shape.
    answers
        Coherence by contender.
    """

    reference: FloatArray
    truth: FloatArray
    answers: Mapping[str, FloatArray]


def draw_evaluation(results: Results, example: Example) -> bytes:
    """A PNG of the constant and the contenders with the least error on the first set.

    The curves by coherence and of coverage belong to the first set; the error by set shows all of them.
    """
    first = results.sets[0]
    scores = {name: row.median for name, row in results.rows[first.name].items()}
    best = sorted((name for name in scores if name != CONSTANT), key=lambda name: scores[name].rmse)[: MOST - 1]
    shown = [CONSTANT, *best]
    table = mpl.colormaps["tab10"]
    colours = {name: FAINT if name == CONSTANT else table(shown.index(name) - 1) for name in shown}

    images = len(best) + 2
    columns = min(5, images)
    rows = math.ceil(images / columns)
    engine = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06)
    figure = Figure(figsize=(12.0, 4.2 + 2.5 * rows), dpi=DPI, facecolor="white", layout=engine)
    halves: Any = figure.subfigures(2, 1, height_ratios=(4.2, 2.5 * rows))  # annotated as one figure
    above, below = halves
    panels = above.subplots(1, 3)
    _draw_bins(panels[0], {name: scores[name] for name in shown}, colours, first.name)
    _draw_sets(panels[1], results, shown, colours)
    _draw_coverage(panels[2], {name: scores[name] for name in shown}, colours, first.name)
    above.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8.5
    )
    _draw_images(below, example, best, (rows, columns))
    return to_png(figure)


_Colours = Mapping[str, object]


def _draw_bins(axes: Axes, scores: Mapping[str, Scores], colours: _Colours, name: str) -> None:
    for contender, found in scores.items():
        axes.plot(_MIDDLES, found.rmse_by_bin, color=colours[contender], marker="o", markersize=3.5, label=contender)
    _style(axes, f"RMSE by true coherence, {name}", "true coherence", "RMSE")
    axes.set(xlim=(0, 1), ylim=(0, None))


def _draw_sets(axes: Axes, results: Results, shown: Sequence[str], colours: _Colours) -> None:
    """Levels from top to bottom, so that the names of the sets can be read."""
    places = np.arange(len(results.sets))
    for contender in shown:
        errors = [results.score(each.name, contender).rmse for each in results.sets]
        axes.plot(errors, places, color=colours[contender], marker="o", markersize=3.5, linewidth=0.8)
    _style(axes, "RMSE by set", "RMSE", "")
    axes.set_yticks(places, [each.name for each in results.sets], size=8.5)
    axes.set(xlim=(0, None), ylim=(len(places) - 0.5, -0.5))


def _draw_coverage(axes: Axes, scores: Mapping[str, Scores], colours: _Colours, name: str) -> None:
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    for contender, found in scores.items():
        if not math.isnan(found.coverage[0]):
            axes.plot(LEVELS, found.coverage, color=colours[contender], marker="o", markersize=3.5)
    _style(axes, f"coverage of the intervals, {name}", "confidence stated", "share that holds the truth")
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _style(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_axisbelow(True)
    axes.grid(color=RULE, linewidth=0.7)
    axes.tick_params(labelsize=9, color=FAINT, labelcolor=INK)
    axes.set_title(title, size=10.5, color=INK, loc="left", weight="bold")
    axes.set_xlabel(x, size=9.5, color=INK)
    axes.set_ylabel(y, size=9.5, color=INK)


def _draw_images(figure: SubFigure, example: Example, names: Sequence[str], shape: tuple[int, int]) -> None:
    grid = np.ravel(figure.subplots(*shape, squeeze=False))
    for axes in grid:
        axes.set_axis_off()
    with np.errstate(divide="ignore"):
        decibels = 10.0 * np.log10(example.reference)
    there = decibels[np.isfinite(decibels)]
    low, high = np.percentile(there, (2, 98)) if there.size else (0.0, 1.0)
    grid[0].imshow(decibels, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    grid[0].set_title("reference", size=9, color=INK)
    colours, norm = COHERENCE.scale()
    for axes, (name, image) in zip(
        grid[1:], [("truth", example.truth), *((name, example.answers[name]) for name in names)], strict=False
    ):
        drawn = axes.imshow(image, cmap=colours, norm=norm, interpolation="nearest")
        axes.set_title(name, size=9, color=INK)
    figure.colorbar(drawn, ax=list(grid), shrink=0.8, aspect=30).set_label("coherence", size=9.5, color=INK)
