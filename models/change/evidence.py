"""From maps of pairs and images to one normal score of a pass, or of an event: coherence lost, intensity changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.change.combine import fisher, smoothed
from models.change.departure import departure, logit_of_square, logit_variance, normal_mean
from models.change.null import Null
from models.change.omnibus import score, step, windowed, windowed_looks

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Rows of a window that are scored together: few enough that what is made on the way stays in the processor's cache.
STRIP = 64
# Side in pixels of the window over which intensities are averaged before they are tested.
WINDOW = 5


@dataclass(frozen=True)
class Tested:
    """One pair, and the pairs that it is held against: positions in the list of pairs."""

    pair: int
    normal: tuple[int, ...]


@dataclass(frozen=True)
class Target:
    """What is tested: the pairs that look across one moment, and the first image after it.

    Attributes
    ----------
    baselines
        The tested pairs, those of like temporal baseline together.
    image, others
        Position of the image in the list of passes, and of those that it is held against; no others: not tested.
    """

    baselines: tuple[tuple[Tested, ...], ...]
    image: int
    others: tuple[int, ...]


@dataclass(frozen=True)
class Scene:
    """All that is known of one window, by polarisation.

    Attributes
    ----------
    coherence, sigma
        Of every pair, shape (pairs, height, width).
    images
        Of every pass, windowed means of linear power, shape (passes, height, width); none where intensity is off.
    """

    coherence: tuple[FloatArray, ...]
    sigma: tuple[FloatArray, ...]
    images: tuple[FloatArray, ...]
    looks: float

    def strip(self, top: int, bottom: int) -> Scene:
        """The scene's rows from `top` up to `bottom`."""
        coherence, sigma, images = (
            tuple(each[:, top:bottom] for each in quantity) for quantity in (self.coherence, self.sigma, self.images)
        )
        return Scene(coherence, sigma, images, self.looks)

    @property
    def x(self) -> list[tuple[FloatArray, FloatArray]]:
        """logit(coherence^2) and its variance, by polarisation."""
        return [(logit_of_square(c), logit_variance(c, s)) for c, s in zip(self.coherence, self.sigma, strict=True)]


def make_scene(
    coherence: Sequence[FloatArray], sigma: Sequence[FloatArray], images: Sequence[FloatArray], spacing: float
) -> Scene:
    """A scene from maps and images as they are, one entry a polarisation; images are averaged over `WINDOW` pixels."""
    averaged = tuple(np.stack(list(windowed(series, WINDOW))) for series in images)
    return Scene(tuple(coherence), tuple(sigma), averaged, windowed_looks(spacing, WINDOW))


def coherence_scores(scene: Scene, targets: Sequence[Target]) -> list[FloatArray]:
    """Raw score of the coherence lost at each target: added over polarisations, the greatest of the baselines.

    A change that heals at once is seen by the pairs that look across it only, and later passes have such pairs of long
    baselines only: hence the greatest, and not a mean, which they would drown in.
    """
    maps = scene.x

    def of_band(target: Target, x: FloatArray, variance: FloatArray) -> FloatArray:
        by_baseline = [
            _mean([departure(x, variance, one.pair, one.normal) for one in like]) for like in target.baselines
        ]
        greatest = by_baseline[0]
        for other in by_baseline[1:]:
            greatest = np.fmax(greatest, other)
        return greatest

    return [np.sum([of_band(target, *both) for both in maps], axis=0, dtype=np.float32) for target in targets]


def intensity_scores(scene: Scene, targets: Sequence[Target]) -> list[FloatArray]:
    """Raw score of the intensity's change at each target, by the omnibus test's step; added over polarisations."""
    there = [np.isfinite(images) for images in scene.images]
    power = [np.where(known, images, np.float32(0)) for known, images in zip(there, scene.images, strict=True)]

    def of_band(target: Target, there: BoolArray, power: FloatArray) -> FloatArray:
        others = list(target.others)
        statistic = step(power[others].sum(axis=0), there[others].sum(axis=0), power[target.image], scene.looks)
        known = there[target.image] & np.isfinite(statistic)
        return np.where(known, score(np.where(known, statistic, 0.0)), np.float32(np.nan)).astype(np.float32)

    return [
        np.sum([of_band(target, *both) for both in zip(there, power, strict=True)], axis=0, dtype=np.float32)
        for target in targets
    ]


def raw_scores(scene: Scene, targets: Sequence[Target]) -> list[tuple[FloatArray, FloatArray | None]]:
    """Coherence's and intensity's raw score of each target; None for the second where the scene has no images.

    They are scores of single pixels, so the scene is taken strip by strip: what is made on the way is smaller.
    """
    parts = [scene.strip(top, top + STRIP) for top in range(0, scene.coherence[0].shape[1], STRIP)]
    coherence = _joined([coherence_scores(part, targets) for part in parts])
    if not scene.images:
        return [(one, None) for one in coherence]
    return list(zip(coherence, _joined([intensity_scores(part, targets) for part in parts]), strict=True))


def _joined(parts: Sequence[Sequence[FloatArray]]) -> list[FloatArray]:
    """Scores of whole windows from those of their strips: one entry a target."""
    return [np.concatenate(of_target) for of_target in zip(*parts, strict=True)]


def opinions(coherence: FloatArray, intensity: FloatArray | None, nulls: Sequence[Null]) -> list[FloatArray]:
    """Raw scores, each as a normal one by its own null."""
    found = [nulls[0].normal(coherence)]
    if intensity is not None:
        found.append(nulls[1].normal(intensity))
    return found


def combined(opinions: list[FloatArray]) -> FloatArray:
    """All opinions as one score, averaged over the neighbourhood."""
    return smoothed(fisher(opinions))


def coherence_loss(scene: Scene, target: Target) -> FloatArray:
    """Normal minus tested coherence: the greatest of the baselines, mean over polarisations."""
    losses = []
    for coherence in scene.coherence:
        greatest = np.full(coherence.shape[1:], np.nan, np.float32)
        for like in target.baselines:
            drop = _mean([normal_mean(coherence, one.normal) - coherence[one.pair] for one in like])
            greatest = np.fmax(greatest, drop)
        losses.append(greatest)
    return _mean(losses)


def _mean(arrays: Sequence[FloatArray]) -> FloatArray:
    """Mean of what is known."""
    if len(arrays) == 1:
        return arrays[0]
    return normal_mean(np.stack(arrays), range(len(arrays)))
