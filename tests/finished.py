"""A small output folder as the stages leave it, made by the stages themselves: what catalogue and report read."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from odc.geo.geobox import GeoBox

from pipeline.change.stage import change
from pipeline.compute import Pool
from pipeline.cube import FloatArray
from pipeline.export import export
from pipeline.infer import infer
from pipeline.mosaic import mosaic
from pipeline.passes import Pair
from pipeline.plan import make_plan
from pipeline.region import Region
from pipeline.storage import Folder
from tests.fakes import FIRST, Listener, SpeckleSource, make_region

DAYS = (0, 12, 24, 36, 48)
EVENT = (FIRST + dt.timedelta(days=42)).date()


def region_with_everything(**tables: Any) -> Region:
    """Two polarisations, two baselines, an event, means: 7 pairs in four tiles of 64 pixels."""
    everything = {
        "passes": {"polarisations": ["VV", "VH"]},
        "pairs": {"mode": "all", "max_days": 24},
        "change": {"event": EVENT},
    }
    return make_region(**everything | tables)


def finish(region: Region, folder: Path, source: SpeckleSource | None = None) -> Folder:
    """Run every stage before catalogue and report."""
    opened, listener = Folder(str(folder)), Listener()
    source = source or SpeckleSource(region, days=DAYS)
    export(make_plan(region, source), source, opened, listener)
    with Pool(0) as pool:
        infer(region, opened, pool, listener, "cpu")
        mosaic(region, opened, pool, listener)
        if region.config.change is not None:
            change(region, opened, pool, listener)
    return opened


class Oracle(SpeckleSource):
    """A source that knows the truth: one coherence everywhere, and an event in the grid's north-west quarter."""

    truth = 0.64

    def true_coherence(self, pair: Pair, polarisation: str, window: GeoBox) -> FloatArray:  # noqa: ARG002 - the same for all
        """The share of the field that stays, see `SpeckleSource.read`."""
        return np.full(window.shape, self.truth, dtype=np.float32)

    def event_mask(self, window: GeoBox) -> npt.NDArray[np.bool_]:
        """Pixels whose centre lies in the quarter."""
        rows, cols = np.indices(window.shape)
        to_grid, grid = window.affine, self.region.grid
        x = to_grid.c + to_grid.a * (cols + 0.5)
        y = to_grid.f + to_grid.e * (rows + 0.5)
        middle_x = grid.affine.c + grid.affine.a * grid.shape[1] / 2
        middle_y = grid.affine.f + grid.affine.e * grid.shape[0] / 2
        return np.asarray((x < middle_x) & (y > middle_y), dtype=np.bool_)


def finished_once(factory: pytest.TempPathFactory) -> Path:
    """The folder of `region_with_everything`, made once a test run; whoever changes it, copies it first."""
    folder = factory.getbasetemp() / "finished"
    if not folder.exists():
        finish(region_with_everything(), folder)
    return folder
