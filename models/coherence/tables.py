"""The shipped calibration tables: from a statistic to coherence and sigma, made by `python -m models.calibrate`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.coherence.spacing import nearest_spacing
from models.coherence.statistic import Speckle
from models.errors import ModelError

Mode = Literal["raw", "inverted", "calibrated"]

FOLDER = Path(__file__).parent / "calibration"
UNIT = 0.001
"""What an integer of the tables stands for."""


@dataclass(frozen=True)
class Table:
    """One estimator's calibration for one product, window and mode.

    Attributes
    ----------
    estimate
        Coherence at the nodes of the statistic's axes; None for mode raw, which has a closed form.
    sigma
        Root-mean-square error about that estimate at the same nodes, over randomised simulated scenes.
    floor
        Mean and standard deviation of the estimate over homogeneous ground of zero coherence.
    textured_floor
        The same over the pixels of randomised scenes whose coherence is below 0.02.
    speckle, product, spacing
        The product it was made for, and its pixel spacing in metres.
    digest
        Changes whenever any number above does.
    """

    estimate: npt.NDArray[np.float64] | None
    sigma: npt.NDArray[np.float64]
    floor: tuple[float, float]
    textured_floor: tuple[float, float]
    speckle: Speckle
    product: str
    spacing: float
    digest: str


@lru_cache(maxsize=32)
def _read(name: str) -> dict[str, Any]:
    path = FOLDER / f"{name}.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"no calibration at {path}; make it with `python -m models.calibrate`") from None
    return content


def provenance(name: str) -> dict[str, Any]:
    """How an estimator's tables were made: command, seed, scenes, version, date."""
    made: dict[str, Any] = _read(name)["made"]
    return made


def windows(name: str) -> tuple[int, ...]:
    """Windows that an estimator has tables for, ascending."""
    return tuple(sorted(int(window) for window in _read(name)["products"][0]["windows"]))


def find_table(name: str, window: int, mode: Mode, spacing: float) -> Table:
    """The table for a window and mode, of the product whose spacing is nearest by ratio.

    Raises
    ------
    ModelError
        No table for this window or mode, or none within a factor 1.5 of this spacing.
    """
    products = _read(name)["products"]
    nearest = nearest_spacing(name, [entry["spacing"] for entry in products], spacing)
    product = next(entry for entry in products if entry["spacing"] == nearest)
    by_window = product["windows"]
    if str(window) not in by_window:
        there = ", ".join(str(size) for size in windows(name))
        raise ModelError(f"estimator '{name}' has no calibration for a window of {window} px; choose one of {there}")
    modes = by_window[str(window)]
    if mode not in modes:
        raise ModelError(f"estimator '{name}' has no mode '{mode}'; choose one of {', '.join(modes)}")
    entry = modes[mode]
    shape = tuple(axis[2] for axis in _read(name)["axes"])
    speckle = Speckle(product["looks"], product["log_variance"])
    content = json.dumps([entry, _read(name)["axes"], product["looks"], product["log_variance"]], sort_keys=True)
    return Table(
        estimate=_unpack(entry["estimate"], shape) if "estimate" in entry else None,
        sigma=_unpack(entry["sigma"], shape),
        floor=(entry["floor"][0], entry["floor"][1]),
        textured_floor=(entry["textured_floor"][0], entry["textured_floor"][1]),
        speckle=speckle,
        product=product["name"],
        spacing=product["spacing"],
        digest=hashlib.sha256(content.encode()).hexdigest()[:8],
    )


def _unpack(numbers: list[int], shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    return (np.array(numbers, np.float64) * UNIT).reshape(shape)
