"""The commands about estimators themselves: making them, and how good they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import Terminal
from pipeline.options import Device, DeviceName, Quiet

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
    from pipeline.storage import Folder

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


@app.command()
def train(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A training file (.toml), or a recipe's name: speckle-unet.")
    ],
    output: Annotated[
        str | None, typer.Option("--output", help="Folder for examples, checkpoint and weights; out/train/CONFIG.")
    ] = None,
    device: DeviceName = Device.auto,
    quiet: Quiet = False,
) -> None:
    """Train a network on simulated scenes, or on a folder of examples; a stopped run continues where it was."""
    from pipeline.training import run_training

    terminal = Terminal(quiet=quiet)
    folder = Path(output) if output else Path("out/train") / Path(config).stem
    try:
        weights = run_training(config, folder, terminal, device.value)
        terminal.say(f"weights are in {weights}, their card and training.png beside them")
    finally:
        terminal.stop()
