"""The command itself: plan, one shard a block and pair, and at the end the manifest and a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import ModelError
from models.slc.labels import TWO_SCALE, Measure, looks_of
from models.train.pool import shard_path, write_shard
from pipeline.console import Terminal
from pipeline.errors import CohmapError, Stopped
from pipeline.interrupts import sigterm_is_ctrl_c
from pipeline.labels.account import advise, counted
from pipeline.labels.blocks import Block, divide, gap_for
from pipeline.labels.examples import cut_for, examples_of
from pipeline.labels.manifest import MANIFEST, PROGRESS, claim, plan_of
from pipeline.labels.pairs import DatePair, choose_pairs
from pipeline.labels.picture import PICTURE, draw
from pipeline.labels.settings import LabelSettings, fitting_size
from pipeline.slc.image import Window
from pipeline.slc.stack import SlcStack
from pipeline.storage import Folder, explain_full_disk, lock

PIECE = (256, 1024)
"""Lines and samples of the pieces whose looks are counted, and how many of them at most."""
PIECES = 5


def run_labels(
    stack: SlcStack,
    settings: LabelSettings,
    output: Path,
    terminal: Terminal,
    *,
    measure: Measure = TWO_SCALE,
) -> dict[str, Any]:
    """Make the labels of a stack, going on where an earlier run of the same stack and settings was stopped.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    CohmapError
        Stack or settings make no labels, or the folder holds others.
    Stopped
        Ctrl-C; blocks that are done stay done.
    """
    folder = Folder(str(output))
    settings = settings.checked().for_spacing(stack.spacing)
    pairs = choose_pairs(stack.dates, settings.max_days, settings.pairs)
    gap = gap_for(settings.looked_through, measure.reach, stack.spacing, settings.gap)
    blocks = divide(stack.shape, stack.spacing, gap, side=settings.block, share=settings.share, seed=settings.seed)
    try:
        folder.require_writable()
        with sigterm_is_ctrl_c(), lock(folder), explain_full_disk(folder):
            looks = _looks(stack, blocks, settings)
            size = settings.size or fitting_size([cut_for(stack, block, settings, measure).shape for block in blocks])
            plan = plan_of(stack, pairs, blocks, settings, measure=measure.name, gap=gap, size=size, looks=looks)
            claim(folder, plan)
            if folder.exists(MANIFEST):  # written last
                finished: dict[str, Any] = folder.read_json(MANIFEST)
                return finished
            _make(stack, blocks, pairs, settings, folder, terminal, size=size, looks=looks, measure=measure)
            manifest = plan | counted(output, pairs)
            if not measure.fringes:
                advise(manifest, terminal)
            with folder.staged(PICTURE) as path:
                draw(output, manifest, path)
            folder.write_json(MANIFEST, manifest)
    except ModelError as error:
        raise CohmapError(str(error)) from None
    except KeyboardInterrupt:
        raise Stopped from None
    return manifest


def _make(
    stack: SlcStack,
    blocks: Sequence[Block],
    pairs: Sequence[DatePair],
    settings: LabelSettings,
    folder: Folder,
    terminal: Terminal,
    *,
    size: int,
    looks: float,
    measure: Measure,
) -> None:
    """Write the shards of the blocks that aren't done; one that is has its number in `PROGRESS`."""
    done = set(folder.read_json(PROGRESS)["blocks"]) if folder.exists(PROGRESS) else set()
    terminal.start("labels", len(blocks) * len(pairs), len(done) * len(pairs))
    for block in blocks:
        if block.number in done:
            continue
        place = Path(folder.address(block.part))
        place.mkdir(exist_ok=True)
        for number, examples in examples_of(stack, block, pairs, settings, size=size, looks=looks, measure=measure):
            if examples:
                write_shard(shard_path(place, block.number * len(pairs) + number), examples)
            terminal.advance()
        done.add(block.number)
        folder.write_json(PROGRESS, {"blocks": sorted(done)})
    terminal.finish()


def _looks(stack: SlcStack, blocks: Sequence[Block], settings: LabelSettings) -> float:
    """Of the first date that has enough data in some of the blocks' middles, to a tenth."""
    chosen = [blocks[k] for k in np.linspace(0, len(blocks) - 1, min(PIECES, len(blocks))).round().astype(int)]
    for day in stack.dates:
        looks = looks_of([stack.read(day, _middle(block.window)) for block in chosen], settings.looked_through)
        if looks > 1.2:
            return round(looks, 1)
        if not math.isnan(looks):
            raise CohmapError(
                f"a window of {settings.looked_through[0]} x {settings.looked_through[1]} samples has {looks:.1f} "
                "independent ones, too few for a coherence; give a larger --window"
            )
    raise CohmapError(f"{stack.files[0]} and the others have no data in any of {len(chosen)} places; check the files")


def _middle(window: Window) -> Window:
    lines, samples = (
        slice(begin := side.start + max(0, (side.stop - side.start - most) // 2), min(side.stop, begin + most))
        for side, most in zip(window, PIECE, strict=True)
    )
    return lines, samples
