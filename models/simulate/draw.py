"""Draw simulated pairs, or short series, by recipe: for training, for calibration and for scoring."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from scipy import fft, ndimage

from models.errors import ModelError
from models.simulate.families import FAMILIES, TRAINING_FAMILIES
from models.simulate.fields import FloatArray
from models.simulate.geometry import Placement, Resampling, place, warp
from models.simulate.mixture import mixed_product
from models.simulate.pair import resolved_coherence
from models.simulate.product import GRD_10M, Product
from models.simulate.random_scene import HIGHEST, MOST_CONTEXTS, Scene, Tie, flat_scene, random_scene, regular_days
from models.simulate.series import Covariance, draw_images
from models.simulate.speckle import MARGIN, ComplexArray

LOOKS_10X2 = replace(GRD_10M, name="LOOKS_10X2", looks=10, look_fraction=0.14, resampling="bilinear")
TURNING = 0.07
"""Margin, as a share of the side, that lets a map be turned by 9 degrees in the radar image."""
SINGLE_LOOK = replace(GRD_10M, name="SINGLE_LOOK", looks=1)
LEAST_SIZE = 16
"""Smaller scenes are all edge: an impulse response and its margin on either side leave nothing between them."""


@dataclass(frozen=True)
class Recipe:
    """What to simulate.

    Attributes
    ----------
    size
        Side in pixels.
    product
        Kind of image; None: a mix, each a little different from what it should be.
    contexts
        Further dates beside the pair.
    shift
        Misregistration of the secondary in pixels, in a random direction.
    warp
        Greatest smooth local displacement of the secondary in pixels.
    families
        Texture families to draw from (`models.simulate.families`).
    exponent
        Coherence is raised to this power.
    noise_db
        Range of the noise-equivalent backscatter in dB; ground lies at about -11 dB.
    tie
        Whether coherence has the layout of the covers.
    homogeneous
        One coherence and one brightness everywhere, no noise, nothing resampled, no further dates.
    oracle_window
        Side in pixels of the window for `Sample.oracle`, odd; 0 for none.

    Raises
    ------
    ModelError
        No scene can be drawn so; the sentence says which setting is to blame.
    """

    size: int = 256
    product: Product | None = GRD_10M
    contexts: int = 0
    shift: float = 0.0
    warp: float = 0.0
    families: tuple[str, ...] = TRAINING_FAMILIES
    exponent: float = 1.0
    noise_db: tuple[float, float] = (-30.0, -20.0)
    tie: Tie = "mixed"
    homogeneous: bool = False
    oracle_window: int = 0

    def __post_init__(self) -> None:
        reach = 0.5 * self.size
        low, high = self.noise_db
        unknown = next((name for name in self.families if name not in FAMILIES), None)
        # comparisons are put so that NaN fails them
        for met, sentence in (
            (self.size >= LEAST_SIZE, f"a scene is at least {LEAST_SIZE} pixels wide, not {self.size}"),
            (0.0 <= self.shift <= reach, f"shift lies between 0 and half the scene, {reach:g} px, not {self.shift}"),
            (0.0 <= self.warp <= reach, f"warp lies between 0 and half the scene, {reach:g} px, not {self.warp}"),
            (0 <= self.contexts <= MOST_CONTEXTS, f"contexts lies between 0 and {MOST_CONTEXTS}, not {self.contexts}"),
            (0.0 < self.exponent < math.inf, f"exponent must be a positive number, not {self.exponent}"),
            (-math.inf < low <= high < math.inf, f"noise_db is a range from low to high in dB, not {self.noise_db}"),
            (len(self.families) > 0, "families is empty; name one texture family at least, 'smooth' for none"),
            (unknown is None, f"unknown texture family '{unknown}'; there are: {', '.join(FAMILIES)}"),
            (self.tie in get_args(Tie), f"unknown tie '{self.tie}'; choose one of {', '.join(get_args(Tie))}"),
            (
                self.oracle_window == 0 or (self.oracle_window % 2 and 0 < self.oracle_window <= self.size),
                f"oracle_window is odd and no wider than the scene, or 0 for none, not {self.oracle_window}",
            ),
        ):
            if not met:
                raise ModelError(sentence)


@dataclass(frozen=True)
class Sample:
    """A drawn pair and its truth.

    Attributes
    ----------
    reference, secondary
        Linear power, float32, shape (size, size); 0 where noise subtraction left nothing.
    context
        Further dates, alike.
    coherence
        Population coherence of the pair's complex samples over each pixel's resolution cell, noise included.
    registration
        Rows and columns in pixels by which the secondary lies too far down and right.
    spacing
        Pixel spacing in metres.
    oracle
        Sample coherence of the focused complex pair in a boxcar: what the best of radars' own data would give.
    """

    reference: FloatArray
    secondary: FloatArray
    context: tuple[FloatArray, ...]
    coherence: FloatArray
    registration: tuple[float, float]
    spacing: float
    oracle: FloatArray | None


def draw(recipe: Recipe, seed: int, number: int) -> Sample:
    """Draw one sample; everything follows from the recipe, the seed and the number."""
    rng = np.random.default_rng([seed, number])
    if recipe.product is None:
        recipe = _settled(recipe, mixed_product(rng))
    product = recipe.product or GRD_10M
    placement, side = _placement(rng, recipe, product)
    scene = _scene(rng, recipe, side)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    registration = (recipe.shift * math.sin(angle), recipe.shift * math.cos(angle))

    dates = len(scene.days)
    offsets = rng.uniform(-0.5, 0.5, (dates, 2)) * (placement.resampling != "none")
    # the image lies further down and right for its misregistration, and for beginning earlier than the radar's grid
    shifts = [(-float(row), -float(col)) for row, col in offsets]
    shifts[1] = (shifts[1][0] + registration[0], shifts[1][1] + registration[1])
    images, samples = draw_images(_covariance(scene), product, rng, shifts, focused=2 if recipe.oracle_window else 0)
    subtracted = scene.noise * rng.uniform(0.9, 1.05) * float(rng.random() < 0.5)
    seen = []
    for number_of_date, (image, offset) in enumerate(zip(images, offsets, strict=True)):
        # the reference stays where the truth is; further dates lie as they may
        length = (0.0, recipe.warp)[number_of_date] if number_of_date < 2 else rng.uniform(0.0, recipe.warp)
        moved = placement.moved(warp(rng, recipe.size, length) if length > 0 else None)
        sampled = moved.sample(image, offset=(float(offset[0]), float(offset[1]))) * placement.shading
        seen.append(np.maximum(sampled - np.float32(subtracted), np.float32(0.0)))
    truth = placement.sample(_truth(scene, product), as_product=False)
    oracle = placement.sample(_boxcar(samples, product, recipe.oracle_window), as_product=False) if samples else None
    return Sample(
        seen[0],
        seen[1],
        tuple(seen[2:]),
        truth.clip(0.0, 1.0),
        placement.on_map(*registration),
        product.spacing,
        oracle,
    )


def _settled(recipe: Recipe, product: Product) -> Recipe:
    """The recipe with a product of its own; what lies apart by so many metres is fewer of its pixels."""
    scale = GRD_10M.spacing / product.spacing
    return replace(recipe, product=product, shift=recipe.shift * scale, warp=recipe.warp * scale)


def _placement(rng: np.random.Generator, recipe: Recipe, product: Product) -> tuple[Placement, int]:
    """Where the map lies in the radar image, and the side of that."""
    resampling: Resampling = "none"
    relief = False
    if not recipe.homogeneous:
        resampling = rng.choice(np.array(["none", "nearest", "bilinear"]), p=[0.5, 0.2, 0.3]).item()
        relief = rng.random() < 0.3
    if product.resampling == "average" or product.undersampled:
        # such products are projected from the single-look image straight onto the map: resampled once more, the
        # averages would be too smooth, and what lies between the pixels of the other would be lost
        resampling, relief = "none", False
    margin = MARGIN + math.ceil(recipe.shift + recipe.warp) + 6 * relief
    if resampling != "none":
        margin += 6 + round(TURNING * recipe.size)
    side = fft.next_fast_len(recipe.size + 2 * margin)
    return place(rng, recipe.size, (side - recipe.size) // 2, resampling, relief=relief), side


def _scene(rng: np.random.Generator, recipe: Recipe, side: int) -> Scene:
    if recipe.homogeneous:
        return flat_scene(float(rng.uniform(0.0, HIGHEST)) ** recipe.exponent, (side, side))
    return random_scene(
        rng,
        (side, side),
        families=recipe.families,
        tie=recipe.tie,
        exponent=recipe.exponent,
        noise_db=recipe.noise_db,
        days=regular_days(rng, recipe.contexts),
    )


def _covariance(scene: Scene) -> Covariance:
    """Covariance of what is received at each pair of dates: thermal noise is on the diagonal only."""
    roots = [np.sqrt(power) for power in scene.backscatter]
    return [
        [
            *(scene.coherence_between(i, j) * roots[i] * roots[j] for j in range(i)),
            scene.backscatter[i] + np.float32(scene.noise),
        ]
        for i in range(len(scene.days))
    ]


def _truth(scene: Scene, product: Product) -> FloatArray:
    first, second = scene.backscatter[:2]
    common = scene.coherence * np.sqrt(first * second)
    noise = np.float32(scene.noise)
    return resolved_coherence(common, first + noise, second + noise, product)


def _boxcar(samples: list[ComplexArray], product: Product, window: int) -> FloatArray:
    """Sample coherence of two focused images over `window` pixels, at each pixel."""
    first, second = samples
    cross = np.abs(_windowed(first * np.conj(second), product, window))
    powers = [np.abs(_windowed((np.abs(image) ** 2).astype(np.complex64), product, window)) for image in samples]
    coherence: FloatArray = (cross / np.sqrt(np.maximum(powers[0] * powers[1], 1e-30))).astype(np.float32)
    return coherence.clip(0.0, 1.0)


def _windowed(samples: ComplexArray, product: Product, window: int) -> ComplexArray:
    """Mean over the samples of `window` x `window` pixels, periodic."""
    rows, cols = product.samples
    height, width = samples.shape[0] // rows, samples.shape[1] // cols
    cells: ComplexArray = samples.reshape(height, rows, width, cols).mean(axis=(1, 3))
    parts = [ndimage.uniform_filter(part, window, mode="wrap") for part in (cells.real, cells.imag)]
    return (parts[0] + 1j * parts[1]).astype(np.complex64)
