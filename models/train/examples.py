"""What a regressor learns from: coregistered pairs as logarithms, what further dates say, and the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.coherence.inputs import logarithm, summarise
from models.coregister import Shift, apply_shift
from models.simulate.draw import Recipe, Sample, draw

HalfArray = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Origin:
    """Where a real example comes from.

    Attributes
    ----------
    reference, secondary
        Dates of the images, YYYY-MM-DD.
    days
        From the one to the other.
    looks
        Independent samples in the window of its label.
    turns
        How often the phase turns within that window, None where noise hides it; a boxcar's label is worth less the
        more it does.
    block
        Number of the block that it lies in.
    line, sample
        Where it begins in the complex images.
    """

    reference: str
    secondary: str
    days: int
    looks: float
    turns: float | None
    block: int
    line: float
    sample: float


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
        Truth, float16, shape (size, size); NaN where it isn't known.
    spacing
        Pixel spacing in metres.
    origin
        Of a real pair; None for a simulated one.
    """

    images: HalfArray
    context: HalfArray
    dates: int
    coherence: HalfArray
    spacing: float
    origin: Origin | None = None


def simulated_example(seed: int, number: int, size: int) -> Example:
    """Scene `number` of a training run: every kind of ground, product and misregistration that is trained on."""
    rng = np.random.default_rng([seed, number, 1])
    recipe = Recipe(
        size=size,
        product=None,
        contexts=int(rng.integers(1, 6)) if rng.random() < 0.5 else 0,
        shift=float(rng.uniform(0.0, 4.0)) if rng.random() < 0.6 else 0.0,
        warp=float(rng.uniform(0.0, 1.2)) if rng.random() < 0.5 else 0.0,
        exponent=float(rng.choice([1.0, 1.0, 1.0, 0.6, 2.0])),
        noise_db=(-30.0, -20.0) if rng.random() < 0.6 else (-20.0, -11.0),
        homogeneous=bool(rng.random() < 0.05),
    )
    return as_example(draw(recipe, seed, number), rng)


def as_example(sample: Sample, rng: np.random.Generator) -> Example:
    """Coregister a sample as well as the pipeline would, and take logarithms."""
    # shifts are found to .03 to .05 px as a rule (tests/benchmarks/registration.py), and now and then badly
    residual = rng.normal(0.0, 0.06, 2) if rng.random() < 0.9 else rng.uniform(-0.4, 0.4, 2)
    if sample.registration != (0.0, 0.0):
        dy, dx = (found + left for found, left in zip(sample.registration, residual, strict=True))
        secondary = apply_shift(sample.secondary, Shift(float(dy), float(dx), quality=99.0))
    else:
        secondary = sample.secondary
    images = np.stack([logarithm(sample.reference), logarithm(secondary)])
    context = np.stack(summarise(sample.context, sample.reference.shape))
    return Example(
        images.astype(np.float16),
        context.astype(np.float16),
        len(sample.context),
        sample.coherence.astype(np.float16),
        sample.spacing,
    )
