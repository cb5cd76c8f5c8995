"""The command that studies what passes cover."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.job import open_job
from pipeline.options import OutputUri, Project, Quiet, RegionName, SourcePath

if TYPE_CHECKING:
    from pipeline.coverage.settings import Coverage

app = typer.Typer()


@app.command()
def coverage(
    region: RegionName,
    output: OutputUri = None,
    spacing: Annotated[float | None, typer.Option(help="Of the maps, in metres.")] = None,
    footprints: Annotated[
        Path | None, typer.Option(help="CSV or GeoJSON of acquisitions, instead of asking the source.")
    ] = None,
    listing: Annotated[
        bool | None, typer.Option("--listing/--no-listing", help="With the passes that there are, or scenarios only.")
    ] = None,
    source_path: SourcePath = None,
    project: Project = None,
    quiet: Quiet = False,
) -> None:
    """Map what passes cover, and the coherence that revisit scenarios would leave; no pixel is downloaded."""
    from pipeline.coverage.console import show_coverage
    from pipeline.coverage.run import TABLE_CSV, coverage
    from pipeline.sources.opening import open_source

    with open_job(region, output, workers=0, quiet=quiet, source_path=source_path, project=project) as job:
        given = {
            "spacing": spacing,
            "footprints": str(footprints.absolute()) if footprints else None,
            "listing": True if footprints and listing is None else listing,
        }
        settings = changed(
            job.region.config.coverage, {key: value for key, value in given.items() if value is not None}
        )
        config = job.region.config.model_copy(update={"coverage": settings})
        studied = replace(job.region, config=config)
        results = coverage(studied, job.folder, job.terminal, lambda: open_source(studied, project))
        job.terminal.finish()
        show_coverage(job.terminal.console, results)
        job.terminal.say(f"look at {results.page}; the table is in {job.folder.address(TABLE_CSV)}")


def changed(settings: Coverage, given: dict[str, object]) -> Coverage:
    """The settings with what the command line says, checked again."""
    from pydantic import ValidationError

    from pipeline.errors import CohmapError

    try:
        return type(settings).model_validate({**settings.model_dump(), **given})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise CohmapError(f"--{key} {first.get('input')}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None
