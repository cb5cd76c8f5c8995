"""A real SLC pair against its own complex coherence: ``python -m tests.benchmarks.amsterdam [ESTIMATOR ...]``.

Sentinel-1, IW3, VV, 12 days, 84 lines of 200 samples over central Amsterdam. The pair is detected in several ways, each
estimator sees the two detected images only, and its answer, brought back to the samples of the SLC, is correlated with
the complex coherence in 5 x 19 samples, whose bias is removed. One dense city: it shows whether an estimator works on
real speckle, not how accurate it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pyproj import Geod
from rich.console import Console
from rich.progress import track
from scipy import ndimage

from models import registry
from models.estimator import Estimator, FloatArray
from models.evaluate.contenders import CLASSICAL, Contender, Oracle, Scene, open_contenders, register
from models.evaluate.scores import Scores, measure, summarise
from models.evaluate.tables import Table, number
from models.simulate.speckle import ComplexArray
from models.slc.coherence import independent_looks, sample_coherence, unbiased
from models.slc.detect import FACTOR, intensity, on_pixels, range_looks

DoubleArray = npt.NDArray[np.float64]

FOLDER = Path(__file__).resolve().parents[2] / "../shared/data/s1-slc-pair-amsterdam-east"
WINDOW = (5, 19)
"""Lines and samples of the complex coherence's window: 69 m by 66 m."""
WINDOWED, WINDOWS = ("log-moments", "log-correlation", "guarnieri-prati"), (7, 11, 15, 21)
"""Classical estimators tried at several windows, in pixels."""
CROPS = (2, 3)
"""Lines and samples by which the pair is cropped in turn."""
NOMINAL = 10.0
"""Pixel spacing in metres that estimators are told, whatever the sampling: it is what they were made for."""
CLAIMED = 0.70
"""What the issue asks of SLC amplitude."""


@dataclass(frozen=True)
class Sampling:
    """A way to detect the pair.

    Attributes
    ----------
    name, summary
        What it is called, and how it is made.
    detect
        Complex image and its spacing (metres along azimuth and ground range) to linear power.
    pixel
        Size of the pixels in metres, given the spacing.
    """

    name: str
    summary: str
    detect: Callable[[ComplexArray, tuple[float, float]], FloatArray]
    pixel: Callable[[tuple[float, float]], tuple[float, float]]


def _as_it_is(image: ComplexArray, _spacing: tuple[float, float]) -> FloatArray:
    power: FloatArray = np.abs(image) ** 2
    return power


def _four_in_range(image: ComplexArray, spacing: tuple[float, float]) -> FloatArray:
    power = _as_it_is(image, spacing)
    averaged: FloatArray = power[:, : power.shape[1] // 4 * 4].reshape(power.shape[0], -1, 4).mean(axis=-1)
    return averaged


def _averaged(pixel: float) -> Callable[[ComplexArray, tuple[float, float]], FloatArray]:
    return lambda image, spacing: on_pixels(intensity(image), spacing, pixel)


def _grd_like(image: ComplexArray, spacing: tuple[float, float]) -> FloatArray:
    return on_pixels(range_looks(image, spacing[1]), spacing, 10.0)


SAMPLINGS = (
    Sampling("SLC as it is", "|SLC|^2, one sample a pixel", _as_it_is, lambda spacing: spacing),
    Sampling("4 in range", "|SLC|^2, four samples in range averaged", _four_in_range, lambda s: (s[0], 4.0 * s[1])),
    Sampling(
        "twice azimuth",
        "azimuth interpolated twofold before detection, range as it is",
        lambda image, _: intensity(image)[:, ::FACTOR],
        lambda spacing: (spacing[0] / FACTOR, spacing[1]),
    ),
    Sampling("5 m", "oversampled, detected, averaged onto 5 m", _averaged(5.0), lambda _: (5.0, 5.0)),
    Sampling("10 m", "oversampled, detected, averaged onto 10 m", _averaged(10.0), lambda _: (10.0, 10.0)),
    Sampling("GRD-like", "five range looks, 10 m", _grd_like, lambda _: (10.0, 10.0)),
)


@dataclass(frozen=True)
class RealPair:
    """The two complex images, and what their phase says.

    Attributes
    ----------
    spacing
        Metres between lines and between samples, on the ground.
    looks
        Independent samples in the coherence's window.
    coherence
        Of the complex pair, its bias removed.
    """

    images: tuple[ComplexArray, ComplexArray]
    spacing: tuple[float, float]
    looks: float
    coherence: FloatArray


def read_pair(folder: Path = FOLDER) -> RealPair:
    """The pair as it lies in the shared folder."""
    reference, secondary = (np.load(folder / f"slc_{day}.npy") for day in ("20230331", "20230319"))
    latitude, longitude = (np.load(folder / f"{name}.npy").astype(np.float64) for name in ("latitude", "longitude"))
    looks = independent_looks(reference, WINDOW)
    return RealPair(
        (reference, secondary),
        (_ground_spacing(latitude, longitude, 0), _ground_spacing(latitude, longitude, 1)),
        looks,
        unbiased(sample_coherence(reference, secondary, WINDOW), looks),
    )


def _ground_spacing(latitude: DoubleArray, longitude: DoubleArray, axis: int) -> float:
    """Mean metres from one line, or sample, to the next."""
    last = latitude.shape[axis] - 1
    (east_0, north_0), (east_1, north_1) = ((longitude.take(end, axis), latitude.take(end, axis)) for end in (0, last))
    metres = Geod(ellps="WGS84").inv(east_0, north_0, east_1, north_1)[2]
    return float(np.mean(metres)) / float(last)


def crops(pair: RealPair) -> list[RealPair]:
    """The pair without its first lines and samples: pixels of a square grid then lie elsewhere on the ground.

    On so small a piece r changes by several hundredths with that, so it is averaged over them.
    """
    return [
        replace(
            pair,
            images=(pair.images[0][line:, sample:], pair.images[1][line:, sample:]),
            coherence=pair.coherence[line:, sample:],
        )
        for line, sample in product(range(CROPS[0]), range(CROPS[1]))
    ]


def scene_of(pair: RealPair, sampling: Sampling) -> Scene:
    """The pair as an estimator gets it: detected, and registered as any pair is."""
    reference, secondary = (sampling.detect(image, pair.spacing) for image in pair.images)
    return register(reference, secondary, spacing=NOMINAL)


def score(estimate: FloatArray, pair: RealPair, sampling: Sampling) -> Scores:
    """An estimate, read at the samples of the SLC, against the complex coherence."""
    pixel = sampling.pixel(pair.spacing)
    places = [
        (np.arange(side) + 0.5) * step / width - 0.5
        for side, step, width in zip(pair.coherence.shape, pair.spacing, pixel, strict=True)
    ]
    read = ndimage.map_coordinates(estimate, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest")
    return summarise([measure(read, pair.coherence)])


def log_amplitude_correlation(pair: RealPair) -> FloatArray:
    """Local correlation of the log-amplitudes in the complex coherence's own window: the crude figure to beat."""
    first, second = (np.log(np.maximum(np.abs(image), 1e-6)).astype(np.float64) for image in pair.images)

    def mean(image: DoubleArray) -> DoubleArray:
        return ndimage.uniform_filter(image, WINDOW, mode="nearest")

    covariance = mean(first * second) - mean(first) * mean(second)
    variances = [np.maximum(mean(image**2) - mean(image) ** 2, 1e-9) for image in (first, second)]
    correlation: FloatArray = (covariance / np.sqrt(variances[0] * variances[1])).astype(np.float32)
    return correlation


Answer = Callable[[Scene], FloatArray]


def correlations(pair: RealPair, answer: Answer) -> list[str]:
    """At every sampling, the mean of r over the crops, and its standard deviation."""
    cells = []
    for sampling in SAMPLINGS:
        values = [score(answer(scene_of(crop, sampling)), crop, sampling).r for crop in crops(pair)]
        cells.append("" if np.isnan(values).any() else f"{np.mean(values):.2f} ± {np.std(values):.2f}")
    return cells


def of_contender(contender: Contender) -> Answer:
    """Its coherence, without sigma."""
    return lambda scene: contender.answer(scene)[0]


def of_estimator(estimator: Estimator) -> Answer:
    """Its coherence, without sigma."""
    return lambda scene: estimator.estimate(scene.reference, scene.secondary)[0]


_HEADINGS = ("estimator", *(sampling.name for sampling in SAMPLINGS))


def contender_table(pair: RealPair, contenders: list[Contender]) -> Table:
    """r of every contender at every sampling."""
    rows = [(each.name, *correlations(pair, of_contender(each))) for each in track(contenders, "contenders")]
    crude = score(log_amplitude_correlation(pair), pair, SAMPLINGS[0])
    rows.append((f"log amplitudes in {WINDOW[0]} x {WINDOW[1]}", number(crude.r, ".2f"), *("",) * (len(SAMPLINGS) - 1)))
    return Table("r with the complex coherence, by sampling", _HEADINGS, tuple(rows))


def window_table(pair: RealPair) -> Table:
    """r of the classical estimators by window: a city's coherence varies within less than their usual windows."""
    tried = [
        (info.name, window)
        for info in registry.available()
        for window in WINDOWS
        if info.name in WINDOWED and window in info.windows
    ]
    rows = [
        (
            f"{name} {window} px",
            *correlations(pair, of_estimator(registry.get(name, window=window, spacing=NOMINAL, device="cpu"))),
        )
        for name, window in track(tried, "windows")
    ]
    return Table("calibrated classical estimators by window", _HEADINGS, tuple(rows))


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("estimators", nargs="*", default=[CLASSICAL], help="as `cohmap evaluate` takes them")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", type=Path, help="also write the tables to this Markdown file")
    given = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=160)
    if not FOLDER.is_dir():
        console.print(f"skipped: the SLC pair is not at {FOLDER}")
        return
    pair = read_pair()
    contenders = [
        contender
        for contender in open_contenders(given.estimators, contexts=0, device=given.device)
        if not isinstance(contender, Oracle)
    ]
    console.print(
        f"spacing {pair.spacing[0]:.2f} m x {pair.spacing[1]:.2f} m; {WINDOW[0]} x {WINDOW[1]} samples hold "
        f"{pair.looks:.0f} independent ones; coherence without its bias: mean {pair.coherence.mean():.3f}, "
        f"spread {pair.coherence.std():.3f}; r is the mean ± standard deviation over {CROPS[0] * CROPS[1]} crops"
    )
    tables = [contender_table(pair, contenders), window_table(pair)]
    for table in tables:
        console.print(table.to_rich())
    console.print("\n".join(f"{sampling.name}: {sampling.summary}" for sampling in SAMPLINGS))
    console.print(f"asked for: r >= {CLAIMED:.2f} from SLC amplitude")
    if given.write:
        given.write.write_text("\n".join(table.to_markdown() for table in tables), encoding="utf-8")


if __name__ == "__main__":
    main()
