"""The commands about estimators themselves: how good they are."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.console import Terminal
from pipeline.options import Device, DeviceName, Quiet
from pipeline.storage import Folder

app = typer.Typer()


@app.command()
def evaluate(
    estimators: Annotated[
        list[str],
        typer.Argument(
            metavar="ESTIMATOR...",
            help="Names listed by `estimators` (NAME:raw for another mode), weights files, or `classical` for all "
            "classical ones.",
        ),
    ],
    output: Annotated[str, typer.Option("--output", help="Folder for the results.")] = "out/evaluation",
    sets: Annotated[str, typer.Option(help="Sets of scenes, with commas between; all by default.")] = "",
    scenes: Annotated[int, typer.Option(help="Scenes of each set and seed.")] = 100,
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 3,
    size: Annotated[int, typer.Option(help="Side of the scenes in pixels.")] = 256,
    contexts: Annotated[int, typer.Option(help="Further dates, for estimators that use them.")] = 4,
    device: DeviceName = Device.auto,
    quiet: Quiet = False,
) -> None:
    """Score estimators on simulated scenes whose coherence is known; a stopped evaluation continues."""
    from models.evaluate.tables import overview
    from pipeline.evaluation import RESULTS, Extent, run_evaluation

    names = tuple(name.strip() for name in sets.split(",") if name.strip())
    terminal = Terminal(quiet=quiet)
    folder = Folder(output)
    try:
        results = run_evaluation(
            estimators, Extent(names, scenes, seeds, size, contexts), folder, terminal, device=device.value
        )
        terminal.finish()
        terminal.console.print(overview(results).to_rich())
        terminal.say("tables and figure are in " + ", ".join(folder.address(name) for name in RESULTS))
    finally:
        terminal.stop()
