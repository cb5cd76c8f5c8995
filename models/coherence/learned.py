"""A trained network as an estimator: pad, show, mask."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from models.ahead import Maps, fetched
from models.coherence.blocks import Window, blocks
from models.coherence.device import resolve_device
from models.coherence.examples import example_features
from models.coherence.graphs import trunk_graph
from models.coherence.inputs import summarised
from models.coherence.network import CoherenceNetwork, Weights
from models.coherence.spacing import LEARNED, nearest_spacing
from models.coherence.stem import box, is_whole
from models.coherence.trim import Sides, around
from models.errors import ModelError
from models.estimator import FloatArray, require_one_shape, within
from models.runtimes.choice import BF16, INT8, PYTORCH, ROUNDED, Runner, open_runner, resolve_runtime
from models.runtimes.eager import EagerRunner
from models.runtimes.int8 import Int8Runner, Ranges, measure_ranges
from models.runtimes.transfers import open_transfers

SHIPPED = Path(__file__).with_name("trained")
"""Weights that come with the package, and their cards."""
CODE_VERSION = "2"
"""Raised whenever the numbers change for a reason other than new weights."""

SURROUNDINGS = 15
"""Side in pixels of the window that must be valid to a quarter for an estimate."""
LEAST_VALID = 0.25


class LearnedEstimator:
    """A coherence network with its weights; keeps the contract of `models.estimator.Estimator`.

    Power that is zero or negative (noise subtracted, borders) counts as missing. A pixel gets an estimate where both
    images are finite and a quarter of its surroundings is valid in both, otherwise NaN. Tiles agree with the whole
    image where their origins are multiples of `lattice` and they have the declared halo.

    Parameters
    ----------
    name
        As the registry calls it.
    path
        Weights that `cohmap train` wrote.
    spacing
        Pixel spacing of the images in metres; the network is told the nearest by ratio that it was trained on.
    device
        auto, cpu or cuda.
    runtime
        What computes the convolutions, see `models.runtimes.choice`; all agree to 1e-5, but for
        onnxruntime-int8 and torch-bf16, which therefore have versions of their own.

    Attributes
    ----------
    queued
        Whether estimates are computed by a GPU's queue: see `models.ahead.Queued`.

    Raises
    ------
    ModelError
        There are no such weights, no such device or runtime, or a spacing too far from those trained on.
    """

    def __init__(self, name: str, path: Path, *, spacing: float, device: str = "auto", runtime: str = "auto") -> None:
        weights = Weights.load(path)
        self._device = resolve_device(device)
        self._transfers = open_transfers(self._device)
        self.queued = self._transfers.queued
        self._network = weights.network().to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.runtime = resolve_runtime(runtime, self._device)
        self._runners: dict[Sides, Runner] = {}
        self._ranges: Ranges = {}
        self._sigma_scale = weights.sigma_scale
        self.lattice = self._network.lattice
        self.name = name
        self.version = (
            f"{CODE_VERSION}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}{ROUNDED.get(self.runtime, '')}"
        )
        self.halo = self._network.halo
        self.spacing = nearest_spacing(name, LEARNED, spacing)
        self.context = self._network.dates

    def estimate(
        self, reference: FloatArray, secondary: FloatArray, context: Sequence[FloatArray] = (), *, margin: int = 0
    ) -> tuple[FloatArray, FloatArray]:
        """Coherence and sigma of one polarisation; see `models.estimator.Estimator.estimate`.

        Raises
        ------
        ModelError
            The images aren't two-dimensional, or their shapes differ, or the margin leaves nothing of them; or the GPU
            has too little memory.
        """
        return self.begin(reference, secondary, context, margin=margin)()

    def begin(
        self, reference: FloatArray, secondary: FloatArray, context: Sequence[FloatArray] = (), *, margin: int = 0
    ) -> Callable[[], Maps]:
        """The same, begun; see `models.ahead.Queued.begin`.

        Raises
        ------
        ModelError
            As `estimate`, at once.
        """
        images = [reference, secondary, *context]
        require_one_shape(*images, margin=margin)
        begun = self._begin_blocks(images, margin)
        first = next(begun)

        def finish() -> Maps:
            whole = np.empty((2, *reference.shape), np.float32)
            for inner, maps in fetched(chain([first], begun), late=self.queued):
                whole[:, *inner] = maps
            coherence, sigma = (within(each, margin) for each in whole)
            there = np.isfinite(within(reference, margin)) & np.isfinite(within(secondary, margin))
            if not there.all():
                coherence[~there] = sigma[~there] = np.nan
            return coherence, sigma

        return finish

    def _begin_blocks(
        self, images: Sequence[FloatArray], margin: int
    ) -> Iterator[tuple[Window, Callable[[], FloatArray]]]:
        """Where each block lies, and what fetches its coherence and sigma; it is begun when it is asked for."""
        for inner, outer, cut in blocks(images[0].shape, self.halo, self._network.side, margin):
            shown = [image[outer] for image in images]
            try:
                with torch.inference_mode():
                    fetch = self._transfers.fetch(self._estimate_block(shown, cut))
            except torch.cuda.OutOfMemoryError:
                height, width = shown[0].shape
                raise ModelError(
                    f"the GPU has no memory left for a block of {width} x {height} pixels; end what else computes "
                    "there, take fewer workers, or choose device 'cpu'"
                ) from None
            yield inner, fetch

    def _runner(self, margin: Sides) -> Runner:
        """The learned part for images with a halo on these sides."""
        if margin not in self._runners:
            self._runners[margin] = self._opened(margin)
        return self._runners[margin]

    def _opened(self, margin: Sides) -> Runner:
        if self.runtime in PYTORCH:
            return EagerRunner(partial(self._network.trunk, margin=margin), rounded=self.runtime == BF16)
        graph = trunk_graph(self._network, margin)
        if self.runtime != INT8 or not isinstance(self._network, CoherenceNetwork):
            return open_runner(self.runtime, graph)
        if not self._ranges:
            examples = example_features(self._network, self.spacing)
            self._ranges = measure_ranges(trunk_graph(self._network), examples)
        return Int8Runner(graph, self._ranges)

    def _logarithm(self, image: FloatArray) -> torch.Tensor:
        """Of power; zero, negative and infinite power all become what isn't finite."""
        return self._transfers.send(image).log()

    def _estimate_block(self, images: Sequence[FloatArray], kept: Window) -> torch.Tensor:
        """Coherence and sigma of what is kept, on the device, shape (2, height, width).

        On a GPU all of it is queued and nothing waited for: no value is looked at, nothing but images is brought there.
        """
        height, width = images[0].shape
        bottom, right = -height % self.lattice, -width % self.lattice
        margin, inside = around(kept, (height + bottom, width + right), self.halo)
        dates = torch.full((1,), len(images) - 2, device=self._device)
        spacing = torch.full((1,), self.spacing, device=self._device)
        pair = torch.stack([self._logarithm(image) for image in images[:2]])[None]
        # the summary and the features are the largest things here: nothing is kept that isn't used again
        summary = summarised([self._logarithm(image) for image in images[2:]], pair[0, 0])[None]
        if bottom or right:
            pair = functional.pad(pair, (0, right, 0, bottom), value=float("nan"))
            summary = functional.pad(summary, (0, right, 0, bottom))
        features = self._network.features(pair, summary, dates, spacing)
        del summary
        coherence, log_variance = self._network.answer(self._runner(margin)(features))
        del features
        sigma = (0.5 * log_variance).exp() * self._sigma_scale
        result = torch.cat([coherence, sigma.clamp(max=1.0)], 1)[0, :, *inside]
        if not is_whole(pair):  # otherwise every share is 1
            both = torch.isfinite(pair[0, :, :height, :width]).all(0)
            share = box(both.float()[None], SURROUNDINGS)[:, *kept]
            result = result.masked_fill(share < LEAST_VALID, torch.nan)
        return result
