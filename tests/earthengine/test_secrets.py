"""Credentials never reach a log, a file, the terminal or an exception, whatever goes wrong."""

from __future__ import annotations

import logging
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from google.oauth2.credentials import Credentials

from pipeline.errors import CohmapError
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_failures import one_line
from pipeline.sources.ee_pace import Patience
from tests.archive_files import write_archive
from tests.conftest import Command
from tests.earthengine.conftest import StandIn, query
from tests.earthengine.faults import FAULTS, Fault
from tests.earthengine.scenes import opera_images
from tests.earthengine.test_command import earthengine, export

SECRET = "ya29.a0Secret-Token_1234567890"  # noqa: S105 - opens nothing
REFRESH = "1//0refresh-secret"


@pytest.fixture
def secret(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in with a token that can be searched for."""
    monkeypatch.setattr(standin.world, "token", SECRET)
    # a project of its own, because one process keeps the session it has already opened
    monkeypatch.setattr(standin.world, "project", "secret-project")
    return standin


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_an_export_with_faults_leaves_the_token_nowhere(
    cohmap: Command, secret: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    images = write_archive(tmp_path / "images", days=(0, 12), bands=("VV", "VH"))
    secret.world.add(opera_images(images.glob("*.tif")))
    monkeypatch.setenv("COHMAP_EE_TOKEN", SECRET)
    for name in ("503", "truncated", "web page"):
        secret.world.fail(replace(FAULTS[name]))
    answer = export(cohmap, tmp_path / "a", images, earthengine(secret), "--project", secret.world.project)
    assert answer.code == 0, answer.err
    assert len(secret.world.requests("computePixels")) > 4
    said = f"{caplog.text} {answer.out} {answer.err}"
    assert "computePixels" in said
    assert SECRET not in said
    assert SECRET.encode() not in everything_in(tmp_path)


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_a_server_that_repeats_the_token_is_not_quoted(
    secret: StandIn, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = Credentials(SECRET, refresh_token=REFRESH)
    patience = Patience(attempts=2, sleep=secret.naps)
    source = EarthEngineSource(secret.settings(), credentials=credentials, patience=patience)
    source.search(query())
    secret.world.fail(Fault("listAssets", status, f"You sent Authorization: Bearer {SECRET}", times=9))
    with pytest.raises(CohmapError) as caught:
        source.search(query())
    told = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(source._session)
    assert SECRET not in told
    assert REFRESH not in told


@pytest.mark.parametrize(
    "said",
    [f"Bearer {SECRET}", f'{{"refresh_token": "{REFRESH}"}}', f"token={REFRESH}&grant_type=refresh", f"got {SECRET}."],
)
def test_tokens_are_hidden_in_whatever_form_they_come(said: str) -> None:
    assert SECRET not in one_line(said)
    assert REFRESH not in one_line(said)


def test_a_sentence_about_tokens_stays_readable() -> None:
    said = "invalid_grant: Token has been expired or revoked."
    assert one_line(said) == said
