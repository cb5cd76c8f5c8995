"""The command that looks after Earth Engine's tasks, which go on when cohmap has stopped."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from pipeline.console import Terminal
from pipeline.errors import CohmapError
from pipeline.job import output_folder
from pipeline.options import OutputUri, Project

app = typer.Typer()


@app.command()
def tasks(
    region: Annotated[str, typer.Argument(metavar="REGION", help="A region file with source.mode = 'batch'.")],
    output: OutputUri = None,
    project: Project = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop those that wait or run.")] = False,
) -> None:
    """Say how the Earth Engine tasks of a batch export are, or cancel them."""
    from rich.table import Column, Table

    from pipeline.region import open_region
    from pipeline.sources.ee_batch.source import BatchSource
    from pipeline.sources.opening import open_source

    opened = open_region(region)
    source = open_source(opened, project)
    if not isinstance(source, BatchSource):
        raise CohmapError(f"region '{opened.name}' has no tasks: they come with source.mode = 'batch'")
    folder, terminal = output_folder(opened, output), Terminal(quiet=False)
    known = source.known(folder)
    if not known:
        raise CohmapError(f"no task was begun for {folder}; `cohmap export` begins them")
    states = Counter("FORGOTTEN" if operation is None else operation.state for _, operation in known)
    if cancel:
        active = [operation for _, operation in known if operation is not None and operation.active]
        for operation in active:
            source.queue.cancel(operation)
        terminal.say(
            f"asked Earth Engine to cancel {len(active)} of {len(known)} tasks; the others had ended. `cohmap export` "
            "starts again what is still needed"
        )
        return
    table = Table(Column("task", overflow="fold"), "state", "message", box=None, pad_edge=False)
    for name, found in known:
        table.add_row(name, found.state if found else "FORGOTTEN", found.message if found else "")
    terminal.console.print(table)
    terminal.say(", ".join(f"{count} {state.lower()}" for state, count in sorted(states.items())))
