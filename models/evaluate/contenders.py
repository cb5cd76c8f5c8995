"""Who takes part in an evaluation: estimators with or without further dates, and the complex pair's own coherence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, get_args

from models import registry
from models.coherence.tables import Mode
from models.coregister import apply_shift, estimate_shift
from models.estimator import Estimator, FloatArray
from models.simulate.draw import Sample

CLASSICAL = "classical"
"""Stands for every classical estimator, calibrated and, where it has a closed form, raw."""
CLASSICAL_MODES = ("calibrated", "raw")
CONSTANT, ORACLE = "constant", "SLC boxcar"


@dataclass(frozen=True)
class Scene:
    """A sample as an estimator gets it in use: every date registered onto the reference.

    Attributes
    ----------
    reference, secondary, context
        Linear power, shape (height, width); NaN where registration leaves nothing.
    oracle
        Sample coherence of the complex pair, or None.
    spacing
        Pixel spacing in metres.
    """

    reference: FloatArray
    secondary: FloatArray
    context: tuple[FloatArray, ...]
    oracle: FloatArray | None
    spacing: float


def registered(sample: Sample) -> Scene:
    """A simulated sample as `register` leaves it; its true shifts aren't looked at."""
    scene = register(sample.reference, sample.secondary, sample.context, spacing=sample.spacing)
    return replace(scene, oracle=sample.oracle)


def register(
    reference: FloatArray, secondary: FloatArray, context: Sequence[FloatArray] = (), *, spacing: float
) -> Scene:
    """Find and remove the shift of every date, as `cohmap` does for its users; linear power, spacing in metres."""
    others = [_onto(reference, image) for image in (secondary, *context)]
    return Scene(reference, others[0], tuple(others[1:]), None, spacing)


def _onto(reference: FloatArray, image: FloatArray) -> FloatArray:
    shift = estimate_shift(reference, image)
    return apply_shift(image, shift) if shift.reliable else image


class Contender(Protocol):
    """One row of the tables."""

    @property
    def name(self) -> str:
        """What the row is called."""
        ...

    def version(self, spacing: float) -> str:
        """Changes whenever its answers would."""
        ...

    def answer(self, scene: Scene) -> tuple[FloatArray, FloatArray | None]:
        """Coherence, and sigma where it states one."""
        ...


class EstimatorContender:
    """An estimator by its name or file, built once for each pixel spacing.

    Parameters
    ----------
    source
        Name in the registry, or a weights file.
    label
        What its row is called, apart from mode and dates.
    mode
        Mode of a classical estimator; None for its default.
    contexts
        Further dates that it is given.

    Raises
    ------
    ModelError
        There is no such estimator, mode or device.
    """

    def __init__(self, source: str, label: str, *, mode: Mode | None, contexts: int, device: str) -> None:
        self._source = source
        self._mode = mode
        self._contexts = contexts
        self._device = device
        self._built: dict[float, Estimator] = {}
        parts = [label, *([mode] if mode else []), *([f"+ {contexts} dates"] if contexts else [])]
        self.name = " ".join(parts)

    def version(self, spacing: float) -> str:
        """The estimator's own."""
        return self._for(spacing).version

    def answer(self, scene: Scene) -> tuple[FloatArray, FloatArray | None]:
        """The estimate from the pair, and from as many further dates as it is given."""
        estimator = self._for(scene.spacing)
        return estimator.estimate(scene.reference, scene.secondary, scene.context[: self._contexts])

    def _for(self, spacing: float) -> Estimator:
        if spacing not in self._built:
            self._built[spacing] = registry.get(self._source, mode=self._mode, spacing=spacing, device=self._device)
        return self._built[spacing]


class Oracle:
    """Boxcar coherence of the complex pair, which detected images don't have: the best that a user could hope for."""

    name = ORACLE

    def version(self, spacing: float) -> str:  # noqa: ARG002 - the same at every spacing
        """It never changes: the scenes carry it."""
        return "1"

    def answer(self, scene: Scene) -> tuple[FloatArray, FloatArray | None]:
        """What the scene carries; no sigma."""
        assert scene.oracle is not None  # noqa: S101 - sets are drawn with it
        return scene.oracle, None


def open_contenders(specs: Sequence[str], *, contexts: int, device: str) -> list[Contender]:
    """Contenders by what a user names.

    Parameters
    ----------
    specs
        Names of the registry or weights files, each with `:MODE` after it where not the default is meant; `classical`
        for all classical estimators, calibrated and raw.
    contexts
        Further dates at hand. An estimator that makes use of them takes part twice, without and with them.

    Raises
    ------
    ModelError
        There is no such estimator, mode or device.
    """
    found: list[Contender] = [Oracle()]
    expanded = list(dict.fromkeys(_expanded(specs)))
    labels = _labels([source for source, _ in expanded])
    for source, mode in expanded:
        usable = registry.get(source, mode=mode, device=device).context
        found += [
            EstimatorContender(source, labels[source], mode=mode, contexts=used, device=device)
            for used in sorted({0, min(contexts, usable)})
        ]
    return found


def _labels(sources: Sequence[str]) -> dict[str, str]:
    """Files by their name without folder and suffix, unless another contender is called that."""
    labels: dict[str, str] = {}
    for source in sources:
        short = Path(source).stem if Path(source).suffix else source
        labels.setdefault(source, source if short in labels.values() else short)
    return labels


def _classical() -> list[registry.EstimatorInfo]:
    return [info for info in registry.available() if info.windows]


def _expanded(specs: Sequence[str]) -> list[tuple[str, Mode | None]]:
    pairs: list[tuple[str, Mode | None]] = []
    for spec in specs:
        if spec == CLASSICAL:
            pairs += [(info.name, mode) for info in _classical() for mode in info.modes if mode in CLASSICAL_MODES]
            continue
        source, _, ending = spec.rpartition(":")
        mode = next((mode for mode in get_args(Mode) if mode == ending and source), None)
        pairs.append((source, mode) if mode else (spec, None))
    return pairs
