"""Random ground to calibrate, train and score on: backscatter and coherence, tied to each other only in part.

A toy landscape where coherence follows texture would teach an estimator to read texture. Here covers have their own
brightness, texture and coherence, but in half of the scenes coherence has a layout of its own, and common texture,
bright targets and change of brightness come with coherent and incoherent ground alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.simulate.families import TRAINING_FAMILIES, texture
from models.simulate.fields import FloatArray, IntArray, patches, rotated, smooth_noise

HIGHEST = 0.98
"""Coherence of the most stable ground; thermal noise alone keeps it below 1."""

MOST_CONTEXTS = 11
"""Further dates that `regular_days` has room for, beside a pair in the midst of them."""

Tie = Literal["mixed", "tied", "independent"]
"""Coherence with the layout of the covers, with one of its own, or sometimes this and sometimes that."""


@dataclass(frozen=True)
class Scene:
    """Ground as `models.simulate.pair.simulate_pair` and `models.simulate.draw` take it.

    Attributes
    ----------
    coherence
        Of the first date with the second; float32 in [0, 1], shape (height, width).
    lasting
        Share of the coherence that never decays, [0, 1]; same shape.
    backscatter
        Linear power at each date, float32, same shape.
    days
        Of each date.
    noise
        Noise-equivalent backscatter, linear power.
    """

    coherence: FloatArray
    lasting: FloatArray
    backscatter: tuple[FloatArray, ...]
    days: tuple[float, ...]
    noise: float

    def coherence_between(self, first: int, second: int) -> FloatArray:
        """Coherence of two dates' ground: a lasting part, and one that decays exponentially.

        It is the given one for the first two dates, whatever is drawn for lasting.
        """
        lasting = self.lasting * self.coherence
        decaying = (self.coherence - lasting) / np.maximum(1.0 - lasting, np.float32(1e-6))
        ratio = abs(self.days[first] - self.days[second]) / abs(self.days[0] - self.days[1])
        between: FloatArray = lasting + (1.0 - lasting) * decaying ** np.float32(ratio)
        return between


def flat_scene(coherence: float, shape: tuple[int, int]) -> Scene:
    """Homogeneous ground: the same coherence and unit power everywhere, no noise."""
    power = np.ones(shape, np.float32)
    flat = np.full(shape, coherence, np.float32)
    return Scene(flat, np.zeros_like(flat), (power, power), (0.0, 12.0), 0.0)


def random_scene(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    families: Sequence[str] = TRAINING_FAMILIES,
    tie: Tie = "mixed",
    exponent: float = 1.0,
    noise_db: tuple[float, float] = (-30.0, -20.0),
    days: Sequence[float] = (0.0, 12.0),
) -> Scene:
    """Covers with texture, lines and bright targets, and coherence tied to them in part.

    Parameters
    ----------
    shape
        Height and width in pixels; sizes on the ground are drawn in pixels, broadly, so they serve every spacing.
    families
        Texture families (`models.simulate.families`) that covers are given.
    exponent
        Coherence is raised to this power: 3 is three times the baseline, where it decays exponentially.
    noise_db
        Range of the noise-equivalent backscatter in dB; ground lies at about -11 dB, give or take 8.
    days
        Of the dates, two at least.
    """
    cover = patches(rng, shape)
    covers = int(cover.max()) + 1
    contrast = rng.uniform(0.1, 1.0)
    decibels = (rng.uniform(-8.0, 8.0, covers) * contrast + rng.uniform(-14.0, -8.0)).astype(np.float32)[cover]
    decibels += _textures(rng, cover, covers, families)
    coherence = _coherence(rng, cover, covers, tie)
    for _ in range(rng.integers(0, 5)):
        _draw_line(rng, decibels, coherence)
    if rng.random() < 0.6:
        _scatter_targets(rng, decibels, coherence)
    coherence = np.clip(coherence, 0.0, HIGHEST).astype(np.float32) ** np.float32(exponent)
    layout = cover if rng.random() < 0.5 else patches(rng, shape)
    lasting = rng.uniform(0.0, 1.0, int(layout.max()) + 1).astype(np.float32)[layout]
    powers = [decibels, *(decibels + _change(rng, shape) for _ in days[1:])]
    return Scene(
        coherence,
        lasting,
        tuple(np.float32(10.0) ** (power / np.float32(10.0)) for power in powers),
        tuple(days),
        float(10.0 ** (rng.uniform(*noise_db) / 10.0)),
    )


def _draw_coherence(rng: np.random.Generator, count: int) -> FloatArray:
    """Any coherence alike, and one patch in eight with none: water, ploughed land, fast-changing canopy."""
    drawn = rng.uniform(0.0, HIGHEST, count).astype(np.float32)
    drawn[rng.random(count) < 0.125] = 0.0
    return drawn


def _textures(rng: np.random.Generator, cover: IntArray, covers: int, families: Sequence[str]) -> FloatArray:
    """Common texture in dB: two drawings share the covers of a scene, each cover with a strength of its own."""
    total = np.zeros(cover.shape, np.float32)
    chosen = rng.integers(0, 2, covers)
    strength = rng.choice(np.array([0.0, 0.5, 1.0, 1.0, 1.5], np.float32), covers)
    for number in range(2):
        drawn = texture(rng, cover.shape, str(rng.choice(list(families))))
        total += np.where(chosen == number, strength, np.float32(0.0))[cover] * drawn
    return total


def _coherence(rng: np.random.Generator, cover: IntArray, covers: int, tie: Tie) -> FloatArray:
    """Coherence with the covers' layout, a layout of its own, or between the two; some scenes have one value."""
    if rng.random() < 0.12:
        return np.full(cover.shape, _draw_coherence(rng, 1)[0])
    own_share = {"tied": 0.0, "independent": 1.0, "mixed": float(rng.choice([0.0, 0.0, 0.5, 1.0, 1.0]))}[tie]
    coherence = np.zeros(cover.shape, np.float32)
    if own_share < 1.0:
        coherence += np.float32(1.0 - own_share) * _draw_coherence(rng, covers)[cover]
    if own_share > 0.0:
        layout = patches(rng, cover.shape)
        coherence += np.float32(own_share) * _draw_coherence(rng, int(layout.max()) + 1)[layout]
    if rng.random() < 0.3:
        coherence *= 1.0 + np.float32(0.25) * smooth_noise(rng, cover.shape, rng.uniform(5.0, 30.0))
    return coherence


def _draw_line(rng: np.random.Generator, decibels: FloatArray, coherence: FloatArray) -> None:
    """A road or a river, 1 to 6 px wide, winding or straight; most have a coherence of their own."""
    along, across = rotated(decibels.shape, rng.uniform(0.0, np.pi))
    across -= across.ravel()[rng.integers(across.size)]
    across += np.float32(rng.uniform(0.0, 8.0)) * np.sin(along / np.float32(rng.uniform(8.0, 40.0)))
    line = np.abs(across) < rng.uniform(0.5, 3.0)
    decibels[line] = rng.uniform(-20.0, -2.0)
    if rng.random() < 0.7:
        coherence[line] = _draw_coherence(rng, 1)[0]


def _scatter_targets(rng: np.random.Generator, decibels: FloatArray, coherence: FloatArray) -> None:
    """Bright targets, 4 to 20 dB above the ground, in clumps; very stable in half of the scenes."""
    density = np.exp(rng.uniform(np.log(3e-4), np.log(3e-2)))
    clump = smooth_noise(rng, decibels.shape, 20.0) > rng.uniform(-1.5, 1.0)
    there = clump & (rng.random(decibels.shape, dtype=np.float32) < density)
    count = int(there.sum())
    decibels[there] += rng.uniform(4.0, 20.0, count).astype(np.float32)
    if rng.random() < 0.5:
        coherence[there] = HIGHEST * rng.beta(5.0, 1.5, count)


def _change(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Change of brightness in dB between the dates: none, or some patches wetter, drier, grown or cut."""
    if rng.random() < 0.5:
        return np.zeros(shape, np.float32)
    layout = patches(rng, shape)
    count = int(layout.max()) + 1
    changed = np.where(rng.random(count) < 0.3, rng.normal(0.0, 2.0, count), 0.0) + rng.normal(0.0, 0.5)
    return changed.astype(np.float32)[layout]


def regular_days(rng: np.random.Generator, contexts: int) -> tuple[float, ...]:
    """Days of a pair 6 to 48 days apart, or 180 or 360, and of further passes of the same orbit around the first."""
    step = float(rng.choice([6.0, 12.0]))
    baseline = float(rng.choice([1, 1, 1, 2, 3, 4, 30])) * step
    around = [number * step for number in range(-6, 7) if number * step not in {0.0, baseline}]
    chosen: npt.NDArray[np.float64] = rng.choice(around, contexts, replace=False)
    return (0.0, baseline, *(float(day) for day in chosen))
