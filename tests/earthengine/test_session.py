"""Credentials, projects, and failures: what is tried again, what is said to the user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import ee
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2.credentials import Credentials

from pipeline.errors import CohmapError
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_pace import Patience
from pipeline.sources.ee_session import Session
from tests.earthengine.conftest import StandIn, query
from tests.earthengine.faults import Fault
from tests.earthengine.scenes import image

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = query()


def search(standin: StandIn, credentials: Credentials | None = None, **settings: object) -> int:
    """Number of slices found by a source that has to find its own credentials, unless some are given."""
    source = EarthEngineSource(
        standin.settings(**settings), credentials=credentials, patience=Patience(attempts=3, sleep=standin.naps)
    )
    return len(source.search(EVERYTHING))


# Credentials


def test_without_credentials_the_user_is_told_how_to_get_them(standin: StandIn) -> None:
    with pytest.raises(CohmapError, match="no Earth Engine credentials that work: run `earthengine authenticate`"):
        search(standin)
    assert not standin.world.requests("")


def store_credentials(home: Path, **more: str) -> None:
    """What `earthengine authenticate` leaves behind."""
    path = home / ".config/earthengine/credentials"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"refresh_token": "old", "scopes": ["s"], **more}))


def test_stored_credentials_are_used_with_their_project(
    standin: StandIn, away_from_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ee.oauth, "TOKEN_URI", f"{standin.server.url}/token")
    store_credentials(away_from_home, project=standin.world.project)
    assert search(standin, project=None) == 0
    assert standin.world.requests("/token")


def test_stored_credentials_that_have_expired_are_said_not_to_work(
    standin: StandIn, away_from_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ee.oauth, "TOKEN_URI", f"{standin.server.url}/token")
    store_credentials(away_from_home)
    standin.world.refuses_refresh = True
    with pytest.raises(CohmapError, match="no Earth Engine credentials that work: run `earthengine authenticate`"):
        search(standin)


def test_a_service_account_needs_only_its_key(standin: StandIn, tmp_path: Path) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = tmp_path / "key.json"
    about = {
        "type": "service_account",
        "project_id": standin.world.project,
        "client_email": "robot@example.com",
        "token_uri": f"{standin.server.url}/token",
        "private_key": private.decode(),
    }
    key.write_text(json.dumps(about))
    assert search(standin, project=None, service_account_key=str(key)) == 0


@pytest.mark.parametrize("content", [None, "no json", "{}"])
def test_a_service_account_key_that_cannot_be_used_is_named(
    standin: StandIn, tmp_path: Path, content: str | None
) -> None:
    key = tmp_path / "key.json"
    if content is not None:
        key.write_text(content)
    with pytest.raises(CohmapError, match=r"service_account_key = '.*key.json' can't be used"):
        search(standin, service_account_key=str(key))


def test_an_access_token_in_the_environment_is_enough(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHMAP_EE_TOKEN", standin.world.token)
    assert search(standin) == 0


def test_a_refused_token_ends_with_a_sentence_at_once(standin: StandIn) -> None:
    with pytest.raises(CohmapError, match=r"does not accept your credentials .* run `earthengine authenticate` again"):
        search(standin, Credentials("wrong"))
    assert not standin.naps.seconds


def test_a_token_that_expires_on_the_way_ends_with_the_same_sentence(standin: StandIn) -> None:
    source = standin.source()
    source.search(EVERYTHING)
    standin.world.fail(Fault("listAssets", 401, "Request had invalid authentication credentials."))
    with pytest.raises(CohmapError, match="does not accept your credentials"):
        source.search(EVERYTHING)


# Projects


def test_without_a_project_the_user_is_told_where_to_name_one(standin: StandIn) -> None:
    with pytest.raises(
        CohmapError, match=r"no Google Cloud project for Earth Engine: give --project NAME or \[source\]"
    ):
        search(standin, standin.credentials, project=None)


def test_a_wrong_project_is_named(standin: StandIn) -> None:
    with pytest.raises(CohmapError, match=r"refuses project 'wrong-project' \(Caller does not have .* check its name"):
        search(standin, standin.credentials, project="wrong-project")
    assert not standin.naps.seconds


def test_a_project_without_the_interface_enabled_is_named(standin: StandIn) -> None:
    said = "Google Earth Engine API has not been used in project right-project before or it is disabled."
    standin.world.fail(Fault("algorithms", 403, said))
    session = Session(standin.server.url, standin.world.project, credentials=Credentials(standin.world.token))
    with pytest.raises(
        CohmapError, match=r"refuses project 'right-project' \(Google Earth Engine API has not been used"
    ):
        session.open()


def test_the_project_of_the_command_line_goes_before_the_regions(standin: StandIn) -> None:
    source = EarthEngineSource(
        standin.settings(project="wrong-project"), standin.world.project, credentials=standin.credentials
    )
    assert source.search(EVERYTHING) == []


# Starting the client


def test_the_client_is_started_once_however_many_threads_ask(standin: StandIn) -> None:
    credentials = Credentials(standin.world.token)  # others than before, so it must start
    sources = [EarthEngineSource(standin.settings(), credentials=credentials) for _ in range(6)]
    threads = [threading.Thread(target=source.search, args=(EVERYTHING,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(standin.world.requests("algorithms")) == 1
    assert len(standin.world.requests("listAssets")) == 6


def test_an_address_that_is_not_earth_engine_is_named(standin: StandIn) -> None:
    with pytest.raises(
        CohmapError, match=r"at http://127.0.0.1:\d+/elsewhere refuses to start: there is no Earth Engine"
    ):
        search(standin, standin.credentials, url=f"{standin.server.url}/elsewhere")


def test_an_address_where_nothing_answers_is_named_after_a_few_tries(standin: StandIn) -> None:
    with pytest.raises(CohmapError, match=r"at http://127.0.0.1:1 gave no answer in 3 tries"):
        search(standin, standin.credentials, url="http://127.0.0.1:1")
    assert len(standin.naps.seconds) == 2


# The heavy client is loaded only by those who use it.


def test_importing_the_source_does_not_load_the_client() -> None:
    code = "import sys, pipeline.sources.earthengine; sys.exit('ee' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, check=False).returncode == 0


# Failures on the way


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_what_may_pass_is_tried_again(standin: StandIn, status: int) -> None:
    standin.world.add([image("A")])
    source = standin.source()
    standin.world.fail(Fault("listAssets", status, "Too many requests.", times=2))
    assert len(source.search(EVERYTHING)) == 1
    assert len(standin.world.requests("listAssets")) == 3
    first, second = standin.naps.seconds
    assert 0.5 <= first <= 1 <= second <= 2


def test_the_server_may_ask_for_a_longer_wait(standin: StandIn) -> None:
    standin.world.fail(Fault("listAssets", 429, "Quota exceeded.", headers={"Retry-After": "17"}))
    standin.source().search(EVERYTHING)
    assert standin.naps.seconds == [17]


def test_waits_do_not_grow_without_end() -> None:
    waits: list[float] = []
    patience = Patience(sleep=waits.append)
    for attempt in range(1, 40):
        patience.wait(attempt, None)
    assert max(waits) <= patience.longest
    assert len(set(waits[-10:])) == 10, "requests refused together must not come back together"


def test_patience_ends(standin: StandIn) -> None:
    standin.world.fail(Fault("listAssets", 503, "The service is currently unavailable.", times=99))
    with pytest.raises(CohmapError, match=r"no answer in 4 tries \(The service is currently unavailable"):
        standin.source().search(EVERYTHING)
    assert len(standin.world.requests("listAssets")) == 4


@pytest.mark.parametrize("status", [400, 403, 404])
def test_what_cannot_pass_is_asked_once(standin: StandIn, status: int) -> None:
    standin.world.fail(Fault("listAssets", status, "No.", times=99))
    with pytest.raises(CohmapError, match=r"Earth Engine .*No"):
        standin.source().search(EVERYTHING)
    assert len(standin.world.requests("listAssets")) == 1
    assert not standin.naps.seconds


def test_an_answer_that_does_not_come_in_time_is_asked_for_again(standin: StandIn) -> None:
    standin.world.add([image("A")])
    patience = Patience(attempts=2, deadline=0.2, sleep=standin.naps)
    source = EarthEngineSource(standin.settings(), credentials=standin.credentials, patience=patience)
    standin.world.fail(Fault("listAssets", 400, "too late to matter", delay=1.0))
    assert len(source.search(EVERYTHING)) == 1
    assert len(standin.naps.seconds) == 1
