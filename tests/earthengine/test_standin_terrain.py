"""What the stand-in takes terrain for."""

from __future__ import annotations

import ee
import numpy as np
import pytest
from affine import Affine

from tests.earthengine.conftest import StandIn
from tests.earthengine.images import PixelGrid
from tests.earthengine.scenes import native_grid
from tests.earthengine.terrain import elevation
from tests.earthengine.test_standin import pixels

HERE = native_grid(width=8, height=6)
DEGREES = PixelGrid("EPSG:4326", Affine(1e-4, 0, -117.0, 0, -1e-4, 35.2415), 8, 6)


@pytest.fixture
def client(standin: StandIn) -> StandIn:
    standin.source()._session.open()
    return standin


@pytest.mark.parametrize("grid", [HERE, DEGREES], ids=["metres", "degrees"])
@pytest.mark.parametrize(("east", "north", "downhill"), [(-0.3, 0, 90), (0.3, 0, 270), (0, -0.3, 0), (0.2, 0.2, 225)])
def test_a_plane_has_its_slope_and_looks_downhill(
    client: StandIn, grid: PixelGrid, east: float, north: float, downhill: float
) -> None:
    client.world.add([elevation("MY/PLANE", lambda x, y: 500 + east * x + north * y)])
    ground = ee.Image("MY/PLANE").resample("bilinear")
    slope = pixels(ee.Terrain.slope(ground), grid)["slope"]
    np.testing.assert_allclose(slope, np.degrees(np.arctan(np.hypot(east, north))), rtol=1e-3)
    aspect = pixels(ee.Terrain.aspect(ground), grid)["aspect"]
    np.testing.assert_allclose((aspect - downhill + 180) % 360 - 180, 0, atol=0.1)


def test_a_mosaic_is_interpolated_once_it_has_a_projection(client: StandIn) -> None:
    client.world.add([elevation("MY/DEM/A", lambda x, y: x * 0.3 + 0 * y)])
    tiles = ee.ImageCollection("MY/DEM")
    with pytest.raises(ee.EEException, match="without a pixel grid of its own"):
        pixels(tiles.mosaic().resample("bilinear"), HERE)
    placed = tiles.mosaic().setDefaultProjection(tiles.first().projection()).resample("bilinear")
    rise = np.diff(pixels(placed, HERE)["elevation"], axis=1)
    np.testing.assert_allclose(rise, 3.0, rtol=1e-9)
