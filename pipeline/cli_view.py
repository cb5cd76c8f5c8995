"""The command that shows results in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import CohmapError
from pipeline.job import output_folder

if TYPE_CHECKING:
    from pipeline.storage import Folder

app = typer.Typer()


@app.command()
def view(
    output: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="A folder or URI of finished results, or the name of a region.")
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; any free one by default.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page, or only serve it.")] = True,
) -> None:
    """Look at finished maps in the browser: zoom, switch layers, click for a place's time series."""
    from pipeline.view.page import read_output
    from pipeline.view.server import serve

    found = read_output(find_output(output))

    def announce(address: str) -> None:
        typer.echo(f"{found.folder} is shown at {address}, to this machine alone; Ctrl-C ends it")

    serve(found, port, announce, browser=browser)


def find_output(name: str) -> Folder:
    """The folder that a command names, itself or by its region.

    Raises
    ------
    CohmapError
        It is neither.
    """
    from pipeline.region import open_region
    from pipeline.storage import Folder

    if "://" in name or (Path(name) / "products").is_dir():
        return Folder(name)
    try:
        return output_folder(open_region(name), None)
    except CohmapError as error:
        if Path(name).is_dir():
            return Folder(name)
        raise CohmapError(f"{name} is no folder of results, and no region either ({error})") from None
