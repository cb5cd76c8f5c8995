"""Input, stack, pair maps and products on S3: servers that speak it, on this machine, and the real client."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipeline.job import open_job
from pipeline.ledger import Ledger
from pipeline.quicklook import open_map
from pipeline.storage import Folder
from pipeline.view.layers import find_products
from pipeline.view.windows import Frame, read_frame
from tests.archive_files import region_file, write_archive
from tests.conftest import Command
from tests.s3_servers import BUCKET, Server, moto_server, rclone_server

ROOT = Path(__file__).parent.parent
OUTPUT = f"s3://{BUCKET}/out"
MADE = ("stack/ascending-015.zarr/vv", "pairs", "products/coherence")
STAGES = ("export", "infer", "mosaic")


@pytest.fixture(scope="module")
def moto() -> Iterator[Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def server(moto: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name, value in moto.variables().items():
        monkeypatch.setenv(name, value)
    moto.moods.reset()
    store().mkdir(BUCKET)
    yield moto
    moto.moods.reset()
    store().rm(BUCKET, recursive=True)


def store() -> Any:
    return fsspec.filesystem("s3", use_listings_cache=False)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("images"), days=(0, 12, 24))


@pytest.fixture(scope="module")
def on_disk(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run on this disk makes, but for the ledgers, the catalogue and the report."""
    folder = tmp_path_factory.mktemp("on-disk")
    region = str(region_file(folder / "r.toml", images))
    with open_job(region, str(folder / "out"), workers=0, device="cpu", quiet=True) as job:
        job.export()
        job.infer()
        job.mosaic()
    files = (path for name in MADE for path in (folder / "out" / name).rglob("*"))
    return {str(path.relative_to(folder / "out")): path.read_bytes() for path in files if path.is_file()}


def on_s3(names: dict[str, bytes]) -> dict[str, bytes]:
    return {name: store().cat_file(f"{OUTPUT}/{name}") for name in names}


def on_bucket(folder: Path, images: Path) -> str:
    """A region file over the images as they lie in the bucket."""
    path = region_file(folder / "r.toml", images)
    path.write_text(path.read_text().replace(str(images), f"s3://{BUCKET}/images"))
    return str(path)


def test_a_run_from_s3_into_s3_killed_and_gone_on_with(
    cohmap: Command, server: Server, images: Path, on_disk: dict[str, bytes], tmp_path: Path
) -> None:
    assert server.url in os.environ["AWS_ENDPOINT_URL"]
    for path in images.iterdir():
        store().put_file(str(path), f"{BUCKET}/images/{path.name}")
    region = on_bucket(tmp_path, images)
    command = ("run", region, "--output", OUTPUT, "--workers", "0")
    run = [sys.executable, "-m", "tests.killed", "mosaic", "2", *command]
    killed = subprocess.run(run, cwd=ROOT, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    store().rm_file(f"{OUTPUT}/{next(name for name in on_disk if '/coherence_vv/c/' in name)}")
    answer = cohmap(*command)
    assert (answer.code, answer.err) == (0, "")
    assert "infer     8 done, 7 of them resumed" in answer.out
    assert on_s3(on_disk) == on_disk
    assert store().find(f"{BUCKET}/out/ledger") == [f"{BUCKET}/out/ledger/{stage}.jsonl" for stage in STAGES]

    assert cohmap("verify", region, "--output", OUTPUT).code == 0
    folder = Folder(OUTPUT)
    (product, *_) = find_products(folder)
    with open_map(folder.address(product.path)) as dataset:
        seen = read_frame(dataset, 1, Frame(*dataset.bounds), (64, 64))
    assert (seen.values.shape, seen.step) == ((64, 64), 2)


def test_a_worker_writes_to_a_second_kind_of_server(images: Path, on_disk: dict[str, bytes], tmp_path: Path) -> None:
    served = tmp_path / "served"
    (served / BUCKET).mkdir(parents=True)
    shutil.copytree(images, served / BUCKET / "images")
    region = on_bucket(tmp_path, images)
    with rclone_server(served) as other:
        run = [sys.executable, "-m", "pipeline.cli", "run", region, "--output", OUTPUT, "--workers", "1", "--quiet"]
        done = subprocess.run(
            run, cwd=ROOT, check=False, capture_output=True, text=True, env=os.environ | other.variables()
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert {name: (served / BUCKET / "out" / name).read_bytes() for name in on_disk} == on_disk


def test_an_upload_that_is_killed_leaves_nothing_under_its_name(server: Server, tmp_path: Path) -> None:
    whole = os.urandom(120 << 20)  # what is larger than 100 MiB goes in parts
    (tmp_path / "big").write_bytes(whole)
    upload = f"""
import shutil
from pipeline.storage import Folder
with Folder("{OUTPUT}").staged("products/big.tif") as temporary:
    shutil.copy("{tmp_path / "big"}", temporary)
"""
    process = subprocess.Popen([sys.executable, "-c", upload], cwd=ROOT, env=os.environ | server.variables())
    server.moods.then = lambda request: process.kill() if "partNumber=2" in request[1] else None
    assert process.wait() == -signal.SIGKILL
    server.moods.reset()
    folder = Folder(OUTPUT)
    assert not folder.exists("products/big.tif")
    assert [upload["Key"] for upload in store().list_multipart_uploads(BUCKET)] == ["out/products/big.tif"]
    assert folder.sweep() == 1
    assert not store().list_multipart_uploads(BUCKET)
    with folder.staged("products/big.tif") as temporary:
        temporary.write_bytes(whole)
    assert folder.read_bytes("products/big.tif") == whole


def test_a_store_that_falters_is_asked_again(server: Server) -> None:
    asked: Counter[tuple[str, str]] = Counter()

    def fails(request: tuple[str, str]) -> bool:
        asked[request] += 1
        return asked[request] == 1

    server.moods.fails, server.moods.delay = fails, 0.05
    folder = Folder(OUTPUT)
    folder.write_json("a.json", [1, 2])
    assert folder.read_json("a.json") == [1, 2]
    assert min(asked.values()) == 2


def test_a_store_that_stops_ends_a_run_with_one_sentence_and_the_run_goes_on_later(
    cohmap: Command, server: Server, images: Path, on_disk: dict[str, bytes], tmp_path: Path
) -> None:
    command = ("export", str(region_file(tmp_path / "r.toml", images)), "--output", OUTPUT)
    written: set[str] = set()

    def stops(request: tuple[str, str]) -> bool:
        method, path = request
        if method == "PUT" and "/vv/c/" in path:
            written.add(path)
        return len(written) > 3

    server.moods.fails = stops
    answer = cohmap(*command)
    assert answer.code == 2
    assert answer.err.startswith(f"cohmap: output {OUTPUT} failed (")
    assert answer.err.endswith("what is finished stays finished, give the same command again later\n")
    assert answer.err.count("\n") == 1
    server.moods.reset()
    assert cohmap(*command).code == 0
    stack = {name: content for name, content in on_disk.items() if name.startswith("stack")}
    assert on_s3(stack) == stack


@pytest.mark.parametrize(
    ("output", "sentence"),
    [("s3://nowhere/out", "bucket does not exist"), ("s3:///out", "can't be written")],
)
def test_a_bucket_that_can_not_be_written(
    cohmap: Command, server: Server, images: Path, tmp_path: Path, output: str, sentence: str
) -> None:
    del server
    answer = cohmap("export", str(region_file(tmp_path / "r.toml", images)), "--output", output)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert sentence in answer.err


def test_a_ledger_on_object_storage_grows_by_small_files_that_become_one(server: Server) -> None:
    folder = Folder(OUTPUT)
    ledger = Ledger(folder, "infer")
    for number in range(100):
        ledger.record(f"tile-{number}", "made-of-1", "sum")
    puts = [path for method, path in server.moods.seen if method == "PUT" and "ledger" in path]
    assert len(puts) == 3
    assert len(Ledger(folder, "infer")) == 96, "what a kill would leave"
    with Ledger(folder, "infer") as again:
        again.record("tile-7", "made-of-2", "sum")
    assert folder.names("ledger") == ["infer.jsonl"]
    assert len(Ledger(folder, "infer")) == 96
    assert Ledger(folder, "infer").matches("tile-7", "made-of-2")
