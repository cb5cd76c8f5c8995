"""Faults, one by one: what is asked again, what is asked smaller, what ends with a sentence."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import pytest
from google.oauth2.credentials import Credentials
from odc.geo.geobox import GeoBox

from pipeline.errors import CohmapError
from pipeline.passes import Pass, group
from pipeline.sources import FloatArray
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_pace import Pace, Patience
from tests.benchmarks.ee_faults import measure
from tests.earthengine.conftest import Naps, StandIn, query
from tests.earthengine.faults import FAULTS, PASSING, SPLITTING
from tests.earthengine.images import Image
from tests.earthengine.scenes import START, image, native_grid
from tests.earthengine.world import S1, World

GRID = native_grid(width=12, height=9)
WINDOW = GeoBox((9, 12), GRID.transform, GRID.crs)


def scenes(count: int = 1) -> list[Image]:
    return [image(f"P{day}", START + dt.timedelta(days=day), data_take=day) for day in range(count)]


def befall(world: World, name: str, times: int = 1) -> None:
    world.fail(dataclasses.replace(FAULTS[name], times=times))


def impatient(standin: StandIn, **settings: object) -> EarthEngineSource:
    """A source that gives up on an answer after a fifth of a second."""
    patience = Patience(attempts=6, deadline=0.2, sleep=standin.naps, clock=standin.naps.clock)
    return EarthEngineSource(standin.settings(**settings), credentials=standin.credentials, patience=patience)


def all_passes(source: EarthEngineSource) -> list[Pass]:
    return group(source.search(query()))


def assert_right(blocks: list[FloatArray], images: list[Image]) -> None:
    for (values,), scene in zip(blocks, images, strict=True):
        np.testing.assert_array_equal(values, scene.bands["VV"].read(GRID).values)


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_asked_again_and_the_pixels_are_right(standin: StandIn, name: str) -> None:
    images = scenes(3)
    standin.world.add(images)
    source = impatient(standin) if name == "slow" else standin.source()
    items = all_passes(source)
    befall(standin.world, name, times=2)
    assert_right(source.read_many(items, WINDOW, ("VV",)), images)
    assert len(standin.world.requests("computePixels")) == 3


@pytest.mark.parametrize("name", SPLITTING)
def test_too_much_in_one_request_is_asked_as_fewer_passes(standin: StandIn, name: str) -> None:
    images = scenes(4)
    standin.world.add(images)
    source = standin.source()
    items = all_passes(source)
    befall(standin.world, name)
    assert_right(source.read_many(items, WINDOW, ("VV",)), images)
    sizes = [request.body["grid"]["dimensions"] for request in standin.world.requests("computePixels")]
    assert sizes == [{"width": 12, "height": 9}] * 3
    assert not standin.naps.seconds


def test_a_size_that_never_succeeded_is_not_asked_for_again(standin: StandIn) -> None:
    standin.world.add(scenes(4))
    source = standin.source()
    items = all_passes(source)
    assert source.passes_at_once(WINDOW, ("VV",)) > 4
    befall(standin.world, "memory")
    source.read_many(items, WINDOW, ("VV",))
    assert source.passes_at_once(WINDOW, ("VV",)) == 2
    source.read_many(items, WINDOW, ("VV",))
    assert len(standin.world.requests("computePixels")) == 3 + 2


def test_a_size_that_did_succeed_stays_allowed(standin: StandIn) -> None:
    standin.world.add(scenes(4))
    source = standin.source()
    items = all_passes(source)
    source.read_many(items, WINDOW, ("VV",))
    befall(standin.world, "memory")
    source.read_many(items, WINDOW, ("VV",))
    source.read_many(items, WINDOW, ("VV",))
    assert len(standin.world.requests("computePixels")) == 1 + 3 + 1


def test_an_answer_that_never_makes_sense_ends_with_a_sentence(standin: StandIn) -> None:
    standin.world.add(scenes())
    source = standin.source()
    (item,) = all_passes(source)
    befall(standin.world, "web page", times=99)
    with pytest.raises(CohmapError, match=r"gave no answer in 4 tries \(a web page instead of data"):
        source.read(item, WINDOW, ("VV",))
    patience = Patience(garbled=2, sleep=standin.naps)
    source = EarthEngineSource(standin.settings(), credentials=standin.credentials, patience=patience)
    with pytest.raises(CohmapError, match=r"answers pass S1A_\w+ with a web page instead of data"):
        source.read(item, WINDOW, ("VV",))
    assert len(standin.world.requests("computePixels")) == 4 + 2


# The assets and the caller


def test_a_pass_that_vanished_after_the_search_is_named_and_asked_once(standin: StandIn) -> None:
    standin.world.add(scenes(3))
    source = standin.source()
    items = all_passes(source)
    standin.world.vanish(f"{S1}/P1")
    with pytest.raises(CohmapError, match=r"an image of the 3 passes .* is no longer on Earth Engine .*/P1' not found"):
        source.read_many(items, WINDOW, ("VV",))
    assert len(standin.world.requests("computePixels")) == 1
    assert not standin.naps.seconds


def test_a_slice_that_is_there_twice_counts_once_as_last_processed(standin: StandIn) -> None:
    name = "S1A_IW_GRDH_1SDV_20211119T015904_20211119T015929_040643_04D2F1"
    first, again = image(f"{name}_0A1B"), image(f"{name}_9F00")
    again = dataclasses.replace(again, updated=first.updated + dt.timedelta(days=400))
    standin.world.add([again, first])
    source = standin.source()
    (item,) = all_passes(source)
    assert [piece.id for piece in item.slices] == [f"{S1}/{name}_9F00"]
    assert_right([source.read(item, WINDOW, ("VV",))], [again])


def test_a_token_that_can_be_renewed_is_renewed_after_an_hour(standin: StandIn) -> None:
    images = scenes()
    standin.world.add(images)
    names = dict.fromkeys(("refresh_token", "client_id", "client_secret"), "any")
    renewable = Credentials(standin.world.token, token_uri=f"{standin.server.url}/token", **names)
    source = EarthEngineSource(standin.settings(), credentials=renewable, patience=Patience(sleep=standin.naps))
    (item,) = all_passes(source)
    before = standin.world.token
    standin.world.expire("another")
    try:
        assert_right([source.read(item, WINDOW, ("VV",))], images)
    finally:
        standin.world.expire(before)
    assert len(standin.world.requests("/token")) == 1
    assert not standin.naps.seconds


def test_a_token_that_cannot_be_renewed_ends_with_a_sentence(standin: StandIn) -> None:
    standin.world.add(scenes())
    source = standin.source()
    (item,) = all_passes(source)
    before = standin.world.token
    standin.world.expire("another")
    try:
        with pytest.raises(CohmapError, match=r"does not accept your credentials .* renew"):
            source.read(item, WINDOW, ("VV",))
    finally:
        standin.world.expire(before)
    assert len(standin.world.requests("computePixels")) == 1


def test_a_restricted_project_goes_on_slowly_and_says_so_once(
    standin: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    images = scenes()
    standin.world.add(images)
    source = standin.source()
    (item,) = all_passes(source)
    pace = source._session.pace
    standin.world.restricted = True
    for _ in range(3):
        assert_right([source.read(item, WINDOW, ("VV",))], images)
    assert pace.limit == 2
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert "has used up its quota" in said[0]
    standin.world.restricted = False
    for _ in range(6):
        source.read(item, WINDOW, ("VV",))
    assert pace.limit > 2


# The pace


def send(pace: Pace) -> int:
    with pace.turn() as sent_at:
        return sent_at


def test_the_pace_is_halved_once_for_requests_refused_together_and_rises_slowly() -> None:
    pace = Pace(20, Patience())
    assert pace.limit == 16
    together = [send(pace) for _ in range(5)]
    for sent_at in together:
        pace.slow_down(sent_at)
    assert pace.limit == 8
    pace.slow_down(send(pace))
    assert pace.limit == 4
    for _ in range(4):
        pace.go_on()
    assert pace.limit == 5
    for _ in range(1000):
        pace.go_on()
    assert pace.limit == 20


def test_retry_after_holds_every_request_back() -> None:
    naps = Naps()
    pace = Pace(4, Patience(sleep=naps, clock=naps.clock))
    pace.slow_down(send(pace), retry_after=9.0)
    send(pace)
    send(pace)
    assert naps.seconds == [9.0]


def test_the_pace_never_ends_at_nothing() -> None:
    pace = Pace(2, Patience())
    for _ in range(5):
        pace.slow_down(send(pace))
    assert pace.limit == 1


def answer_of(standin: StandIn, name: str) -> Any:
    """The exception that a fault leaves with the user after the last try."""
    source = standin.source()
    (item,) = all_passes(source)
    befall(standin.world, name, times=99)
    with pytest.raises(CohmapError) as caught:
        source.read(item, WINDOW, ("VV",))
    return caught.value


@pytest.mark.parametrize("name", ["quota", "502", "truncated", "memory"])
def test_what_never_passes_is_one_sentence_on_one_line(standin: StandIn, name: str) -> None:
    standin.world.add(scenes())
    sentence = str(answer_of(standin, name))
    assert sentence.startswith("Earth Engine")
    assert "\n" not in sentence


# All of it at once; tests/benchmarks/ee_faults.py does the same with 10,000 requests


def test_one_request_in_five_fails_and_every_pixel_is_right(standin: StandIn) -> None:
    del standin  # no other credentials, and the client doesn't ask Google anything
    tally = measure(reads=60, share=0.2, seed=1, requests=6, hopeless=6, latency=0.0)
    assert tally.faults > 5
    assert tally.wrong == 0
    assert (tally.hopeless, tally.refused) == (6, 6), "a failure for good is never asked again"
    assert tally.oversize == 0
    assert tally.under_way <= 6
    assert tally.ratio <= 1.5  # 1.3 where there are enough requests for chance to even out
