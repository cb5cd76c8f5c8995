"""The command that maps coherence by season and its decay."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.job import open_job
from pipeline.options import OutputUri, Quiet, RegionName, Scheduler, Workers

app = typer.Typer()


@app.command()
def season(
    region: RegionName,
    output: OutputUri = None,
    tiles: Annotated[
        bool, typer.Option("--tiles", help="Also write one-degree tiles scaled as the global coherence set is.")
    ] = False,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="TILE.tif", help="A tile of the global coherence set to score the maps against."),
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    quiet: Quiet = False,
) -> None:
    """Coherence by season and baseline, per track and over tracks, and how it decays, from the pair maps."""
    from pipeline.season.compare import compare_tiles
    from pipeline.season.exchange import parse_name, write_tiles
    from pipeline.season.products import FOLDER

    for reference in compare or []:
        parse_name(reference)  # a wrong name is told before anything is spent
    with open_job(region, output, workers=workers, scheduler=scheduler, quiet=quiet) as job:
        job.season()
        job.terminal.say(f"the seasonal maps are in {job.folder.address(FOLDER)}")
        if tiles:
            outcome, where = write_tiles(job.region, job.folder, job.pool, job.terminal)
            job.terminal.say(f"{outcome.total} tiles laid out as in the global set are in {where}")
        for score in compare_tiles(job.folder, compare or []):
            job.terminal.say(score.sentence)
        job.terminal.say("`cohmap report` shows the maps on a page and lists them in the catalogue")
