"""The mix of images that is trained on: every kind comes, as often as stated, and what is scored on is none of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple, replace

import numpy as np
import pytest

from models.simulate.draw import LOOKS_10X2, SINGLE_LOOK, Recipe, draw
from models.simulate.mixture import SHARES, mixed_product
from models.simulate.product import GRD_10M, RTC_30M, Product

DRAWN = 600


@pytest.fixture(scope="module")
def products() -> list[Product]:
    rng = np.random.default_rng(3)
    return [mixed_product(rng) for _ in range(DRAWN)]


def test_every_kind_comes_as_often_as_stated(products: list[Product]) -> None:
    found = Counter(product.name.split("_")[0] for product in products)
    assert found["GRD"] / DRAWN == pytest.approx(SHARES["grd"], abs=0.06)
    assert found["RTC"] / DRAWN == pytest.approx(SHARES["rtc-20"] + SHARES["rtc-30"], abs=0.05)
    assert found["LOOKS"] / DRAWN == pytest.approx(SHARES["looks"], abs=0.04)
    assert found["SLC"] / DRAWN == pytest.approx(SHARES["slc"], abs=0.03)
    assert (found["SINGLE"] + found["ONE"]) / DRAWN == pytest.approx(SHARES["single"], abs=0.03)


def test_the_ten_looks_that_are_scored_on_are_never_trained_on(products: list[Product]) -> None:
    looks = {(product.looks, product.look_fraction) for product in products}
    assert (LOOKS_10X2.looks, LOOKS_10X2.look_fraction) not in looks
    assert min(each[0] for each in looks) < LOOKS_10X2.looks < max(each[0] for each in looks)


def test_equivalent_looks_reach_from_one_to_many(products: list[Product]) -> None:
    equivalent = [product.looks_equivalent for product in set(products)]
    assert min(equivalent) == pytest.approx(1.0)
    assert max(equivalent) > 7.0


def test_pixels_too_far_apart_for_their_band_are_told() -> None:
    assert not GRD_10M.undersampled
    assert not LOOKS_10X2.undersampled
    assert SINGLE_LOOK.undersampled
    assert replace(GRD_10M, spacing=20.0).undersampled
    assert RTC_30M.undersampled


def test_what_is_undersampled_keeps_its_repetition_from_date_to_date() -> None:
    """Resampled between its pixels at each date by itself, a single look would lose what both have in common."""
    recipe = Recipe(size=96, product=SINGLE_LOOK, exponent=0.05, noise_db=(-60.0, -60.0), families=("smooth",))
    for number in range(6):
        sample = draw(recipe, 8, number)
        logs = [np.log(image + 1e-6) for image in (sample.reference, sample.secondary)]
        steps = [np.diff(log, axis=1).ravel() for log in logs]
        still = sample.coherence[:, 1:].ravel() > 0.8
        if still.mean() > 0.5:
            assert np.corrcoef(steps[0][still], steps[1][still])[0, 1] > 0.5


def test_a_product_is_drawn_from_the_generator_alone() -> None:
    one, again = (mixed_product(np.random.default_rng(5)) for _ in range(2))
    assert astuple(one) == astuple(again)
