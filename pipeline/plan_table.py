"""A plan as tables at the terminal."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from pipeline.cost import EECU_TIERS, Cost
from pipeline.plan import Plan


def show_plan(console: Console, plan: Plan, rate: float, workers: int) -> None:
    """The plan as tables: tracks, and what they will cost."""
    height, width = plan.region.grid.shape
    config = plan.region.config
    console.print(
        f"[bold]{config.title or config.name}[/]: {width} x {height} pixels of {config.grid.spacing:g} m in "
        f"{plan.region.grid.crs}, {len(plan.region.tiles)} tiles"
    )
    table = Table("track", "passes", "first", "last", "pairs", "baselines (days)", box=None, pad_edge=False)
    for track, passes in plan.passes.items():
        pairs = plan.pairs[track]
        days = sorted({pair.days for pair in pairs})
        table.add_row(
            str(track),
            str(len(passes)),
            f"{passes[0].start:%Y-%m-%d}",
            f"{passes[-1].start:%Y-%m-%d}",
            str(len(pairs)),
            ", ".join(str(d) for d in days[:8]) + (", …" if len(days) > 8 else ""),
        )
    console.print(table)
    hours = dt.timedelta(seconds=round(plan.megapixels / rate / max(workers, 1)))
    console.print(
        f"to read: {plan.pass_tiles} tiles of passes, {plan.export_bytes / 2**20:,.0f} MiB uncompressed; to estimate: "
        f"{plan.pair_tiles} tiles of pairs, {plan.megapixels:,.1f} megapixels, about {hours} "
        f"on {max(workers, 1)} workers like this machine's (timed on one tile: {rate:.2f} megapixels a second)",
        soft_wrap=True,
    )
    for line in _cost_lines(plan.cost):
        console.print(line, soft_wrap=True)
    for note in plan.notes:
        console.print(f"[yellow]note[/] {note}", soft_wrap=True)


def _cost_lines(cost: Cost) -> Iterator[str]:
    if cost.rate is not None and cost.seconds is not None:
        slow, fast = cost.rate
        soon, late = (dt.timedelta(seconds=math.ceil(edge)) for edge in cost.seconds)
        each = f"up to {cost.passes_a_request} passes of a tile" if cost.passes_a_request else "a piece of a tile"
        yield (
            f"Earth Engine: {cost.requests:,} requests ({each} in one), {cost.transfer_bytes / 2**20:,.0f} MiB with "
            f"masks; {soon} to {late} at {fast:g} to {slow:g} requests a second (assumed, not measured)"
        )
    if cost.batch is not None:
        yield (
            f"Earth Engine: {cost.batch.tasks:,} tasks, which write {cost.batch.files:,} files to the bucket, "
            f"{cost.batch.bytes / 2**20:,.0f} MiB before compression; it works on about 2 tasks of a project at once, "
            "how long each takes can't be foretold, and Cloud Storage has a price"
        )
    if cost.rate is not None or cost.batch is not None:
        tiers = ", ".join(f"{hours:,}" for hours in EECU_TIERS)
        yield (
            f"Earth Engine counts computation too: its noncommercial tiers allow {tiers} EECU-hours a month; what a "
            "run takes of them, the Cloud Console shows afterwards"
        )
    yield (
        f"disk: about {cost.disk_bytes / 2**20:,.0f} MiB before compression: {cost.stack_bytes / 2**20:,.0f} for the "
        f"stacks, {cost.map_bytes / 2**20:,.0f} for pair maps and their products"
    )
