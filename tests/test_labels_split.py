"""The split by place, pairs and settings of labels."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from pipeline.errors import CohmapError
from pipeline.labels.blocks import divide, gap_for
from pipeline.labels.pairs import beside, choose_pairs, parse_dates
from pipeline.labels.settings import LabelSettings, fitting_size, parse_window

DAYS = [dt.date(2023, 1, 1) + dt.timedelta(days=days) for days in (0, 12, 24, 60)]


def parts(shape: tuple[int, int], *, seed: int = 1, share: float = 0.25, side: float = 400.0) -> np.ndarray:
    """0 in gaps, 1 for training, 2 for validation, at every sample."""
    gap = gap_for((5, 19), (0, 0), (10.0, 4.0), 0.0)
    scene = np.zeros(shape, np.int8)
    for block in divide(shape, (10.0, 4.0), gap, side=side, share=share, seed=seed):
        assert not scene[block.window].any()
        scene[block.window] = 1 + (block.part == "validation")
    return scene


def test_no_label_of_one_part_sees_a_sample_of_the_other() -> None:
    """Windows of labels, grown by what averaging onto pixels adds, never share a sample."""
    from scipy import ndimage

    scene = parts((230, 610))
    seen = [ndimage.binary_dilation(scene == part, np.ones((7, 21), bool)) for part in (1, 2)]
    assert not (seen[0] & seen[1]).any()
    assert (scene == 1).mean() > 0.5
    assert (scene == 2).mean() > 0.1


def test_blocks_of_a_part_follow_from_the_seed() -> None:
    one, again, other = (parts((230, 610), seed=seed) for seed in (1, 1, 3))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_each_part_has_a_block(share: float) -> None:
    scene = parts((60, 120), share=share, side=1e6)
    assert {1, 2} <= set(np.unique(scene).tolist())


def test_the_gap_is_at_least_the_window() -> None:
    assert gap_for((5, 19), (0, 0), (10.0, 4.0), 0.0) == (7, 21)
    assert gap_for((5, 19), (0, 0), (10.0, 4.0), 200.0) == (20, 50)
    assert gap_for((5, 19), (16, 16), (10.0, 4.0), 0.0) == (39, 53)


def test_a_scene_that_gaps_use_up_is_refused() -> None:
    with pytest.raises(CohmapError, match="leaves nothing between gaps of 7 x 21 samples; give larger blocks"):
        parts((6, 120))


def test_pairs_are_those_within_the_baseline() -> None:
    assert [(one.day, (two - one).days) for one, two in choose_pairs(DAYS, 24)] == [(1, 12), (1, 24), (13, 12)]
    with pytest.raises(CohmapError, match="no two dates are within 6 days, the nearest are 12 apart; raise --max-days"):
        choose_pairs(DAYS, 6)


def test_pairs_may_be_named() -> None:
    named = "20230302-20230101, 20230113-20230125"
    assert choose_pairs(DAYS, 1, named) == [(DAYS[0], DAYS[3]), (DAYS[1], DAYS[2])]


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("20230101", "--pairs 20230101 is no pair; write it as 20230319-20230331"),
        ("20230101-20230101", "is no pair"),
        ("20230101-20230102", "the stack has nothing of 2023-01-02; its dates: 2023-01-01, 2023-01-13"),
    ],
)
def test_a_pair_that_is_none_is_told(named: str, says: str) -> None:
    with pytest.raises(CohmapError, match=says):
        choose_pairs(DAYS, 48, named)


def test_the_dates_beside_a_pair_are_the_nearest_ones() -> None:
    assert beside((DAYS[0], DAYS[1]), DAYS, 1) == [DAYS[2]]
    assert beside((DAYS[2], DAYS[3]), DAYS, 5) == [DAYS[1], DAYS[0]]
    assert beside((DAYS[0], DAYS[1]), DAYS, 0) == []


def test_dates_by_hand() -> None:
    assert parse_dates("20230101, 2023-01-13") == DAYS[:2]
    with pytest.raises(CohmapError, match="--dates: 'soon' is no day; write 20230319,20230331"):
        parse_dates("20230101,soon")


@pytest.mark.parametrize("window", ["5", "5x", "4x19", "1x1", "5x19x2", "-5x19"])
def test_a_window_that_is_none_is_told(window: str) -> None:
    with pytest.raises(CohmapError, match=f"--window {window} is not usable; give odd lines and samples"):
        parse_window(window)


def test_windows_are_read() -> None:
    assert parse_window("5x19") == (5, 19)
    assert parse_window("") is None


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"size": 40}, "--size 40 is not usable; give a multiple of 16, at least 32"),
        ({"size": 16}, "--size 16"),
        ({"share": 1.0}, "--share 1"),
        ({"max_days": 0}, "--max-days 0 is not usable; give 1 or more"),
        ({"block": float("nan")}, "--block nan"),
        ({"gap": -1.0}, "--gap -1"),
        ({"contexts": -1}, "--contexts -1"),
        ({"seed": -1}, "--seed -1"),
    ],
)
def test_settings_that_make_no_sense_are_told(changed: dict[str, float], says: str) -> None:
    with pytest.raises(CohmapError, match=says):
        LabelSettings(**changed).checked()  # type: ignore[arg-type]


def test_examples_are_as_large_as_the_smallest_block() -> None:
    assert fitting_size([(39, 90), (38, 89)]) == 32
    assert fitting_size([(100, 130)]) == 96
    assert fitting_size([(900, 900)]) == 256
    assert fitting_size([(20, 300)]) == 32
