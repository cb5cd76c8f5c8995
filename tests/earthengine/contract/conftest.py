"""Earth Engine for the contract: the stand-in by default, the real one with ``-m live --project NAME``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ee
import numpy.typing as npt
import pytest
from affine import Affine
from google.oauth2.credentials import Credentials
from odc.geo.geobox import GeoBox
from shapely.geometry import Point

from pipeline import config
from pipeline.passes import Pass, group
from pipeline.sources import Query
from pipeline.sources.earthengine import EarthEngineSource
from pipeline.sources.ee_pace import Patience
from pipeline.sources.ee_requests import grid_of
from tests.earthengine.conftest import StandIn
from tests.earthengine.contract.scene import CRS, NATIVE, START, everything

DAY = START.date()
MIDDLE = Point(19.05, 49.2)
# Near the scene's middle, on its own pixels: 15,000 columns and 11,000 rows from its corner.
INSIDE = GeoBox((64, 64), NATIVE.transform @ Affine.translation(15_000, 11_000), CRS)
# Across the swath's western edge, about 17.13 E 49.02 N: left of it every pixel is masked.
EDGE = GeoBox((64, 64), Affine(400, 0, 205_000, 0, -400, 5_447_000), CRS)
POWERS = ("VV", "VH")

Open = Callable[..., EarthEngineSource]


@dataclass(frozen=True)
class Service:
    """Earth Engine, whichever.

    Attributes
    ----------
    source
        A source that talks to it, given further keys of [source], or other ``credentials`` or ``project``.
    """

    source: Open

    def scene(self, bands: Sequence[str] = (*POWERS, "angle")) -> Pass:
        """The scene as a pass, by a search at its middle."""
        (item,) = group(self.source().search(Query(MIDDLE.buffer(0.02), DAY, DAY, tuple(bands))))
        return item

    def read(self, window: GeoBox = INSIDE, bands: Sequence[str] = ("VV",), **settings: Any) -> Any:
        """The scene as cohmap reads it: shape (bands, height, width)."""
        return self.source(**settings).read(self.scene(), window, bands)

    def pixels(self, image: Any, window: GeoBox = INSIDE) -> npt.NDArray[Any]:
        """An expression as Earth Engine computes it: a structured array, one field a band."""
        parameters = {"expression": image, "fileFormat": "NUMPY_NDARRAY", "grid": grid_of(window)}
        answer: npt.NDArray[Any] = ee.data.computePixels(parameters)
        return answer


def moved(window: GeoBox, east: float, north: float = 0.0) -> GeoBox:
    """The window, so many metres further."""
    return GeoBox(window.shape, Affine.translation(east, north) @ window.affine, window.crs)


def _real(request: pytest.FixtureRequest) -> Open:
    project = request.config.getoption("--project")
    if not project:
        pytest.fail("name your Google Cloud project: pytest -m live --project NAME", pytrace=False)

    def source(**settings: Any) -> EarthEngineSource:
        credentials, named = settings.pop("credentials", None), settings.pop("project", project)
        made = {"kind": "earthengine", "url": request.config.getoption("--earthengine"), **settings}
        return EarthEngineSource(config.EarthEngineSource.model_validate(made), named, credentials=credentials)

    return source


def _simulated(request: pytest.FixtureRequest) -> Open:
    standin: StandIn = request.getfixturevalue("standin")
    standin.world.add(everything())

    def source(**settings: Any) -> EarthEngineSource:
        credentials: Credentials = settings.pop("credentials", standin.credentials)
        patience = Patience(sleep=standin.naps, clock=standin.naps.clock)
        return EarthEngineSource(standin.settings(**settings), credentials=credentials, patience=patience)

    return source


@pytest.fixture(
    params=[
        "stand-in",
        pytest.param("Earth Engine", marks=[pytest.mark.live, pytest.mark.filterwarnings("default")]),
    ]
)
def service(request: pytest.FixtureRequest) -> Service:
    """Earth Engine with its client started."""
    made = Service(_real(request) if request.param == "Earth Engine" else _simulated(request))
    made.source()._session.open()
    return made
