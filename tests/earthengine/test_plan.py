"""Planning a large region: counted by hand, and no pixel asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.plan import Plan, make_plan
from pipeline.plan_picture import draw_plan
from tests.conftest import Command
from tests.earthengine.conftest import StandIn
from tests.earthengine.survey import AREA, Orbit, region
from tests.earthengine.world import World

# Everything is covered by two slices that meet in the middle of the 11th row of tiles; the other track ends in the
# middle of the 16th column, at 450 - 2 + 62 = 510 km.
WHOLE = Orbit(64, ((420, 3908, 580, 3990), (420, 3810, 580, 3908)))
WEST = Orbit(137, ((400, 3810, 510, 3990),), every=12, offset=3)


@pytest.fixture
def survey(standin: StandIn) -> StandIn:
    standin.world.add([*WHOLE.images(), *WEST.images()])
    return standin


def plan(survey: StandIn, **settings: object) -> Plan:
    return make_plan(region(**settings), survey.source(**settings))


def assert_no_pixels(world: World) -> None:
    assert not world.requests("computePixels|getPixels|value:compute")


def test_a_hundred_kilometres_and_three_years_are_counted_as_by_hand(survey: StandIn) -> None:
    made = plan(survey)
    # 2016 to 2018 are 1096 days; from the third on, every 6 days: 182 whole steps and the first pass;
    # from the sixth on, every 12 days: 90 and the first
    assert [len(passes) for passes in made.passes.values()] == [183, 91]
    assert [len(pairs) for pairs in made.pairs.values()] == [182, 90]
    assert len(made.region.tiles) == 26 * 26
    # the western track touches 16 of 26 columns
    assert made.pass_tiles == 183 * 26 * 26 + 91 * 16 * 26
    assert made.pair_tiles == 182 * 26 * 26 + 90 * 16 * 26
    cost = made.cost
    # 400 x 400 pixels x 2 bands x (4 + 1) bytes = 1.6 MB; 48 MiB hold 31 of them
    assert cost.passes_a_request == 31
    # western tiles have 183 + 91 = 274 passes, that is 9 requests of at most 31; the others 183, that is 6
    assert cost.requests == 16 * 26 * 9 + 10 * 26 * 6 == 5304
    assert cost.transfer_bytes == made.pass_tiles * 1_600_000
    assert cost.stack_bytes == made.export_bytes == made.pass_tiles * 1_280_000
    # coherence and sigma, VV and VH, in the store and as products
    assert cost.map_bytes == made.pair_tiles * 160_000 * 4 * 2 * 2 * 2
    # 16 requests at once, of 2 to 16 seconds each
    assert cost.rate == (1.0, 8.0)
    assert cost.seconds == (663.0, 5304.0)
    assert_no_pixels(survey.world)


@pytest.mark.parametrize(("requests", "rate"), [(1, (0.0625, 0.5)), (40, (2.5, 20.0))])
def test_the_rate_follows_from_how_many_requests_run_at_once(
    survey: StandIn, requests: int, rate: tuple[float, float]
) -> None:
    assert plan(survey, requests=requests).cost.rate == rate


def test_what_is_amiss_is_told(survey: StandIn) -> None:
    # 2018-03-12, the last day of noise, is day 799 of the one track and day 796 of the other
    notes = plan(survey).notes
    assert len(notes) == 4
    assert notes[0].startswith("ascending-064: 183 of 183 passes are joined from several slices")
    assert notes[1].startswith("ascending-064: 134 of 183 passes are from before March 2018 (IPF < 2.90)")
    assert notes[2].startswith("ascending-137: 67 of 91 passes are from before March 2018")
    assert notes[3].startswith("ascending-137: 91 of 91 passes have a single slice that doesn't cover the area, the")
    assert "least 60% of it (S1A_20160106T015904)" in notes[3]


def test_masked_borders_are_no_longer_told_of(survey: StandIn) -> None:
    assert not [note for note in plan(survey, border_noise=True).notes if "2018" in note]


def test_a_radiometry_that_the_estimator_does_not_expect_is_one_note(survey: StandIn) -> None:
    changed = region(radiometry="terrain-volume")
    classical = make_plan(changed, survey.source()).notes
    assert not [note for note in classical if "trained on" in note]
    estimator = changed.config.estimator.model_copy(update={"name": "speckle-unet"})
    network = type(changed)(changed.config.model_copy(update={"estimator": estimator}), changed.area)
    told = [note for note in make_plan(network, survey.source()).notes if "trained on sigma0" in note]
    assert len(told) == 1
    assert "'terrain-volume'" in told[0]


def test_the_picture_shows_every_track(survey: StandIn) -> None:
    made = plan(survey)
    assert draw_plan(made).startswith(b"\x89PNG")
    west = list(made.tile_counts.values())[1]
    assert sorted(set(west.values())) == [0, 91]
    assert_no_pixels(survey.world)


def test_the_command_prints_json_and_nothing_else(
    survey: StandIn, cohmap: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHMAP_EE_TOKEN", survey.world.token)
    file = tmp_path / "survey.toml"
    file.write_text(
        f'name = "survey"\n[area]\nbbox = {list(AREA.bounds)}\n[grid]\ntile = 2048\n[source]\nkind = "earthengine"\n'
        f'url = "{survey.server.url}"\nproject = "{survey.world.project}"\n[estimator]\nname = "log-correlation"\n'
    )
    answer = cohmap("plan", str(file), "--json", "--output", str(tmp_path / "out"))
    assert (answer.code, answer.err) == (0, "")
    told = json.loads(answer.out)
    assert told == json.loads((tmp_path / "out/plan.json").read_text())
    assert told["cost"]["passes_a_request"] == 2  # 2048 x 2048 x 5 bytes = 20 MiB
    assert told["cost"]["eecu_hours_a_month_by_tier"] == [150, 1000, 100000]
    assert (tmp_path / "out/plan.png").read_bytes().startswith(b"\x89PNG")
    text = cohmap("plan", str(file), "--output", str(tmp_path / "out")).out
    for told_too in ("up to 2 passes of a tile", "EECU-hours", "disk: about", "requests a second", "plan.png"):
        assert told_too in text
    assert_no_pixels(survey.world)
