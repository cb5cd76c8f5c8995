"""The `cohmap` command: one subcommand a stage, each resumable and usable alone."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.compute import Pool, available_cores
from pipeline.config import ArchiveSource
from pipeline.console import Terminal, show_plan
from pipeline.errors import CohmapError
from pipeline.estimator import measure_rate, open_estimator
from pipeline.plan import Plan, make_plan
from pipeline.region import Region, open_region, shipped
from pipeline.sources import Source
from pipeline.storage import Folder, lock

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


class Device(StrEnum):
    """Where networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class UnitsName(StrEnum):
    """What the pixels of a detected image are."""

    linear = "linear"
    db = "db"
    amplitude = "amplitude"


RegionName = Annotated[
    str, typer.Argument(metavar="REGION", help="A region file (.toml), or a name listed by `regions`.")
]
OutputUri = Annotated[
    str | None, typer.Option("--output", help="Folder or URI (s3://, gs://) for the results; out/NAME by default.")
]
Workers = Annotated[
    int | None, typer.Option(min=0, help="Worker processes; all cores by default, 0 = none, in this process.")
]
Scheduler = Annotated[str | None, typer.Option(help="Address of a running Dask scheduler, tcp://HOST:PORT.")]
DeviceName = Annotated[Device, typer.Option(help="Where the estimator runs.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print errors only.")]
SourcePath = Annotated[str | None, typer.Option(help="Another folder or URI for source.kind = 'archive'.")]
Project = Annotated[str | None, typer.Option(help="Google Cloud project, for source.kind = 'earthengine'.")]


@dataclass(frozen=True)
class _Job:
    """What every stage of one command shares."""

    region: Region
    folder: Folder
    pool: Pool
    terminal: Terminal
    device: str
    project: str | None

    def plan(self) -> tuple[Plan, Source]:
        from pipeline.sources.opening import open_source

        source = open_source(self.region, self.project)
        return make_plan(self.region, source), source

    def export(self) -> None:
        from pipeline.export import export

        plan, source = self.plan()
        self.folder.write_json("plan.json", plan.to_json())
        for note in plan.notes:
            self.terminal.note(note)
        export(plan, source, self.folder, self.terminal)

    def infer(self) -> None:
        from pipeline.infer import infer

        infer(self.region, self.folder, self.pool, self.terminal, self.device)

    def mosaic(self) -> None:
        from pipeline.mosaic import mosaic

        mosaic(self.region, self.folder, self.pool, self.terminal)

    def change(self) -> None:
        from pipeline.change import change

        change(self.region, self.folder, self.pool, self.terminal)

    def report(self) -> str:
        from pipeline.catalog import write_catalog
        from pipeline.report import write_report
        from pipeline.sources.opening import open_source

        self.terminal.start("report", 1, 0)
        write_catalog(self.region, self.folder)
        # only a simulated source knows the truth; the others need not be reachable for a report
        simulated = self.region.config.source.kind == "simulated"
        address = write_report(self.region, self.folder, open_source(self.region) if simulated else None)
        self.terminal.finish()
        return address


@contextlib.contextmanager
def _job(
    region: str,
    output: str | None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    device: Device = Device.auto,
    quiet: bool = False,
    source_path: str | None = None,
    project: str | None = None,
) -> Iterator[_Job]:
    terminal = Terminal(quiet=quiet)
    opened = _with_source_path(open_region(region), source_path)
    folder = Folder(output or opened.config.output.uri or f"out/{opened.name}")
    folder.require_writable()
    with lock(folder):
        if leftovers := folder.sweep():
            terminal.note(f"removed {leftovers} unfinished files of a run that was killed")
        open_estimator(opened, device.value)  # a wrong name is told before anything is spent
        try:
            with Pool(workers, scheduler) as pool:
                yield _Job(opened, folder, pool, terminal, device.value, project)
            terminal.finish()
        except KeyboardInterrupt:
            terminal.stop()
            sys.stderr.write("cohmap: stopped; give the same command again to continue where it was\n")
            raise typer.Exit(130) from None
        finally:
            terminal.stop()


def _with_source_path(region: Region, source_path: str | None) -> Region:
    if source_path is None:
        return region
    source = region.config.source
    if not isinstance(source, ArchiveSource):
        raise CohmapError(f"--source-path goes with source.kind = 'archive', not '{source.kind}'")
    moved = source.model_copy(
        update={"path": source_path if "://" in source_path else str(Path(source_path).absolute())}
    )
    return Region(region.config.model_copy(update={"source": moved}), region.area, region.path)


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
    with _job(
        region,
        output,
        workers=workers,
        scheduler=scheduler,
        device=device,
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
    quiet: Quiet = False,
) -> None:
    """Say which passes, pairs and tiles a run would take, and what they cost; nothing is downloaded."""
    with _job(region, output, workers=workers, quiet=quiet, source_path=source_path, project=project) as job:
        made, _ = job.plan()
        job.folder.write_json("plan.json", made.to_json())
        rate = measure_rate(open_estimator(job.region, "cpu"))
        show_plan(job.terminal.console, made, rate, available_cores() if workers is None else workers)
        job.terminal.say(f"the plan is in {job.folder.address('plan.json')}")


@app.command()
def export(
    region: RegionName,
    output: OutputUri = None,
    source_path: SourcePath = None,
    project: Project = None,
    quiet: Quiet = False,
) -> None:
    """Stage 1: read the source's pixels into one Zarr stack per track."""
    with _job(region, output, quiet=quiet, source_path=source_path, project=project) as job:
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
    with _job(region, output, workers=workers, scheduler=scheduler, device=device, quiet=quiet) as job:
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
    with _job(region, output, workers=workers, scheduler=scheduler, quiet=quiet) as job:
        job.mosaic()
        job.terminal.say(f"the maps are in {job.folder.address('products')}")


@app.command()
def change(
    region: RegionName,
    output: OutputUri = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    quiet: Quiet = False,
) -> None:
    """Map where coherence dropped across the event, or after the baseline period."""
    with _job(region, output, workers=workers, scheduler=scheduler, quiet=quiet) as job:
        job.change()
        job.terminal.say(f"the change maps are in {job.folder.address('products/change')}")


@app.command()
def report(region: RegionName, output: OutputUri = None, quiet: Quiet = False) -> None:
    """Write the STAC catalogue and the page to look at."""
    with _job(region, output, quiet=quiet) as job:
        address = job.report()
        job.terminal.say(f"look at {address}; the catalogue is in {job.folder.address('catalog')}")


@app.command()
def estimate(
    reference: Annotated[str, typer.Argument(metavar="REFERENCE.tif", help="The earlier detected image.")],
    secondary: Annotated[str, typer.Argument(metavar="SECONDARY.tif", help="The later one, on the same grid.")],
    output: Annotated[Path, typer.Option("--output", help="The GeoTIFF to write: band 1 coherence, band 2 sigma.")],
    estimator: Annotated[str | None, typer.Option(help="One of `cohmap estimators`.")] = None,
    window: Annotated[int | None, typer.Option(help="Window in pixels (odd), for the classical ones.")] = None,
    units: Annotated[UnitsName, typer.Option(help="What the pixels are.")] = UnitsName.linear,
    device: DeviceName = Device.auto,
    quiet: Quiet = False,
) -> None:
    """Coherence of two files, without a region."""
    from models import registry
    from models.errors import ModelError
    from pipeline.estimate import estimate_files, spacing_of

    terminal = Terminal(quiet=quiet)
    try:
        chosen = registry.get(
            estimator or registry.DEFAULT, window=window, spacing=spacing_of(reference), device=device.value
        )
    except ModelError as error:
        raise CohmapError(str(error)) from None
    try:
        written = estimate_files(reference, secondary, output, chosen, units.value, terminal)
        terminal.say(f"coherence (band 1) and sigma (band 2) are in {written}")
    finally:
        terminal.stop()


@app.command()
def regions() -> None:
    """List the regions there are."""
    from rich.table import Table

    terminal = Terminal(quiet=False)
    table = Table("name", "source", "title", "file", box=None, pad_edge=False)
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
    from rich.table import Table

    from models import registry

    terminal = Terminal(quiet=False)
    table = Table("name", "window", "what", "source", box=None, pad_edge=False)
    for info in registry.available():
        default = " (default)" if info.name == registry.DEFAULT else ""
        table.add_row(info.name + default, str(info.window or "-"), info.summary, info.source)
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
    try:
        app()
    except CohmapError as error:
        sys.stderr.write(f"cohmap: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
