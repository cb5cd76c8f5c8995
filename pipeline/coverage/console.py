"""The coverage table at the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.coverage.run import Results


def show_coverage(console: Console, results: Results) -> None:
    """The columns that compare scenarios; the rest is in the file."""
    table = Table(box=None, pad_edge=False)
    table.add_column("study", no_wrap=True)
    table.add_column("ground", no_wrap=True)
    for name in ("passes", "every", "gap", "γ", "land", "mm", "mm/a"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in results.rows:
        table.add_row(
            row["study"],
            row["land"],
            _text(row["passes_mean"], ".0f"),
            _text(row["interval_median"], ".1f", " d"),
            _text(row["gap_max"], ".1f", " d"),
            _text(row["coherence_median"], ".2f"),
            _text(row["share_above"], ".0%"),
            _text(row["displacement_noise_median"], ".2f"),
            _text(row["velocity_noise"], ".2f"),
        )
    console.print(table)


def _text(value: Any, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"
