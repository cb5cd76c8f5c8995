"""Batches: whatever is turned, mirrored, swapped or taken away, the truth stays with its images."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from models.train.batch import BORDERS, FORGOTTEN, HOLES, STEP, Batch, draw_batch, whole_batch
from models.train.pool import Pool
from tests.training import NUMBERED, numbered_example, write_pool

SIDE = 12
COUNT = 600


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """Four examples, every other with three further dates."""
    examples = [numbered_example(number, dates=3 * (number % 2)) for number in range(4)]
    return Pool(write_pool(tmp_path_factory.mktemp("numbered"), examples))


@pytest.fixture(scope="module")
def drawn(pool: Pool) -> Batch:
    return draw_batch(pool, np.random.default_rng(1), COUNT, SIDE)


def numbers(batch: Batch) -> torch.Tensor:
    """The numbers of the pixels, (batch, side, side): 400 an example, 20 a row."""
    return (batch.coherence[:, 0] * 2048).int() - 1


def beyond_the_border(batch: Batch) -> torch.Tensor:
    """Where neither image has data, (batch, side, side)."""
    return batch.images.isnan().all(1)


def test_a_batch_follows_from_the_generator(pool: Pool) -> None:
    one, again, other = (draw_batch(pool, np.random.default_rng(seed), 16, SIDE) for seed in (1, 1, 2))
    for name in ("images", "context", "dates", "spacing", "coherence"):
        np.testing.assert_allclose(getattr(one, name), getattr(again, name), rtol=0, atol=0)
    assert not torch.equal(one.coherence, other.coherence)


def test_a_batch_has_the_shapes_that_networks_take(drawn: Batch) -> None:
    assert drawn.images.shape == drawn.context.shape == (COUNT, 2, SIDE, SIDE)
    assert drawn.coherence.shape == (COUNT, 1, SIDE, SIDE)
    assert drawn.dates.shape == drawn.spacing.shape == (COUNT,)
    assert drawn.images.dtype == drawn.context.dtype == drawn.coherence.dtype == torch.float32


def test_truth_stays_with_its_images_which_may_be_swapped(drawn: Batch) -> None:
    ratio = drawn.images / drawn.coherence  # 2 in the reference, 4 in the secondary, NaN in a hole
    order = ratio.nanmean((2, 3), keepdim=True)
    assert ((ratio == order) | ratio.isnan()).all()
    found = Counter(tuple(pair) for pair in order.flatten(1).tolist())
    assert set(found) == {(2.0, 4.0), (4.0, 2.0)}
    assert min(found.values()) > 0.4 * COUNT


def test_further_dates_stay_with_their_truth_or_are_forgotten(drawn: Batch) -> None:
    told = drawn.dates == 3
    assert drawn.dates.unique().tolist() == [0, 3]
    assert not drawn.context[~told].any()
    shown = ~beyond_the_border(drawn)[told]
    for channel, factor in enumerate((8.0, 16.0)):
        assert torch.equal(drawn.context[told, channel], factor * drawn.coherence[told, 0] * shown)
    of_those = numbers(drawn)[:, 0, 0] // NUMBERED**2 % 2 == 1
    assert told[~of_those].sum() == 0
    assert told[of_those].float().mean() == pytest.approx(1.0 - FORGOTTEN, abs=0.08)


def test_pieces_are_mirrored_in_all_four_ways(drawn: Batch) -> None:
    corners = numbers(drawn)
    steps = torch.stack([corners[:, 1, 0] - corners[:, 0, 0], corners[:, 0, 1] - corners[:, 0, 0]], 1)
    found = Counter(tuple(pair) for pair in steps.tolist())
    assert set(found) == {(down, right) for down in (NUMBERED, -NUMBERED) for right in (1, -1)}
    assert min(found.values()) > 0.18 * COUNT


def test_pieces_begin_on_the_lattice_of_every_example(drawn: Batch) -> None:
    first = numbers(drawn).flatten(1).amin(1)
    begin = range(0, NUMBERED - SIDE + 1, STEP)
    found = Counter((n // 400, n % 400 // 20, n % 20) for n in first.tolist())
    assert set(found) == {(example, row, col) for example in range(4) for row in begin for col in begin}


def test_every_piece_has_the_spacing_of_its_example(drawn: Batch) -> None:
    example = numbers(drawn)[:, 0, 0] // NUMBERED**2
    assert torch.equal(drawn.spacing, 10.0 * (1 + example % 3).float())


def test_holes_are_in_one_image_and_in_nothing_else(drawn: Batch) -> None:
    inside = ~beyond_the_border(drawn).flatten(1).any(1)
    missing = drawn.images.isnan()[inside]
    assert torch.isfinite(drawn.coherence).all()
    assert torch.isfinite(drawn.context).all()
    share = missing.flatten(1).any(1).float().mean()
    assert 0.4 * HOLES < share < 2.0 * HOLES
    for image in missing[missing.flatten(1).any(1)].any(1):
        assert image.sum() == image.any(0).sum() * image.any(1).sum()  # a rectangle
        assert image.sum() >= 16


def test_nothing_has_data_beyond_a_border_along_any_side(drawn: Batch) -> None:
    beyond = beyond_the_border(drawn)
    bordered = beyond.flatten(1).any(1)
    assert 0.6 * BORDERS < bordered.float().mean() < 1.5 * BORDERS
    assert not drawn.context.movedim(1, -1)[beyond].any()
    sides: Counter[str] = Counter()
    for image in beyond[bordered]:
        rows, cols = image.all(1), image.all(0)
        assert image.sum() == SIDE * (rows.sum() + cols.sum())
        sides["top" if rows[0] else "bottom" if rows[-1] else "left" if cols[0] else "right"] += 1
    assert set(sides) == {"top", "bottom", "left", "right"}


def test_a_piece_may_be_as_large_as_the_example(pool: Pool) -> None:
    batch = draw_batch(pool, np.random.default_rng(3), 8, NUMBERED)
    assert batch.coherence.shape == (8, 1, NUMBERED, NUMBERED)


def test_a_whole_example_is_shown_as_it_is(pool: Pool) -> None:
    batch = whole_batch(pool, 1)
    example = numbered_example(1, dates=3)
    np.testing.assert_array_equal(batch.images[0], example.images)
    np.testing.assert_array_equal(batch.context[0], example.context)
    np.testing.assert_array_equal(batch.coherence[0, 0], example.coherence)
    assert (batch.dates.tolist(), batch.spacing.tolist()) == ([3], [20.0])
