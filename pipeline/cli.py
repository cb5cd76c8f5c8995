"""The `cohmap` command: one subcommand a stage, each resumable and usable alone.

Light to import, as all of `pipeline.cli_*`: help and a mistyped command wait for no library that a stage would need.
"""

from __future__ import annotations

import datetime as dt
import json
import shlex
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline import __version__, cli_coverage, cli_models, cli_season, cli_slc, cli_tasks, cli_view, cli_weights
from pipeline.clusters import available_cores
from pipeline.console import Terminal
from pipeline.errors import CohmapError, Stopped
from pipeline.job import open_job, output_folder
from pipeline.options import (
    Device,
    DeviceName,
    OutputUri,
    Project,
    Quiet,
    RegionName,
    Runtime,
    RuntimeName,
    Scheduler,
    SourcePath,
    Workers,
)

app = typer.Typer(
    name="cohmap",
    help="Map InSAR coherence over whole regions from ordinary detected Sentinel-1 images.\n\n"
    "Try `cohmap run demo`: a simulated scene, no account, no data. "
    "A stopped command continues when it is given again.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(cli_coverage.app)
app.add_typer(cli_models.app)
app.add_typer(cli_season.app)
app.add_typer(cli_slc.app)
app.add_typer(cli_tasks.app)
app.add_typer(cli_view.app)
app.add_typer(cli_weights.app, name="weights")


class UnitsName(StrEnum):
    """What the pixels of a detected image are."""

    linear = "linear"
    db = "db"
    amplitude = "amplitude"


@app.command()
def run(
    region: RegionName,
    output: OutputUri = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    device: DeviceName = Device.auto,
    source_path: SourcePath = None,
    project: Project = None,
    quiet: Quiet = False,
) -> None:
    """Do it all: plan, export, infer, mosaic, change, catalogue, report."""
    with open_job(
        region,
        output,
        workers=workers,
        scheduler=scheduler,
        device=device.value,
        quiet=quiet,
        source_path=source_path,
        project=project,
    ) as job:
        job.export()
        job.infer()
        job.mosaic()
        if job.region.config.change is not None:
            job.change()
        address = job.report()
        job.terminal.say(f"results are in {job.folder}; look at {address}")


@app.command()
def plan(
    region: RegionName,
    output: OutputUri = None,
    workers: Workers = None,
    source_path: SourcePath = None,
    project: Project = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON, and nothing else.")] = False,
    quiet: Quiet = False,
) -> None:
    """Say which passes, pairs and tiles a run would take, and what they cost; nothing is downloaded."""
    from pipeline.estimator import measure_rate, open_estimator
    from pipeline.plan import PLAN
    from pipeline.plan_picture import PICTURE, draw_plan
    from pipeline.plan_table import show_plan

    silent = quiet or as_json
    with open_job(region, output, workers=workers, quiet=silent, source_path=source_path, project=project) as job:
        made, _ = job.plan()
        job.write_plan(made)
        job.folder.write_bytes(PICTURE, draw_plan(made))
        if as_json:
            typer.echo(json.dumps(made.to_json(), indent=1, ensure_ascii=False))
            return
        rate = measure_rate(open_estimator(job.region, "cpu"), job.region.config.grid.tile)
        show_plan(job.terminal.console, made, rate, available_cores() if workers is None else workers)
        job.terminal.say(
            f"the plan is in {job.folder.address(PLAN)}, a picture of what it covers in {job.folder.address(PICTURE)}"
        )


@app.command()
def export(
    region: RegionName,
    output: OutputUri = None,
    source_path: SourcePath = None,
    project: Project = None,
    quiet: Quiet = False,
) -> None:
    """Stage 1: read the source's pixels into one Zarr stack per track."""
    with open_job(region, output, quiet=quiet, source_path=source_path, project=project) as job:
        job.export()
        job.terminal.say(f"the stacks are in {job.folder.address('stack')}")


@app.command()
def infer(
    region: RegionName,
    output: OutputUri = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    device: DeviceName = Device.auto,
    quiet: Quiet = False,
) -> None:
    """Stage 2: estimate coherence and sigma of every pair, from the exported stacks."""
    with open_job(region, output, workers=workers, scheduler=scheduler, device=device.value, quiet=quiet) as job:
        job.infer()
        job.terminal.say(f"the pair maps are in {job.folder.address('pairs')}")


@app.command()
def mosaic(
    region: RegionName,
    output: OutputUri = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    quiet: Quiet = False,
) -> None:
    """Stage 3: write pair maps, and their means over time and tracks, as cloud-optimised GeoTIFFs."""
    with open_job(region, output, workers=workers, scheduler=scheduler, quiet=quiet) as job:
        job.mosaic()
        job.terminal.say(f"the maps are in {job.folder.address('products')}")


@app.command()
def change(
    region: RegionName,
    output: OutputUri = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    points: Annotated[Path | None, typer.Option(help="CSV (name, lon, lat) or GeoJSON of places to follow.")] = None,
    quiet: Quiet = False,
) -> None:
    """Map where the ground changed across the event, or pass by pass after the baseline period."""
    with open_job(region, output, workers=workers, scheduler=scheduler, quiet=quiet) as job:
        job.change(points)
        job.terminal.say(f"change maps, polygons and series are in {job.folder.address('products/change')}")


@app.command()
def report(region: RegionName, output: OutputUri = None, quiet: Quiet = False) -> None:
    """Write the STAC catalogue and the page to look at."""
    with open_job(region, output, quiet=quiet) as job:
        address = job.report()
        job.terminal.say(f"look at {address}; the catalogue is in {job.folder.address('catalog')}")


@app.command()
def verify(region: RegionName, output: OutputUri = None, quiet: Quiet = False) -> None:
    """Read everything again that is in the output folder; what is damaged is removed, and made by the next run.

    Exit code 1 where something was.
    """
    from pipeline.verify import verify as look

    with open_job(region, output, quiet=quiet) as job:
        verdict = look(job.region, job.folder, job.terminal)
    if not verdict.damaged:
        job.terminal.say(f"{verdict.looked_at} tiles and maps in {job.folder} are what was written")
        return
    some = ", ".join(verdict.damaged[:3]) + (", …" if len(verdict.damaged) > 3 else "")
    job.terminal.say(
        f"damaged and removed: {len(verdict.damaged)} of {verdict.looked_at} in {job.folder}: {some}; "
        "`cohmap run` makes them again"
    )
    raise typer.Exit(1)


@app.command(name="map")
def show_map(
    region: RegionName,
    output: OutputUri = None,
    notebook: Annotated[Path | None, typer.Option(help="The notebook to write; map.ipynb in the results.")] = None,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser, or only write it.")] = True,
    earthengine: Annotated[bool | None, typer.Option(help="Over Earth Engine's maps; default: as the source.")] = None,
    date: Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day of the image below.")] = None,
    project: Project = None,
    before: Annotated[bool, typer.Option("--before", help="The plan: area, tiles and what passes cover them.")] = False,
) -> None:
    """Look at the maps in the browser, over each other; needs `pip install 'cohmap[map]'`."""
    from pipeline.map.notebook import serve, voila_command, write_notebook
    from pipeline.map.viewer import require_extra
    from pipeline.region import open_region

    if before:
        require_extra("ipyleaflet", "ipywidgets")
        with open_job(region, output, project=project, workers=0) as job:
            job.write_plan(job.plan()[0])
    opened, day = open_region(region), date.date() if date else None
    folder = output_folder(opened, output)
    written = write_notebook(
        opened, folder, notebook, before=before, earthengine=earthengine, project=project, date=day
    )
    typer.echo(f"the map is in {written}; `{shlex.join(voila_command(written))}` opens it")
    if show:
        serve(written)


@app.command()
def estimate(
    reference: Annotated[str, typer.Argument(metavar="REFERENCE.tif", help="The earlier detected image.")],
    secondary: Annotated[str, typer.Argument(metavar="SECONDARY.tif", help="The later one, on the same grid.")],
    output: Annotated[str, typer.Option("--output", help="The GeoTIFF to write: band 1 coherence, band 2 sigma.")],
    context: Annotated[
        list[str] | None,
        typer.Option(help="An image of a further date on that grid; give it up to four times. It helps networks."),
    ] = None,
    estimator: Annotated[str | None, typer.Option(help="One of `cohmap estimators`.")] = None,
    window: Annotated[int | None, typer.Option(help="Window in pixels (odd), for the classical ones.")] = None,
    units: Annotated[UnitsName, typer.Option(help="What the pixels are.")] = UnitsName.linear,
    device: DeviceName = Device.auto,
    runtime: RuntimeName = Runtime.auto,
    quiet: Quiet = False,
) -> None:
    """Coherence of two files, without a region."""
    from models import registry
    from models.errors import ModelError
    from pipeline.estimate import estimate_files, spacing_of

    terminal = Terminal(quiet=quiet)
    try:
        chosen = registry.get(
            estimator or registry.DEFAULT,
            window=window,
            spacing=spacing_of(reference),
            device=device.value,
            runtime=runtime.value,
        )
        written = estimate_files(
            reference, secondary, output, chosen, units.value, terminal, context or [], device.value
        )
        terminal.say(f"coherence (band 1) and sigma (band 2) are in {written}")
    except ModelError as error:
        raise CohmapError(str(error)) from None
    finally:
        terminal.stop()


@app.command()
def regions() -> None:
    """List the regions there are."""
    from rich.table import Column, Table

    from pipeline.region import open_region, shipped

    terminal = Terminal(quiet=False)
    table = Table(
        Column("name", overflow="fold"), "source", "title", Column("file", overflow="fold"), box=None, pad_edge=False
    )
    for path in shipped():
        try:
            config = open_region(str(path)).config
            table.add_row(config.name, config.source.kind, config.title, str(path))
        except CohmapError as error:
            table.add_row(path.stem, "-", f"not usable: {error}", str(path))
    terminal.console.print(table)


@app.command()
def estimators() -> None:
    """List the estimators there are."""
    from rich.table import Column, Table

    from models import registry

    terminal = Terminal(quiet=False)
    table = Table(Column("name", overflow="fold"), "window", "what", "source", box=None, pad_edge=False)
    for info in registry.available():
        aside = " (default)" if info.name == registry.DEFAULT else f" (needs {info.needs})" if info.needs else ""
        table.add_row(info.name + aside, str(info.window or "-"), info.summary, info.source)
    terminal.console.print(table)


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer's callback takes it so
    if value:
        typer.echo(f"cohmap {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before any subcommand."""


def main() -> None:
    """Entry point: errors a user can mend are one sentence and exit code 2."""
    warnings.filterwarnings("ignore", message="Dataset has no geotransform")  # the error that follows says it better
    try:
        app()
    except CohmapError as error:
        sys.stderr.write(f"cohmap: {error}\n")
        sys.exit(2)
    except Stopped:
        sys.stderr.write("cohmap: stopped; give the same command again to continue where it was\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
