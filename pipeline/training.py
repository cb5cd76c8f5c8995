"""`cohmap train`: progress, what is left at the end, and the picture of how it went."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.errors import ModelError
from models.train.config import read_config
from pipeline import __version__
from pipeline.console import Terminal
from pipeline.errors import CohmapError, Stopped
from pipeline.interrupts import sigterm_is_ctrl_c
from pipeline.storage import Folder, explain_full_disk, lock

if TYPE_CHECKING:  # PyTorch is loaded when training begins
    from models.train.loop import Moment


def recipe(name: str) -> Path:
    """The training file of this path, or the shipped recipe of this name."""
    import models

    shipped = Path(models.__file__).with_name("recipes") / f"{name}.toml"
    return shipped if shipped.exists() else Path(name)


def run_training(name: str, output: Path, terminal: Terminal, device: str) -> Path:
    """Train, resuming what is there, and leave weights, card and figure.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    CohmapError
        The training file, the examples or the checkpoint are wrong.
    Stopped
        Ctrl-C; the last checkpoint stays.
    """
    from models.train.finish import finish
    from models.train.loop import HISTORY, train
    from models.train.supply import prepare

    try:
        config = read_config(recipe(name))
        output.mkdir(parents=True, exist_ok=True)
        with sigterm_is_ctrl_c(), lock(Folder(str(output))), explain_full_disk(Folder(str(output))):
            _show(prepare(config, output), terminal)
            _show(_told(train(config, output, device=device), terminal), terminal)
            weights = finish(config, output, version=__version__)
        _draw_history(output / HISTORY, output / "training.png")
    except ModelError as error:
        raise CohmapError(str(error)) from None
    except KeyboardInterrupt:
        raise Stopped from None
    return weights


def _show(progress: Iterator[tuple[str, int, int]], terminal: Terminal) -> None:
    """A bar for each stage, from its name, what is done and how much there is."""
    stage, shown = "", 0
    for name, done, total in progress:
        if name != stage:
            stage, shown = name, 0
            terminal.start(stage, total, 0)
        terminal.advance(done - shown)
        shown = done
    terminal.finish()


def _told(moments: Iterator[Moment], terminal: Terminal) -> Iterator[tuple[str, int, int]]:
    """Progress of training; each validation leaves a line."""
    for moment in moments:
        if moment.validation is not None:
            found = moment.validation
            terminal.remark(
                f"step {moment.done}: loss {moment.loss:.3f}, validation RMSE {found.rmse:.4f}, "
                f"{found.inside_68:.0%} within one sigma"
            )
        yield "train", moment.done, moment.total


def _draw_history(history: Path, figure: Path) -> None:
    """Loss and validation error against steps."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    lines = [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines()]
    steps = np.array([line["step"] for line in lines])
    plot, axes = plt.subplots(1, 2, figsize=(9.0, 3.2), layout="constrained")
    axes[0].plot(steps, [line["loss"] for line in lines])
    axes[0].set(xlabel="step", ylabel="loss (running mean)")
    axes[1].plot(steps, [line["rmse"] for line in lines])
    axes[1].set(xlabel="step", ylabel="RMSE, scenes kept aside", ylim=(0.0, None))
    plot.savefig(figure, dpi=120)
    plt.close(plot)
