"""Credentials never reach a log, a file, the terminal or an exception, whatever goes wrong."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
import rasterio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2.credentials import Credentials
from PIL import Image

from pipeline.errors import CohmapError
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_failures import one_line
from pipeline.sources.ee_pace import Patience
from tests.archive_files import region_file, write_archive
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


def disguises(secret: str) -> set[bytes]:
    """The secret as it is, as part of an address, and within base64, which has three forms by where it begins."""
    found = {secret.encode(), quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()}
    for skipped in range(3):
        coded = base64.b64encode(b" " * skipped + secret.encode())
        found.add(coded[4 if skipped else 0 : -4])  # without the ends, which depend on what is around
    return found


def pictures_in(folder: Path) -> Iterator[Image.Image]:
    """Every picture: those on disk, and those inside the report."""
    for path in folder.rglob("*.png"):
        with Image.open(path) as picture:
            picture.load()
            yield picture
    for page in folder.rglob("*.html"):
        for coded in re.findall(r"data:image/png;base64,([\w+/=]+)", page.read_text(encoding="utf-8")):
            with Image.open(io.BytesIO(base64.b64decode(coded))) as picture:
                picture.load()
                yield picture


def unpacked(path: Path) -> bytes:
    """What a file says of itself, where that may be compressed: tags of rasters, attributes of cubes."""
    if path.suffix == ".tif":
        with rasterio.open(path) as raster:
            told = [raster.tags(), *(raster.tags(ns=name) for name in raster.tag_namespaces())]
            return repr([told, [raster.tags(band) for band in raster.indexes], raster.descriptions]).encode()
    return path.read_bytes()


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


def service_account(folder: Path, server: str) -> tuple[Path, list[str]]:
    """A service account's key file, and what must not leave it: its private key's lines, and its id."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    about = {
        "type": "service_account",
        "project_id": "secret-project",
        "private_key_id": "0123456789abcdef-secret-key-id",
        "client_email": "robot@example.com",
        "token_uri": f"{server}/token",
        "private_key": private.decode(),
    }
    path = folder / "key.json"
    path.write_text(json.dumps(about))
    lines = [line for line in private.decode().splitlines() if not line.startswith("-")]
    return path, [*lines, about["private_key_id"]]


def test_a_whole_run_leaves_no_credentials_in_anything_that_it_makes(
    cohmap: Command, secret: StandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Plan, stack, ledgers, maps, catalogue, report, pictures, terminal, log: with a service account, and faults."""
    caplog.set_level(logging.DEBUG)
    images = write_archive(tmp_path / "images", days=(0, 12), bands=("VV",))
    secret.world.add(opera_images(images.glob("*.tif")))
    key, secrets = service_account(tmp_path, secret.server.url)
    for name in ("503", "web page", "memory"):
        secret.world.fail(replace(FAULTS[name]))
    secret.world.fail(Fault("listAssets", 500, f"You sent Authorization: Bearer {SECRET}"))
    source = f'{earthengine(secret)}\nservice_account_key = "{key}"'
    region = region_file(tmp_path / "r.toml", images, source=source, pairs='mode = "chain"')
    output = tmp_path / "out"
    said = []
    for command in (["plan"], ["run", "--workers", "0"]):
        answer = cohmap(command[0], str(region), "--output", str(output), "--project", "secret-project", *command[1:])
        assert answer.code == 0, answer.err
        said.append(f"{answer.out} {answer.err}")
    files = [path for path in output.rglob("*") if path.is_file()]
    made = {path.suffix for path in files} | {path.name for path in files}
    assert {"plan.json", "plan.png", "export.jsonl", "report.html", "collection.json", ".tif", "zarr.json"} <= made
    pictures = list(pictures_in(output))
    assert len(pictures) >= 2
    where = {str(path): path.read_bytes() + unpacked(path) for path in files}
    where["terminal"], where["log"] = "".join(said).encode(), caplog.text.encode()
    where["pictures"] = repr([picture.info for picture in pictures]).encode()
    assert "You sent" in caplog.text, "the server's words were told, without the token"
    for each in (SECRET, *secrets):
        for form in disguises(each):
            assert not [name for name, content in where.items() if form in content], each[:12]


@pytest.mark.parametrize("place", ["file", "address", "page"])
def test_the_search_for_credentials_finds_them(tmp_path: Path, place: str) -> None:
    """The test above can fail: a secret that is there, in whatever form, is seen."""
    hidden = {
        "file": SECRET.encode(),
        "address": f"https://x/?token={quote(SECRET, safe='')}".encode(),
        "page": base64.b64encode(f"<img alt='{SECRET}'>".encode()),
    }[place]
    (tmp_path / "made").write_bytes(hidden)
    assert any(form in everything_in(tmp_path) for form in disguises(SECRET))


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
