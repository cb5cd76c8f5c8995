"""Simulated pairs as a network sees them, to find how large its numbers get before they are rounded to 8 bits."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from models.coherence.inputs import logarithm, summarise
from models.coherence.network import CoherenceNetwork
from models.estimator import FloatArray
from models.simulate.draw import Recipe, draw
from models.simulate.product import GRD_10M, RTC_20M, RTC_30M

SEED = 700_001
"""Of the scenes; those that estimators are scored on have larger ones."""
SCENES = 10
SIZE = 256


def example_features(network: CoherenceNetwork, spacing: float) -> Iterator[FloatArray]:
    """What enters the learned part for random scenes of a spacing known, with none to all further dates in turn."""
    product = {each.spacing: each for each in (GRD_10M, RTC_20M, RTC_30M)}[spacing]
    for number in range(SCENES):
        recipe = Recipe(size=SIZE, contexts=number % (network.dates + 1), product=product)
        sample = draw(recipe, SEED, number)
        pair = torch.stack([torch.from_numpy(logarithm(each)) for each in (sample.reference, sample.secondary)])
        summary = torch.stack([torch.from_numpy(each) for each in summarise(sample.context, (SIZE, SIZE))])
        dates, at = torch.tensor([len(sample.context)]), torch.tensor([spacing])
        with torch.inference_mode():
            features: FloatArray = network.features(pair[None], summary[None], dates, at).numpy()
        yield features
