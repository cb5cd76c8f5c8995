"""Results as tables: for the terminal, as Markdown for the documentation, as JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from rich import box
from rich.table import Table as RichTable

from models.evaluate.run import Results
from models.evaluate.scores import BINS, LEVELS, Scores
from models.evaluate.sets import SceneSet


@dataclass(frozen=True)
class Table:
    """Text in rows; the first column is aligned left, the others right."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_rich(self) -> RichTable:
        """For the terminal."""
        table = RichTable(title=self.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for number, heading in enumerate(self.headings):
            table.add_column(heading, justify="right" if number else "left", overflow="fold", no_wrap=not number)
        for row in self.rows:
            table.add_row(*row)
        return table

    def to_markdown(self) -> str:
        """For the documentation."""
        dashes = ["---", *["---:"] * (len(self.headings) - 1)]
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.headings, dashes, *self.rows)]
        return "\n".join([f"### {self.title}", "", *lines, ""])


def number(value: float, form: str = ".3f") -> str:
    """A number as text; nothing where it is NaN."""
    return "" if math.isnan(value) else f"{value:{form}}"


_BIN_NAMES = tuple(f"{low:g}-{high:g}" for low, high in pairwise(BINS))


def overview(results: Results) -> Table:
    """RMSE of every contender (a column) on every set (a row): medians over seeds."""
    names = list(next(iter(results.rows.values())))
    floors = results.floors
    window = max(next(iter(floors.values()))) if floors else 0
    rows = []
    for each in results.sets:
        cells = [number(results.score(each.name, name).rmse) for name in names]
        floor = [number(floors.get(each.name, {}).get(window, math.nan))] if floors else []
        rows.append((each.name, *cells, *floor))
    headings = ("set", *names, *([f"Bayes floor {window} px"] if floors else []))
    return Table("RMSE by set (simulated)", headings, tuple(rows))


_SCORES = ("RMSE", "95 % interval", "MAE", "bias", "r", "SSIM")
_MORE = ("edges", "inside", "68 %", "90 %", "CPU s/MPix")


def set_table(results: Results, scene_set: SceneSet, seed: int | None = None) -> Table:
    """All scores of every contender on one set: medians over seeds, or those of one seed."""
    rows = []
    for name, row in results.rows[scene_set.name].items():
        scores = row.median if seed is None else row.seeds[results.seeds.index(seed)]
        rows.append((name, *_cells(scores)))
    if seed is None:
        empty = ("",) * (len(_SCORES) + len(_BIN_NAMES) + len(_MORE) - 1)
        floors = results.floors.get(scene_set.name, {})
        rows += [(f"Bayes floor {window} px", number(floor), *empty) for window, floor in floors.items()]
    which = f"median of {len(results.seeds)} seeds" if seed is None else f"seed {seed}"
    drawn = f"{_scenes(results, scene_set)} scenes of {scene_set.recipe.size} px, {which}, simulated"
    return Table(
        f"{scene_set.name}: {scene_set.summary} ({drawn})",
        ("contender", *_SCORES, *(f"γ {name}" for name in _BIN_NAMES), *_MORE),
        tuple(rows),
    )


def bias_table(results: Results, scene_set: SceneSet) -> Table:
    """Bias by true coherence on one set: medians over seeds."""
    rows = [
        (name, *(number(value, "+.3f") for value in row.median.bias_by_bin))
        for name, row in results.rows[scene_set.name].items()
    ]
    return Table(
        f"{scene_set.name}: bias by true coherence", ("contender", *(f"γ {name}" for name in _BIN_NAMES)), tuple(rows)
    )


def all_tables(results: Results) -> Iterator[Table]:
    """Overview, then each set with its medians, biases and seeds."""
    yield overview(results)
    for scene_set in results.sets:
        yield set_table(results, scene_set)
        yield bias_table(results, scene_set)
        if len(results.seeds) > 1:
            yield from (set_table(results, scene_set, seed) for seed in results.seeds)


def to_json(results: Results, made: dict[str, Any]) -> dict[str, Any]:
    """Everything, with null for what can't be said; `made` tells how it was made."""
    return {
        "made": made,
        "bins": list(BINS),
        "levels": list(LEVELS),
        "seeds": list(results.seeds),
        "sets": {
            each.name: {
                "summary": each.summary,
                "recipe": repr(each.recipe),
                "bayes_floor": {str(window): floor for window, floor in results.floors.get(each.name, {}).items()},
                "contenders": {
                    name: {
                        "median": _plain(asdict(row.median)),
                        "seeds": [_plain(asdict(scores)) for scores in row.seeds],
                    }
                    for name, row in results.rows[each.name].items()
                },
            }
            for each in results.sets
        },
    }


def _scenes(results: Results, scene_set: SceneSet) -> int:
    return next(iter(results.rows[scene_set.name].values())).seeds[0].scenes


def _cells(scores: Scores) -> Sequence[str]:
    return (
        number(scores.rmse),
        f"{number(scores.rmse_low)}-{number(scores.rmse_high)}",
        number(scores.mae),
        number(scores.bias, "+.3f"),
        number(scores.r, ".2f"),
        number(scores.ssim, ".2f"),
        *(number(value) for value in scores.rmse_by_bin),
        number(scores.rmse_edges),
        number(scores.rmse_inside),
        number(scores.coverage_at(0.68), ".2f"),
        number(scores.coverage_at(0.9), ".2f"),
        number(scores.seconds),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
