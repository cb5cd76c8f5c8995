"""`cohmap weights`: the published network's weights, downloaded or imported, and listed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pipeline.console import Terminal
from pipeline.options import Quiet
from pipeline.weights import REPOSITORIES, Imported, fetch_weights, import_weights

DEFAULT_NAME = next(iter(REPOSITORIES))

app = typer.Typer(
    help="Get the published network's weights, once; needs `pip install 'cohmap[keras]'`.", no_args_is_help=True
)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of: {', '.join(REPOSITORIES)}.")],
    revision: Annotated[str, typer.Option(help="Branch, tag or commit of the authors' repository.")] = "main",
    quiet: Quiet = False,
) -> None:
    """Download weights from their authors' repository, and import them; its licence is yours to read."""
    terminal = Terminal(quiet=quiet)
    bars = terminal.console.is_terminal and not quiet
    _tell(fetch_weights(name, revision=revision, progress_bars=bars), name, terminal)


@app.command(name="import")
def import_files(
    model: Annotated[Path, typer.Argument(metavar="MODEL.weights.h5", help="Weights as Keras saved them.")],
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="The settings published with them.")],
    name: Annotated[str, typer.Option(help="What the estimator is to be called.")] = DEFAULT_NAME,
    quiet: Quiet = False,
) -> None:
    """Convert weights that you have; those of the same name are replaced."""
    _tell(import_weights(model, config, name, model.name), name, Terminal(quiet=quiet))


def _tell(imported: Imported, name: str, terminal: Terminal) -> None:
    for note in imported.notes:
        terminal.note(escape(note))  # keys of a file, which rich would read as its markup
    terminal.say(f"the weights are in {imported.path}; use them with estimator.name = '{name}'")


@app.command(name="list")
def list_imported() -> None:
    """List the weights there are."""
    from rich.table import Column, Table

    from models import weights
    from models.errors import ModelError

    terminal = Terminal(quiet=False)
    table = Table(
        Column("name", overflow="fold"), "input", "from", Column("file", overflow="fold"), box=None, pad_edge=False
    )
    for name in weights.names():
        try:
            record = weights.read_record(name)
            scale = f"{record.scale.low:g} to {record.scale.high:g} dB"
            table.add_row(name, scale, escape(record.origin), str(weights.path_of(name)))
        except ModelError as error:
            table.add_row(name, "-", escape(f"not usable: {error}"), str(weights.path_of(name)))
    if table.row_count:
        terminal.console.print(table)
    else:
        terminal.say(f"there are no weights in {weights.folder()}; `cohmap weights fetch {DEFAULT_NAME}` gets some")
