"""What labels were made from and how: their provenance, and what tells whether a folder's work can go on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.slc.labels import pixel_of, told_spacing
from pipeline import __version__
from pipeline.errors import CohmapError
from pipeline.labels.blocks import Block
from pipeline.labels.pairs import DatePair
from pipeline.labels.settings import LabelSettings
from pipeline.slc.stack import SlcStack
from pipeline.storage import Folder

PLAN, MANIFEST, PROGRESS = "labels.json", "manifest.json", "progress.json"
HASHED = 256 * 2**20
"""Files up to so many bytes are told by their SHA-256, larger ones by size and time of change."""


def plan_of(
    stack: SlcStack,
    pairs: Sequence[DatePair],
    blocks: Sequence[Block],
    settings: LabelSettings,
    *,
    measure: str,
    gap: tuple[int, int],
    size: int,
    looks: float,
) -> dict[str, Any]:
    """All that the labels follow from, as JSON holds it."""
    pixel = pixel_of(settings.sampling, stack.spacing)
    return {
        "cohmap": __version__,
        "files": [_identity(path) for path in stack.files],
        "polarisation": stack.polarisation,
        "lines": stack.shape[0],
        "samples": stack.shape[1],
        "spacing_m": [round(step, 4) for step in stack.spacing],
        "dates": [day.isoformat() for day in stack.dates],
        "pairs": [
            {"reference": one.isoformat(), "secondary": two.isoformat(), "days": (two - one).days} for one, two in pairs
        ],
        "further_dates": settings.contexts,
        "images": {
            "sampling": settings.sampling.value,
            "pixel_m": [round(step, 4) for step in pixel],
            "told_spacing_m": told_spacing(settings.sampling),
            "size": size,
        },
        "label": {
            "estimator": measure,
            "window": list(settings.looked_through),
            "window_m": [
                round(side * step, 1) for side, step in zip(settings.looked_through, stack.spacing, strict=True)
            ],
            "looks": looks,
        },
        "split": {
            "by": "blocks of the scene, the same for all dates",
            "block_m": settings.block,
            "gap_samples": list(gap),
            "gap_m": [round(side * step, 1) for side, step in zip(gap, stack.spacing, strict=True)],
            "share": settings.share,
            "seed": settings.seed,
            "blocks": [
                {
                    "number": block.number,
                    "part": block.part,
                    "lines": [block.window[0].start, block.window[0].stop],
                    "samples": [block.window[1].start, block.window[1].stop],
                }
                for block in blocks
            ],
        },
    }


def claim(folder: Folder, plan: dict[str, Any]) -> None:
    """Make a folder one of this plan; a folder of the same plan goes on.

    Raises
    ------
    CohmapError
        Labels made in another way are there, or something else is.
    """
    if folder.exists(PLAN):
        if folder.read_json(PLAN) != plan:
            raise CohmapError(
                f"{folder} holds labels made from other files or settings; name another --output, or delete it"
            )
        return
    if folder.exists("training") or folder.exists("validation"):
        raise CohmapError(f"{folder} holds examples that are not known to be labels; name another --output")
    folder.write_json(PLAN, plan)


def _identity(path: Path) -> dict[str, Any]:
    """Name, size, and what changes when the content does."""
    members = _members(path)
    states = [member.stat() for member in members]
    size = sum(state.st_size for state in states)
    known: dict[str, Any] = {"path": str(path.absolute()), "bytes": size}
    if size > HASHED:
        return known | {"changed_ns": max(state.st_mtime_ns for state in states)}
    digest = hashlib.sha256()
    for member in members:
        with member.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return known | {"sha256": digest.hexdigest()}


def _members(path: Path) -> list[Path]:
    """The file, those of a Zarr store, or those that a .dim names."""
    if path.is_dir():
        return sorted(Path(root) / name for root, _, names in os.walk(path) for name in names)
    data = path.with_suffix(".data")
    return [path, *_members(data)] if path.suffix.lower() == ".dim" and data.is_dir() else [path]
