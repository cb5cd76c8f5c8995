"""Stage 3: pair maps to regional COGs, one a pair, and their mean, median and count over time and over tracks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from models.estimator import Estimator
from models.median import median_of_known
from pipeline import cube
from pipeline.compute import Pool
from pipeline.config import RegionConfig
from pipeline.context import context_passes
from pipeline.cube import FloatArray
from pipeline.errors import CohmapError
from pipeline.estimator import open_estimator
from pipeline.export import Outcome, variable_name
from pipeline.infer import STAGE as INFER
from pipeline.infer import map_fingerprint, map_key, maps_name
from pipeline.ledger import Ledger, digest
from pipeline.passes import Pair, Track
from pipeline.products import Band, Product, clipped, save_index, write_cog
from pipeline.progress import Progress
from pipeline.region import Region, Tile
from pipeline.register import known_shifts
from pipeline.stacks import Stacks, open_stacks
from pipeline.storage import Folder
from pipeline.tiles import Tiles

STAGE = "mosaic"

PAIR_BANDS = (
    Band("coherence", "InSAR coherence, 0 to 1"),
    Band("sigma", "standard deviation of the coherence estimate"),
)
MEAN_BANDS = (
    Band("mean", "temporal mean of the coherence"),
    Band("median", "temporal median of the coherence"),
    Band("count", "number of pairs with data"),
)


@dataclass(frozen=True)
class MapLayer:
    """Where one pair's map lies: a cube and a position in it."""

    maps: str
    position: int


@dataclass(frozen=True)
class _Task:
    output: str
    region: Region
    product: Product
    layers: tuple[MapLayer, ...]
    tiles: Tiles
    fingerprint: str


@dataclass(frozen=True)
class Maps:
    """The finished pair maps of a region: which pairs, which tiles, and where."""

    region: Region
    folder: Folder
    stacks: Stacks
    ledger: Ledger
    positions: Mapping[str, int]

    @property
    def pairs(self) -> list[Pair]:
        """Pairs of every track."""
        return [pair for pairs in self.stacks.pairs.values() for pair in pairs]

    def layer(self, pair: Pair) -> MapLayer:
        """Where the pair's map lies."""
        return MapLayer(maps_name(pair.track), self.positions[f"{pair.track}/{pair.id}"])

    def tiles(self, pairs: list[Pair]) -> Tiles:
        """Tiles in which at least one of the pairs has a map."""
        there = [self.stacks.has_data(pair) for pair in pairs]
        return self.region.tiles.select(np.logical_or.reduce(there))

    def checksums(self, pairs: list[Pair]) -> list[str]:
        """What the pairs' maps hold, for fingerprints."""
        return [self.ledger.checksum(map_key(pair, tile)) for pair in pairs for tile in self.stacks.pair_tiles(pair)]

    def runtimes(self, pairs: list[Pair]) -> str:
        """What computed the pairs' maps; several where the installation changed in between."""
        records = (self.ledger.get(map_key(pair, tile)) for pair in pairs for tile in self.stacks.pair_tiles(pair))
        return ", ".join(sorted({str(record["runtime"]) for record in records if record and "runtime" in record}))

    def assets(self, track: Track, pass_id: str) -> tuple[str, ...]:
        """The source's names of a pass's images."""
        return tuple(str(asset["id"]) for asset in self.stacks.passes[track][pass_id]["assets"])


def open_maps(region: Region, folder: Folder) -> Maps:
    """The region's pair maps.

    Raises
    ------
    CohmapError
        They aren't there, or not all of them, or not all are what the region's settings make of its stacks.
    """
    stacks = open_stacks(region, folder)
    estimator, shifts = open_estimator(region, "cpu"), known_shifts(stacks)
    ledger = Ledger(folder, INFER)

    def is_made(pair: Pair) -> bool:
        shift = shifts.get(f"{pair.track}/{pair.id}")
        context = context_passes(stacks, pair, estimator)
        return all(
            shift is not None
            and ledger.matches(map_key(pair, tile), map_fingerprint(stacks, estimator, pair, tile, shift, context))
            for tile in stacks.pair_tiles(pair)
        )

    positions = {}
    for track, pairs in stacks.pairs.items():
        entries = {e["id"]: i for i, e in enumerate(cube.Cube(folder, maps_name(track)).entries)}
        for pair in pairs:
            if pair.id not in entries or not is_made(pair):
                raise CohmapError(
                    f"the map of pair {pair.id} of track {track} is not finished, or was made with other settings than "
                    "the region has now; run `cohmap infer` first"
                )
            positions[f"{track}/{pair.id}"] = entries[pair.id]
    return Maps(region, folder, stacks, ledger, positions)


def mosaic(region: Region, folder: Folder, pool: Pool, progress: Progress) -> Outcome:
    """Write the COG of every pair and of every mean; products made from the same maps are left alone."""
    maps = open_maps(region, folder)
    estimator = open_estimator(region, "cpu")
    tasks = []
    if region.config.products.pairs:
        tasks += [task for pair in maps.pairs for task in _pair_tasks(maps, pair, estimator)]
    if region.config.products.mean:
        tasks += _mean_tasks(maps, estimator)
    with Ledger(folder, STAGE) as ledger:
        todo = [task for task in tasks if not product_is_done(folder, ledger, task.product, task.fingerprint)]
        progress.start(STAGE, len(tasks), len(tasks) - len(todo))
        for task, written in pool.run(_write, todo):
            ledger.record(task.product.id, task.fingerprint, written, path=task.product.path)
            progress.advance()
    save_index(folder, STAGE, [task.product for task in tasks])
    return Outcome(len(tasks), len(tasks) - len(todo))


def product_is_done(folder: Folder, ledger: Ledger, product: Product, fingerprint: str) -> bool:
    """Whether a product was made from exactly these inputs and is still there."""
    return ledger.matches(product.id, fingerprint) and folder.exists(product.path)


def product_fingerprint(maps: Maps, product: Product, pairs: list[Pair]) -> str:
    """Digest of all that decides a product's pixels and tags."""
    clip = maps.region.area.wkt if maps.region.config.products.clip else ""
    return digest(product.to_json(), maps.checksums(pairs), clip)


def estimator_label(config: RegionConfig, estimator: Estimator) -> str:
    """Estimator, version and settings in one line."""
    settings = config.estimator
    extras = [f"{settings.window} px" if settings.window else "", settings.mode or ""]
    return " ".join([estimator.name, estimator.version, *(extra for extra in extras if extra)])


def _pair_tasks(maps: Maps, pair: Pair, estimator: Estimator) -> Iterator[_Task]:
    for polarisation in maps.region.config.passes.polarisations:
        band = variable_name(polarisation)
        product = Product(
            id=f"coherence-{pair.track}-{pair.id}-{band}",
            kind="coherence",
            path=f"products/coherence/{pair.track}/{pair.id}_{band}.tif",
            title=f"InSAR coherence {polarisation}, {pair.reference_start:%Y-%m-%d} to "
            f"{pair.secondary_start:%Y-%m-%d} ({pair.days} days), {pair.track}",
            bands=PAIR_BANDS,
            track=str(pair.track),
            polarisation=polarisation,
            reference=pair.reference_start.isoformat(),
            secondary=pair.secondary_start.isoformat(),
            days=pair.days,
            pairs=(f"{pair.track}/{pair.id}",),
            estimator=estimator_label(maps.region.config, estimator),
            reference_assets=maps.assets(pair.track, pair.reference),
            secondary_assets=maps.assets(pair.track, pair.secondary),
            properties={"runtime": maps.runtimes([pair])},
        )
        yield _task(maps, product, [pair])


def _mean_tasks(maps: Maps, estimator: Estimator) -> list[_Task]:
    """One mean per polarisation and baseline: of each track, and over tracks where there are several."""
    groups: dict[tuple[str, int], list[Pair]] = {}
    for pair in maps.pairs:
        groups.setdefault((str(pair.track), pair.days), []).append(pair)
        if len(maps.stacks.pairs) > 1:
            groups.setdefault(("all", pair.days), []).append(pair)
    tasks = []
    for (track, days), pairs in sorted(groups.items()):
        if len(pairs) < 2:
            continue  # the mean of one pair is that pair
        for polarisation in maps.region.config.passes.polarisations:
            band = variable_name(polarisation)
            product = Product(
                id=f"mean-{track}-{days:03d}d-{band}",
                kind="mean",
                path=f"products/mean/{track}_{days:03d}d_{band}.tif",
                title=f"Mean coherence {polarisation} at {days} days, {len(pairs)} pairs, "
                f"{'all tracks' if track == 'all' else track}",
                bands=MEAN_BANDS,
                track=track,
                polarisation=polarisation,
                reference=min(pair.reference_start for pair in pairs).isoformat(),
                secondary=max(pair.secondary_start for pair in pairs).isoformat(),
                days=days,
                pairs=tuple(f"{pair.track}/{pair.id}" for pair in pairs),
                estimator=estimator_label(maps.region.config, estimator),
            )
            tasks.append(_task(maps, product, pairs))
    return tasks


def _task(maps: Maps, product: Product, pairs: list[Pair]) -> _Task:
    return _Task(
        output=maps.folder.absolute,
        region=maps.region,
        product=product,
        layers=tuple(maps.layer(pair) for pair in pairs),
        tiles=maps.tiles(pairs),
        fingerprint=product_fingerprint(maps, product, pairs),
    )


class Layers:
    """Several pair maps, opened once for all of their tiles: to open a cube takes as long as to read a tile."""

    def __init__(self, folder: Folder, layers: tuple[MapLayer, ...]) -> None:
        self._layers = layers
        self._cubes = {name: cube.Cube(folder, name) for name in {layer.maps for layer in layers}}

    def read(self, variable: str, tile: Tile) -> FloatArray:
        """One tile of all of them: shape (layers, height, width)."""
        return np.stack([self._cubes[layer.maps].read_tile(variable, layer.position, tile) for layer in self._layers])


def _write(task: _Task) -> str:
    """On a worker: one product, tile by tile; gives the file's digest."""
    folder = Folder(task.output)
    layers = Layers(folder, task.layers)
    blocks = _pair_blocks(task, layers) if task.product.kind == "coherence" else _mean_blocks(task, layers)
    return write_cog(folder, task.product, task.region.grid, clipped(task.region, blocks))


def _pair_blocks(task: _Task, layers: Layers) -> Iterator[tuple[Tile, FloatArray]]:
    variable = variable_name(task.product.polarisation)
    for tile in task.tiles:
        bands = [layers.read(f"{band.name}_{variable}", tile)[0] for band in PAIR_BANDS]
        yield tile, np.stack(bands)


def _mean_blocks(task: _Task, layers: Layers) -> Iterator[tuple[Tile, FloatArray]]:
    variable = f"coherence_{variable_name(task.product.polarisation)}"
    for tile in task.tiles:
        maps = layers.read(variable, tile)
        count = np.isfinite(maps).sum(axis=0).astype(np.float32)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Mean of empty slice")
            mean = np.nanmean(maps, axis=0, dtype=np.float64)
        yield tile, np.stack([mean, median_of_known(maps), count]).astype(np.float32)
