"""The notebook that shows a region's map, and the page that Voilà makes of it."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import CohmapError
from pipeline.map.before import build_before
from pipeline.map.viewer import build_map, can_use_earth_engine, require_extra
from pipeline.products import load_products
from pipeline.region import Region
from pipeline.storage import Folder

NAME, BEFORE = "map.ipynb", "before.ipynb"


def write_notebook(
    region: Region,
    folder: Folder,
    path: Path | None = None,
    *,
    before: bool = False,
    earthengine: bool | None = None,
    project: str | None = None,
    date: dt.date | None = None,
) -> Path:
    """Write a notebook of one cell, which builds the map.

    Parameters
    ----------
    path
        The file; ``map.ipynb`` in the output folder where None, or ``NAME-map.ipynb`` here where that lies on object
        storage.
    before
        Whether it shows the plan, and not the products.
    earthengine, project, date
        As `pipeline.map.viewer.build_map` takes them; where `earthengine` is None it is decided here, so that the
        notebook says what it does.

    Raises
    ------
    CohmapError
        There are no products yet, the libraries are missing, Earth Engine refuses, or the file can't be written.
    """
    build = build_before if before else build_map
    if not before:
        load_products(folder)
    require_extra("ipyleaflet", "ipywidgets")
    if region.path is None:
        raise CohmapError(f"region {region.name} has no file that a notebook could open; call build_map yourself")
    if earthengine is None:
        earthengine = can_use_earth_engine(region)
    settings: dict[str, Any] = {}
    if earthengine:
        settings = {"earthengine": True, "project": project, "date": date}
        build(region, folder, **settings)  # what Earth Engine refuses is better told here than inside a page
    content = json.dumps(_notebook(build, str(region.path.resolve()), folder.absolute, settings), indent=1) + "\n"
    if path is None:
        name = BEFORE if before else NAME
        path = folder.local / name if folder.local else Path(f"{region.name}-{name}")
    try:
        Folder(str(path.parent)).write_bytes(path.name, content.encode())
    except OSError as error:
        raise CohmapError(f"{path} can't be written ({error}); choose another with --notebook") from None
    return path


def _notebook(build: Callable[..., Any], region: str, folder: str, settings: dict[str, Any]) -> dict[str, Any]:
    """A notebook in the format's version 4.5."""
    given = "".join(f", {name}={value!r}" for name, value in settings.items() if value is not None)
    name = build.__name__
    lines = [f"from {build.__module__} import {name}", "", f"{name}({region!r}, {folder!r}{given})"]
    if settings.get("date"):
        lines.insert(0, "import datetime\n")
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "map",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": "\n".join(lines).splitlines(keepends=True),
    }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def voila_command(notebook: Path) -> list[str]:
    """What serves the notebook as a page, to this machine alone."""
    return [sys.executable, "-m", "voila", str(notebook), "--Voila.ip=127.0.0.1", "--show_tracebacks=True"]


def serve(notebook: Path) -> None:
    """Serve the notebook as a page and open it in the browser, until Ctrl-C.

    Raises
    ------
    CohmapError
        Voilà is missing, or gave up.
    """
    require_extra("voila")
    with subprocess.Popen(voila_command(notebook)) as server:  # noqa: S603 - our own interpreter, no shell
        try:
            code = server.wait()
        except KeyboardInterrupt:  # the server gets it too, and ends by it
            server.wait(timeout=30)
            return
    if code != 0:
        raise CohmapError(f"voila stopped with exit code {code}; its own messages stand above")
