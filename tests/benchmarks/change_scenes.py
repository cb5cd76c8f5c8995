"""Simulated series with a known change, for the change benchmark: a landscape, and ground of unseen textures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from models.estimator import Estimator
from models.simulate.families import HELD_OUT_FAMILIES, TRAINING_FAMILIES
from models.simulate.fields import patches
from models.simulate.product import GRD_10M
from models.simulate.random_scene import Scene as RandomScene
from models.simulate.random_scene import random_scene
from models.simulate.scene import Scene
from models.simulate.series import Covariance, draw_images

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

INTERVAL = 12
"""Days between passes."""
MONITORED, QUIET = 6, 2
"""Passes after the normal ones, and how many of these still lie before the change."""
LAGS = (1, 2, 3)
"""Pairs of 12, 24 and 36 days."""
SIZE = 256
STRUCK = 0.24
"""Share of the patches of random ground that change."""
EDGE = 24
"""Pixels cut from a scene's border, where windows are not full."""


@dataclass(frozen=True)
class Calendar:
    """Passes: first those that monitoring takes as normal, then `MONITORED` more."""

    normal: int

    @property
    def passes(self) -> int:
        """Passes in all."""
        return self.normal + MONITORED

    @property
    def before(self) -> int:
        """How many of them lie before the change."""
        return self.normal + QUIET

    @property
    def days(self) -> list[float]:
        """Days since the first pass."""
        return [float(INTERVAL * number) for number in range(self.passes)]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Every pair of the series, earlier pass first, in the order of time."""
        return sorted((first, first + lag) for lag in LAGS for first in range(self.passes - lag))


@dataclass(frozen=True)
class Series:
    """A series with its truth.

    Attributes
    ----------
    images
        Linear power by polarisation, shape (passes, height, width).
    changed
        Where the ground changed.
    """

    images: dict[str, FloatArray]
    changed: BoolArray


def landscape(seed: int, calendar: Calendar, *, changed: bool) -> Series:
    """The landscape of the demo around its town: a quarter falls, fields are flooded; VV and VH."""
    event = (calendar.before - 0.5) * INTERVAL if changed else None
    scene = Scene(seed, calendar.days, event=event, memory=2**28)
    corner = -SIZE // 2
    images = {
        band: np.stack([scene.read(number, band, corner, corner, SIZE, SIZE) for number in range(calendar.passes)])
        for band in ("VV", "VH")
    }
    return Series(images, scene.event_mask(corner, corner, SIZE, SIZE))


def random_ground(seed: int, calendar: Calendar, families: tuple[str, ...], *, changed: bool) -> Series:
    """Random covers with textures of these families; patches lose their coherence, for a while or for good; VV.

    Of the patches struck, one kind loses part of its scatterers and is then as coherent as before (collapse), one stays
    without coherence and changes its brightness (flood), one loses all at once and its brightness stays.
    """
    rng = np.random.default_rng([seed, 77])
    side = SIZE
    ground = random_scene(rng, (side, side), families=families, days=tuple(calendar.days))
    layout = patches(rng, (side, side))
    count = int(layout.max()) + 1
    kinds = np.zeros(count, np.int64)
    struck = rng.permutation(count)[: max(1, round(STRUCK * count))] if changed else np.zeros(0, np.int64)
    kinds[struck] = rng.integers(1, 4, struck.size)
    kind = kinds[layout]
    survival = np.select([kind == 1, kind > 1], [rng.uniform(0.1, 0.5, count)[layout], 0.0], 1.0).astype(np.float32)
    brighter = np.where(kind == 2, rng.choice([-5.0, -3.0, 3.0], count)[layout], 0.0).astype(np.float32)
    covariance = _covariance(ground, calendar, survival, kind == 2, brighter)
    images, _ = draw_images(covariance, GRD_10M, rng, [(0.0, 0.0)] * calendar.passes)
    return Series({"VV": np.stack(images)}, kind > 0)


def _covariance(
    ground: RandomScene, calendar: Calendar, survival: FloatArray, lost: BoolArray, brighter: FloatArray
) -> Covariance:
    before = calendar.before
    change = np.float32(10.0) ** (brighter / np.float32(10.0))
    powers = [
        power * (change if number >= before else np.float32(1)) for number, power in enumerate(ground.backscatter)
    ]
    rows = []
    for late in range(calendar.passes):
        row = []
        for early in range(late):
            kept = ground.coherence_between(early, late)
            if late >= before:
                kept = np.where(lost, np.float32(0), kept * (survival if early < before else np.float32(1)))
            row.append(kept * np.sqrt(powers[early] * powers[late]))
        rows.append([*row, powers[late] + np.float32(ground.noise)])
    return rows


SETS: dict[str, Callable[..., Series]] = {
    "landscape": landscape,
    "familiar textures": partial(random_ground, families=TRAINING_FAMILIES),
    "unseen textures": partial(random_ground, families=HELD_OUT_FAMILIES),
}


def estimate(series: Series, calendar: Calendar, estimator: Estimator) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Coherence and sigma of every pair by polarisation, shown the nearest further dates as in the pipeline."""
    found = {}
    for band, images in series.images.items():
        maps = []
        for first, second in calendar.pairs:
            middle = (first + second) / 2
            others = sorted(set(range(calendar.passes)) - {first, second}, key=lambda n: (abs(n - middle), n))
            context = [images[n] for n in sorted(others[: estimator.context])]
            maps.append(estimator.estimate(images[first], images[second], context))
        found[band] = (np.stack([c for c, _ in maps]), np.stack([s for _, s in maps]))
    return found
