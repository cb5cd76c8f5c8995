"""The stage: levels of every track, levels over tracks, and their decay; what is made already is left alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from models.decay.response import Response
from pipeline.compute import Pool
from pipeline.estimator import open_estimator
from pipeline.export import Outcome
from pipeline.ledger import Ledger, digest
from pipeline.mosaic import Maps, estimator_label, open_maps, product_fingerprint, product_is_done
from pipeline.passes import Pair
from pipeline.products import Product, save_index
from pipeline.progress import Progress
from pipeline.region import Region
from pipeline.season.decay import DecayTask, write_decay
from pipeline.season.groups import make_levels
from pipeline.season.levels import LevelTask, Written, write_level
from pipeline.season.products import decay_products, level_product
from pipeline.season.response import measure_response
from pipeline.storage import Folder

STAGE = "season"

Task = TypeVar("Task", LevelTask, DecayTask)


@dataclass(frozen=True)
class _Group:
    """The levels of one season, track (or "all") and polarisation, shortest baseline first, with their pairs."""

    season: str
    track: str
    polarisation: str
    levels: tuple[LevelTask, ...]
    pairs: tuple[Pair, ...]


def season(region: Region, folder: Folder, pool: Pool, progress: Progress) -> Outcome:
    """Write the seasonal products of a region from its pair maps.

    Raises
    ------
    CohmapError
        The pair maps aren't finished, or no pair falls into a season and near a baseline.
    """
    maps = open_maps(region, folder)
    label = estimator_label(region.config, open_estimator(region, "cpu"))
    groups = _groups(maps, label)
    singles = [task for group in groups for task in group.levels if not task.sources]
    blends = [task for group in groups for task in group.levels if task.sources]
    products: list[Product] = []
    with Ledger(folder, STAGE) as ledger:
        most = max(len(entries) for entries in maps.stacks.passes.values())
        response = measure_response(region, most, ledger, pool, progress)
        fits = [_decay_task(maps, group, response, label) for group in groups]
        all_tasks: list[LevelTask | DecayTask] = [*singles, *blends, *fits]
        total, resumed = len(all_tasks), sum(_is_done(folder, ledger, task) for task in all_tasks)
        progress.start(STAGE, total, resumed)
        # each of the three is made from the files of the one before
        _work(folder, ledger, pool, progress, singles, write_level)
        _work(folder, ledger, pool, progress, blends, write_level)
        _work(folder, ledger, pool, progress, fits, write_decay)
        products += [level.product.with_properties(_facts(ledger, level)) for level in [*singles, *blends]]
        for each in fits:
            products += [product.with_properties(_facts(ledger, each)) for product in (each.product, each.quality)]
    save_index(folder, STAGE, products)
    return Outcome(total, resumed)


def _work(
    folder: Folder,
    ledger: Ledger,
    pool: Pool,
    progress: Progress,
    tasks: Sequence[Task],
    write: Callable[[Task], Written],
) -> None:
    todo = [task for task in tasks if not _is_done(folder, ledger, task)]
    for task, written in pool.run(write, todo):
        # the task's own product last: its line says that all of its files are there
        for name, checksum in sorted(written.digests.items(), key=lambda item: item[0] == task.product.id):
            ledger.record(name, task.fingerprint, checksum, facts=dict(written.facts))
        progress.advance()


def _facts(ledger: Ledger, task: LevelTask | DecayTask) -> dict[str, Any]:
    return dict((ledger.get(task.product.id) or {}).get("facts", {}))


def _is_done(folder: Folder, ledger: Ledger, task: LevelTask | DecayTask) -> bool:
    if not product_is_done(folder, ledger, task.product, task.fingerprint):
        return False
    return not isinstance(task, DecayTask) or folder.exists(task.quality.path)


def _groups(maps: Maps, label: str) -> list[_Group]:
    """Levels by season, track and polarisation, and over tracks where a season has several."""
    levels = make_levels(maps.stacks.pairs, maps.region.config.season)
    groups = []
    for polarisation in maps.region.config.passes.polarisations:
        for name in dict.fromkeys(level.season for level in levels):
            members = [level for level in levels if level.season == name]
            made: list[tuple[int, LevelTask, tuple[Pair, ...]]] = []
            tracks = list(dict.fromkeys(level.track for level in members))
            for track in tracks:
                own = [
                    (
                        level.baseline,
                        _level_task(maps, name, str(track), level.baseline, polarisation, level.pairs, label),
                        level.pairs,
                    )
                    for level in members
                    if level.track == track
                ]
                groups.append(_group(name, str(track), polarisation, own))
                made += own
            if len(tracks) > 1:
                blended = []
                for baseline in sorted({days for days, _, _ in made}):
                    like = [(task, pairs) for days, task, pairs in made if days == baseline]
                    pairs = tuple(pair for _, each in like for pair in each)
                    sources = [task for task, _ in like]
                    task = _level_task(maps, name, "all", baseline, polarisation, pairs, label, sources)
                    blended.append((baseline, task, pairs))
                groups.append(_group(name, "all", polarisation, blended))
    return groups


def _group(
    season_name: str, track: str, polarisation: str, members: Sequence[tuple[int, LevelTask, tuple[Pair, ...]]]
) -> _Group:
    pairs = tuple(pair for _, _, each in members for pair in each)
    return _Group(season_name, track, polarisation, tuple(task for _, task, _ in members), pairs)


def _level_task(
    maps: Maps,
    season_name: str,
    track: str,
    baseline: int,
    polarisation: str,
    pairs: tuple[Pair, ...],
    label: str,
    sources: Sequence[LevelTask] = (),
) -> LevelTask:
    product = level_product(maps, season_name, track, baseline, polarisation, pairs, label)
    fingerprint = product_fingerprint(maps, product, list(pairs))
    if sources:
        fingerprint = digest(fingerprint, maps.region.config.season.feather, [task.fingerprint for task in sources])
    return LevelTask(
        output=maps.folder.absolute,
        region=maps.region,
        product=product,
        tiles=maps.tiles(list(pairs)),
        fingerprint=fingerprint,
        layers=() if sources else tuple(maps.layer(pair) for pair in pairs),
        sources=tuple(task.product for task in sources),
    )


def _decay_task(maps: Maps, group: _Group, response: Response, label: str) -> DecayTask:
    product, quality = decay_products(maps, group.season, group.track, group.polarisation, group.pairs, label)
    levels = tuple(task.product for task in group.levels)
    fingerprint = digest(product.to_json(), [task.fingerprint for task in group.levels], response.to_json())
    return DecayTask(
        output=maps.folder.absolute,
        region=maps.region,
        product=product,
        quality=quality,
        levels=levels,
        tiles=maps.tiles(list(group.pairs)),
        response=response,
        fingerprint=fingerprint,
    )
