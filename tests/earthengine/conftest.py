"""A server for all tests of this folder, and a way to a source that uses it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import ee
import pytest
from google.oauth2.credentials import Credentials
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from pipeline import config
from pipeline.sources import Query
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_pace import Patience
from tests.conftest import Command
from tests.earthengine.server import Server, serve
from tests.earthengine.world import World

if TYPE_CHECKING:
    from tests.earthengine.batch import Bench

# Around the scenes' own place, see scenes.native_grid.
HERE = box(-117.01, 35.23, -116.98, 35.25)


def query(
    start: dt.date | None = None,
    end: dt.date | None = None,
    bands: tuple[str, ...] = ("VV",),
    area: BaseGeometry = HERE,
) -> Query:
    return Query(area, start, end, bands)


@dataclass
class Naps:
    """Stands for time.sleep: remembers how long it should have slept."""

    seconds: list[float] = field(default_factory=list)
    now: float = 0.0

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        """A time that passes only in naps."""
        return self.now


@dataclass
class StandIn:
    """The server, what it holds, and sources that talk to it."""

    server: Server
    world: World
    naps: Naps
    credentials: Credentials

    def settings(self, **settings: object) -> config.EarthEngineSource:
        """A region's [source] table that leads to the server."""
        return config.EarthEngineSource.model_validate(
            {"kind": "earthengine", "url": self.server.url, "project": self.world.project, **settings}
        )

    def source(self, **settings: object) -> EarthEngineSource:
        """A source with the right token that never really waits."""
        patience = Patience(attempts=4, deadline=30.0, sleep=self.naps, clock=self.naps.clock)
        return EarthEngineSource(self.settings(**settings), credentials=self.credentials, patience=patience)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        # The client asks a Google server for deprecated assets at every start; tests don't leave the machine.
        patch.setattr(ee.deprecation, "_FetchDataCatalogStac", dict)
        with serve(World()) as server:
            yield server
            ee.Reset()


@pytest.fixture(scope="session")
def right_credentials(server: Server) -> Credentials:
    return Credentials(server.world.token)


@pytest.fixture
def away_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home without credentials of any kind, and no proxy."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "COHMAP_EE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def standin(server: Server, right_credentials: Credentials, away_from_home: Path) -> StandIn:
    del away_from_home
    server.world.clear()
    return StandIn(server, server.world, Naps(), right_credentials)


@pytest.fixture
def bench(standin: StandIn, cohmap: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    from tests.earthengine.batch import make_bench

    monkeypatch.setenv("COHMAP_EE_TOKEN", standin.world.token)
    return make_bench(standin, cohmap, tmp_path)
