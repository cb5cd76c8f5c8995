"""What a regressor learns from: coregistered pairs as logarithms, what further dates say, and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.coregister import Shift, apply_shift
from models.estimator import FloatArray
from models.simulate.draw import Recipe, Sample, draw

HalfArray = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Example:
    """One scene, halves of precision being enough for a logarithm.

    Attributes
    ----------
    images
        Natural logarithm of the linear power of reference and secondary, NaN where that isn't positive;
        float16, shape (2, size, size).
    context
        Mean and standard deviation of further dates' logarithms; float16, shape (2, size, size), zero where there
        are none.
    dates
        Number of further dates.
    coherence
        Truth, float16, shape (size, size).
    """

    images: HalfArray
    context: HalfArray
    dates: int
    coherence: HalfArray


def logarithm(image: FloatArray) -> FloatArray:
    """Natural logarithm of power, NaN where there is none."""
    positive = image > 0
    log: FloatArray = np.where(positive, np.log(np.where(positive, image, np.float32(1.0))), np.float32(np.nan))
    return log


def summarise(context: Sequence[FloatArray], shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the logarithms of further dates, over those that have data at a pixel.

    Both are zero without any; the deviation is zero with one date.
    """
    count, total, square = (np.zeros(shape, np.float32) for _ in range(3))
    for image in context:
        log = logarithm(image)
        there = np.isfinite(log)
        log[~there] = 0.0
        count += there
        total += log
        square += log**2
    most = np.maximum(count, np.float32(1.0))
    mean = np.divide(total, most, dtype=np.float32)
    spread = np.sqrt(
        np.maximum(square / most - mean**2, np.float32(0.0)) * most / np.maximum(most - 1, np.float32(1.0))
    )
    return mean, np.where(count > 1, spread, np.float32(0.0))


def simulated_example(seed: int, number: int, size: int) -> Example:
    """Scene `number` of a training run: every kind of ground, product and misregistration that is trained on."""
    rng = np.random.default_rng([seed, number, 1])
    recipe = Recipe(
        size=size,
        product=None,
        contexts=int(rng.integers(1, 6)) if rng.random() < 0.35 else 0,
        shift=float(rng.uniform(0.0, 4.0)) if rng.random() < 0.6 else 0.0,
        warp=float(rng.uniform(0.0, 1.2)) if rng.random() < 0.5 else 0.0,
        exponent=float(rng.choice([1.0, 1.0, 1.0, 0.6, 2.0])),
        noise_db=(-30.0, -20.0) if rng.random() < 0.6 else (-20.0, -11.0),
        homogeneous=bool(rng.random() < 0.05),
    )
    return as_example(draw(recipe, seed, number), rng)


def as_example(sample: Sample, rng: np.random.Generator) -> Example:
    """Coregister a sample as well as the pipeline would, and take logarithms."""
    residual = rng.normal(0.0, 0.1, 2) if rng.random() < 0.85 else rng.uniform(-0.5, 0.5, 2)
    if sample.registration != (0.0, 0.0):
        dy, dx = (found + left for found, left in zip(sample.registration, residual, strict=True))
        secondary = apply_shift(sample.secondary, Shift(float(dy), float(dx), quality=99.0))
    else:
        secondary = sample.secondary
    images = np.stack([logarithm(sample.reference), logarithm(secondary)])
    context = np.stack(summarise(sample.context, sample.reference.shape))
    return Example(
        images.astype(np.float16), context.astype(np.float16), len(sample.context), sample.coherence.astype(np.float16)
    )


@dataclass(frozen=True)
class Shard:
    """Examples of one file: arrays as in `Example`, with one more axis in front."""

    images: HalfArray
    context: HalfArray
    dates: npt.NDArray[np.int64]
    coherence: HalfArray

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Shard:
        """Examples stacked."""
        return cls(
            np.stack([example.images for example in examples]),
            np.stack([example.context for example in examples]),
            np.array([example.dates for example in examples]),
            np.stack([example.coherence for example in examples]),
        )

    def save(self, path: Path) -> None:
        """Write, whole or not at all."""
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, images=self.images, context=self.context, dates=self.dates, coherence=self.coherence)
        partial.rename(path)

    @classmethod
    def load(cls, path: Path) -> Shard:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(stored["images"], stored["context"], stored["dates"], stored["coherence"])


def shard_path(folder: Path, number: int) -> Path:
    """Where shard `number` lies."""
    return folder / f"shard-{number:05d}.npz"


def make_shard(folder: Path, number: int, *, seed: int, count: int, size: int) -> Path:
    """Simulate a shard, unless it is there already."""
    path = shard_path(folder, number)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        Shard.of([simulated_example(seed, number * count + place, size) for place in range(count)]).save(path)
    return path
