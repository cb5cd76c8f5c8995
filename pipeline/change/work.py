"""What a worker needs to test one tile: where pair maps and images lie, and the tests; read with a margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.change import omnibus
from models.change.combine import NEIGHBOURHOOD
from models.change.evidence import WINDOW, Scene, Target, Tested
from pipeline import cube
from pipeline.change.design import Design
from pipeline.cube import FloatArray
from pipeline.export import stack_name, variable_name
from pipeline.infer import map_key, maps_name
from pipeline.ledger import digest
from pipeline.mosaic import Maps
from pipeline.region import Region, Tile
from pipeline.storage import Folder

# Raised whenever the numbers change for a reason other than their input.
VERSION = 1
# Pixels around a tile that its scores depend on, and pixels around these that the averaged images depend on.
HALO, WINDOW_HALO = NEIGHBOURHOOD // 2, WINDOW // 2
INSIDE = np.s_[HALO:-HALO, HALO:-HALO]


@dataclass(frozen=True)
class Work:
    """One track's tests, for workers.

    Attributes
    ----------
    layers
        Position in the cube of pair maps of each pair of the design.
    visits
        Position in the stack of each pass of the design.
    """

    output: str
    region: Region
    design: Design
    layers: tuple[int, ...]
    visits: tuple[int, ...]
    bands: tuple[str, ...]
    intensity: bool

    @property
    def name(self) -> str:
        """Short unique name, e.g. ``ascending-137_20230315``."""
        return f"{self.design.track}_{self.design.label}"

    @property
    def folder(self) -> Folder:
        """Where everything lies."""
        return Folder(self.output)


def make_work(maps: Maps, design: Design) -> Work:
    """The work of one design."""
    rule = maps.region.config.change
    order = {name: number for number, name in enumerate(maps.stacks.passes[design.track])}
    return Work(
        output=maps.folder.absolute,
        region=maps.region,
        design=design,
        layers=tuple(maps.layer(pair).position for pair in design.pairs),
        visits=tuple(order[visit.id] for visit in design.visits),
        bands=tuple(variable_name(band) for band in maps.region.config.passes.polarisations),
        intensity=rule is None or rule.intensity,
    )


def read(work: Work, tile: Tile, targets: Sequence[Target], halo: int = HALO) -> tuple[Scene, list[Target]]:
    """All that the targets need of one tile and the pixels around it, and the targets counting in it.

    Raw scores are of single pixels and need no halo; without one, pair maps are read from one chunk instead of nine.
    """
    pairs = sorted({n for t in targets for like in t.baselines for one in like for n in (one.pair, *one.normal)})
    visits = sorted({n for t in targets for n in (t.image, *t.others)}) if work.intensity else []
    maps = cube.Cube(work.folder, maps_name(work.design.track))

    def layers(quantity: str, band: str) -> FloatArray:
        return np.stack([maps.read_tile(f"{quantity}_{band}", work.layers[n], tile, halo) for n in pairs])

    averaged = []
    if visits:
        stack = cube.Cube(work.folder, stack_name(work.design.track))
        # always read as wide: a moving mean's last bits depend on where it begins
        margin = HALO + WINDOW_HALO
        cut = (slice(margin - halo, halo - margin),) * 2
        for band in work.bands:
            wide = (stack.read_tile(band, work.visits[n], tile, margin) for n in visits)
            averaged.append(np.stack([image[cut] for image in omnibus.windowed(wide, WINDOW)]))
    scene = Scene(
        tuple(layers("coherence", band) for band in work.bands),
        tuple(layers("sigma", band) for band in work.bands),
        tuple(averaged),
        omnibus.windowed_looks(work.region.config.grid.spacing, WINDOW),
    )
    pair_at = {n: place for place, n in enumerate(pairs)}
    visit_at = {n: place for place, n in enumerate(visits)}

    def moved(target: Target) -> Target:
        baselines = tuple(
            tuple(Tested(pair_at[one.pair], tuple(pair_at[n] for n in one.normal)) for one in like)
            for like in target.baselines
        )
        if not visits:
            return replace(target, baselines=baselines)
        return Target(baselines, visit_at[target.image], tuple(visit_at[n] for n in target.others))

    return scene, [moved(target) for target in targets]


def inputs(maps: Maps, work: Work, tile: Tile, targets: Sequence[Target]) -> str:
    """Digest of all pixels that the targets' scores in a tile follow from."""
    design = work.design
    pairs = sorted({n for t in targets for like in t.baselines for one in like for n in (one.pair, *one.normal)})
    around = [
        Tile(row, col, tile.size, tile.grid_shape)
        for row in range(tile.row - 1, tile.row + 2)
        for col in range(tile.col - 1, tile.col + 2)
    ]
    found: list[object] = [[maps.ledger.checksum(map_key(design.pairs[n], each)) for each in around] for n in pairs]
    if work.intensity:
        visits = sorted({n for t in targets for n in (t.image, *t.others)})
        found.append([maps.stacks.inputs(design.track, design.visits[n].id, tile, 1) for n in visits])
    return digest(VERSION, work.bands, work.intensity, found, [repr(target) for target in targets])
