"""The change stage: count what chance does, test tile by tile, then maps, polygons and series of every track."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.change.discovery import BINS, discovery_threshold
from models.change.null import Bulk
from pipeline import __version__
from pipeline.change.areas import AreaTask, event_areas, event_row, monitor_areas, monitor_row
from pipeline.change.calibrate import Calibration, calibrate
from pipeline.change.design import design_tracks
from pipeline.change.event import LAYOUT, EventTask, run_event
from pipeline.change.history import write_history
from pipeline.change.maps import MapTask, event_products, monitor_products, write_map
from pipeline.change.monitor import MonitorTask, run_monitor
from pipeline.change.points import places
from pipeline.change.polygons import Area, join_areas, packed
from pipeline.change.series import write_series
from pipeline.change.settings import Change
from pipeline.change.tilefile import tile_name
from pipeline.change.vectors import write_polygons
from pipeline.change.work import Work, inputs, make_work
from pipeline.compute import Pool
from pipeline.errors import CohmapError
from pipeline.export import Outcome
from pipeline.infer import map_key
from pipeline.ledger import Ledger, digest
from pipeline.mosaic import Maps, open_maps
from pipeline.products import Product, save_index
from pipeline.progress import Progress
from pipeline.region import Region, Tile
from pipeline.sampling import Place
from pipeline.storage import Folder

STAGE = "change"


def change(region: Region, folder: Folder, pool: Pool, progress: Progress, points: Path | None = None) -> Outcome:
    """Test every track as the region's [change] table says; what was made from the same maps is left alone.

    Parameters
    ----------
    points
        A CSV or GeoJSON file of places whose time series are wanted, besides the region's own.

    Raises
    ------
    CohmapError
        The region has no [change] table, its pairs allow no test, or the points can't be read.
    """
    rule = region.config.change
    if rule is None:
        raise CohmapError(f"region '{region.name}' has no [change] table; add one with event = DATE")
    at = places(region, points)
    maps = open_maps(region, folder)
    designs, notes = design_tracks(maps.stacks.pairs, rule)
    for note in notes:
        progress.note(note)
    outcome = Outcome(0, 0)
    products: list[Product] = []
    with Ledger(folder, STAGE) as ledger:
        for design in designs:
            made, done = _run_track(maps, make_work(maps, design), rule, at, ledger, pool, progress)
            products += made
            outcome = Outcome(outcome.total + done.total, outcome.resumed + done.resumed)
    save_index(folder, STAGE, products)
    return outcome


def _run_track(
    maps: Maps, work: Work, rule: Change, at: list[Place], ledger: Ledger, pool: Pool, progress: Progress
) -> tuple[list[Product], Outcome]:
    tiles = maps.tiles(list(work.design.tested))
    groups, bulks, null_digest = calibrate(maps, work, tiles, ledger, pool, progress)
    tasks: list[EventTask] | list[MonitorTask]
    if rule.event is not None:
        tasks = _event_tasks(maps, work, tiles, groups, bulks, null_digest)
    else:
        tasks = _monitor_tasks(maps, work, tiles, groups, bulks, rule)
    todo = [
        task
        for task in tasks
        if not (ledger.matches(task.key, task.fingerprint) and maps.folder.exists(tile_name(work.name, task.tile)))
    ]
    progress.start(f"{STAGE} {work.name}", len(tasks), len(tasks) - len(todo))
    for task, facts in pool.run(_run_tile, todo):
        ledger.record(task.key, task.fingerprint, "", **facts)
        progress.advance()

    key = f"{work.name}/products"
    settings = rule.model_dump(mode="json"), maps.region.config.products.clip, maps.region.area.wkt, __version__
    fingerprint = digest([task.fingerprint for task in tasks], settings, [repr(place) for place in at])
    stored = [Product.from_json(entry) for entry in (ledger.get(key) or {}).get("products", [])]
    whole = all(maps.folder.exists(path) for each in stored for path in (each.path, *each.files.values()))
    if not (ledger.matches(key, fingerprint) and whole):
        finish = _finish_event if rule.event is not None else _finish_monitor
        stored = finish(maps, work, rule, tiles, groups, bulks, ledger, at, pool)
        ledger.record(key, fingerprint, "", products=[product.to_json() for product in stored])
    return stored, Outcome(len(tasks), len(tasks) - len(todo))


def _run_tile(task: EventTask | MonitorTask) -> dict[str, object]:
    return run_event(task) if isinstance(task, EventTask) else run_monitor(task)


def _event_tasks(
    maps: Maps, work: Work, tiles: Sequence[Tile], groups: list[Calibration], bulks: dict[str, Bulk], null_digest: str
) -> list[EventTask]:
    (test,) = work.design.tests
    bulk = bulks[test.visit.id]
    return [
        EventTask(
            work=work,
            tile=tile,
            calibration=groups[0],
            bulk=bulk,
            key=f"{work.name}/{tile.key}",
            fingerprint=digest(
                LAYOUT,
                null_digest,
                repr(bulk),
                inputs(maps, work, tile, (test.target,)),
                [maps.ledger.checksum(map_key(pair, tile)) for pair in work.design.after],
            ),
        )
        for tile in tiles
    ]


def _monitor_tasks(
    maps: Maps, work: Work, tiles: Sequence[Tile], groups: list[Calibration], bulks: dict[str, Bulk], rule: Change
) -> list[MonitorTask]:
    counted = [digest([repr(each.counts.tolist()) for each in (*one.opinions, one.combined)]) for one in groups]

    def chain(tile: Tile) -> tuple[str, ...]:
        links: list[str] = []
        for test in work.design.tests:
            pixels, bulk = inputs(maps, work, tile, (test.target,)), repr(bulks[test.visit.id])
            link = pixels, counted[test.group], bulk, rule.false_alarm_rate
            links.append(digest(links[-1] if links else "", str(test.visit.start), link))
        return tuple(links)

    return [
        MonitorTask(
            work=work,
            tile=tile,
            calibrations=tuple(groups),
            bulks=tuple(bulks[test.visit.id] for test in work.design.tests),
            chain=chain(tile),
            rate=rule.false_alarm_rate,
            key=f"{work.name}/{tile.key}",
        )
        for tile in tiles
    ]


def _collect(
    pool: Pool, find: Any, work: Work, tiles: Sequence[Tile], limits: tuple[float, ...], rule: Change
) -> list[list[Area]]:
    """Areas of all tiles, one list a limit; monitoring has none, and one list."""
    least = rule.minimum_hectares * 10_000 / work.region.config.grid.spacing**2
    tasks = (AreaTask(work, tile, limits, least) for tile in tiles)
    found: list[list[Area]] = [[] for _ in limits or (None,)]
    for _, of_tile in pool.run(find, tasks):
        for areas, further in zip(found, of_tile, strict=True):
            areas.extend(further)
    return [join_areas(areas, least) for areas in found]


def _finish_event(
    maps: Maps,
    work: Work,
    rule: Change,
    tiles: Sequence[Tile],
    groups: list[Calibration],
    bulks: dict[str, Bulk],
    ledger: Ledger,
    at: list[Place],
    pool: Pool,
) -> list[Product]:
    counts = np.zeros(BINS, dtype=np.int64)
    for tile in tiles:
        where, what = (ledger.get(f"{work.name}/{tile.key}") or {})["p"]
        counts[where] += np.asarray(what, dtype=np.int64)
    believed = discovery_threshold(counts, rule.false_discovery_rate)
    areas = _collect(pool, event_areas, work, tiles, (rule.false_alarm_rate, believed), rule)
    score, mask = event_products(maps, work)
    bulk = bulks[work.design.tests[0].visit.id]
    facts = {
        "threshold": round(-float(_normal_quantile(rule.false_alarm_rate)), 4),
        "false_discovery_rate": rule.false_discovery_rate,
        "discovery_p": float(f"{believed:.3g}"),
        "minimum_hectares": rule.minimum_hectares,
        "opinions_correlation": groups[0].correlation,
        "bulk_middle": bulk.middle,
        "bulk_spread": bulk.spread,
        "areas": len(areas[0]),
    }
    files = _side_files(
        work, areas[0], lambda number: event_row(number + 1, areas[0][number], work, score), at, tiles, pool
    )
    score, mask = (replace(each.with_properties(facts), files=files) for each in (score, mask))
    outlines = tuple(packed(area.outline for area in each) for each in areas)
    shares = _write(pool, [MapTask(work, mask, tiles, outlines), MapTask(work, score, tiles)])
    return [score.with_properties(shares), mask.with_properties(shares)]


def _finish_monitor(
    maps: Maps,
    work: Work,
    rule: Change,
    tiles: Sequence[Tile],
    groups: list[Calibration],
    bulks: dict[str, Bulk],
    ledger: Ledger,  # noqa: ARG001 - the same as for an event
    at: list[Place],
    pool: Pool,
) -> list[Product]:
    (areas,) = _collect(pool, monitor_areas, work, tiles, (), rule)
    score, state = monitor_products(maps, work)
    facts = {
        "monitored_passes": len(work.design.tests),
        "baseline_period": [str(day) for day in rule.baseline_period or ()],
        "minimum_hectares": rule.minimum_hectares,
        "opinions_correlation": [group.correlation for group in groups],
        "areas": len(areas),
    }
    files = _side_files(
        work, areas, lambda number: monitor_row(number + 1, areas[number], work, score), at, tiles, pool
    )
    files["history"] = write_history(work, tiles, bulks)
    score, state = (replace(each.with_properties(facts), files=files) for each in (score, state))
    shares = _write(pool, [MapTask(work, state, tiles), MapTask(work, score, tiles)])
    return [score.with_properties(shares), state.with_properties(shares)]


def _side_files(
    work: Work,
    areas: list[Area],
    row: Callable[[int], dict[str, Any]],
    at: list[Place],
    tiles: Sequence[Tile],
    pool: Pool,
) -> dict[str, str]:
    stem = f"products/change/{work.name}_polygons"
    files = write_polygons(work.folder, stem, [area.outline for area in areas], row, work.region.grid)
    return {**files, "series": write_series(work, areas, at, tiles, pool)}


def _write(pool: Pool, tasks: list[MapTask]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for _, found in pool.run(write_map, tasks):
        shares |= found
    return shares


def _normal_quantile(p: float) -> float:
    from scipy import special

    return float(special.ndtri(p))
