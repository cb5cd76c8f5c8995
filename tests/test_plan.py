"""What a plan costs, where the numbers are small enough to see."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cost import passes_a_request, requests_of
from pipeline.plan import make_plan
from pipeline.plan_picture import draw_plan
from tests.conftest import Command
from tests.fakes import SpeckleSource, make_region

REGION = make_region(passes={"polarisations": ["VV", "VH"]})


@pytest.mark.parametrize(
    ("shape", "bands", "passes"),
    [
        ((512, 512), 1, 38),  # 512 x 512 x 5 bytes = 1.25 MiB; 48 / 1.25 = 38.4
        ((512, 512), 3, 12),
        ((64, 64), 2, 512),  # 1024 bands are the limit before 48 MiB are
        ((3200, 3145), 1, 1),
        ((3200, 3146), 1, 0),
        ((2, 32769), 1, 0),
    ],
)
def test_as_many_passes_as_fit_into_a_request(shape: tuple[int, int], bands: int, passes: int) -> None:
    assert passes_a_request(shape, bands) == passes


@pytest.mark.parametrize(
    ("shape", "passes", "requests"),
    [((512, 512), 0, 0), ((512, 512), 38, 1), ((512, 512), 39, 2), ((8192, 8192), 1, 16), ((8192, 8192), 4, 32)],
)
def test_requests_of_a_tile(shape: tuple[int, int], passes: int, requests: int) -> None:
    # 8192 x 8192 doesn't fit, nor does 4096 x 4096 (80 MiB); of 2048 x 2048 two passes do, in each of 16 pieces
    assert requests_of(shape, 1, passes) == requests


def test_other_sources_are_counted_too() -> None:
    cost = make_plan(REGION, SpeckleSource(REGION)).cost
    assert cost.requests == 4 * 4  # four passes, four tiles
    assert cost.stack_bytes == 16 * 64 * 64 * 2 * 4
    assert cost.map_bytes == 3 * 4 * 64 * 64 * 2 * 4 * 2 * 2  # three pairs
    assert (cost.rate, cost.seconds, cost.to_json()["eecu_hours_a_month_by_tier"]) == (None, None, None)


def test_the_picture_is_the_same_at_every_run() -> None:
    first, second = (draw_plan(make_plan(REGION, SpeckleSource(REGION))) for _ in range(2))
    assert first == second


def test_an_error_is_a_sentence_and_no_json(cohmap: Command, tmp_path: Path) -> None:
    answer = cohmap("plan", "nowhere", "--json", "--output", str(tmp_path / "out"))
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "out").exists()
