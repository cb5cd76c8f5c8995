"""The coherence benchmark: ``python -m tests.benchmarks.coherence [--estimator NAME] [--paper FILE] [OTHER ...]``.

The default estimator, the published layout and the classical estimators on every set of `cohmap evaluate`, with the
bars they were asked to reach; then the probes for leaks and seams. A stopped run continues.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from models import registry
from models.evaluate.contenders import CLASSICAL, ORACLE, Contender, open_contenders
from models.evaluate.probes import leak, other_speckle, tiling_difference, unrelated
from models.evaluate.sets import FIRST_SEED
from models.evaluate.tables import Table, number, overview
from models.simulate.draw import Recipe, draw
from pipeline.console import Terminal
from pipeline.evaluation import Extent, run_evaluation
from pipeline.storage import Folder
from tests.benchmarks.bars import Bar, as_table, at_most, bars

PROBES = {"same ground, other speckle": other_speckle, "unrelated images": unrelated}
LARGEST_LEAK, LARGEST_SEAM = 0.10, 1e-5
SEED = FIRST_SEED + 1000
"""Seed of the probes' scenes."""


def leaks(contenders: Sequence[Contender], size: int, contexts: int, scenes: int) -> tuple[Table, list[Bar]]:
    """Every probe on every contender; the bars are about the contenders' largest, where layouts are independent."""
    rows, asked = [], []
    for contender in track(contenders, "leak probes"):
        for name, probe in PROBES.items():
            recipes = {tie: Recipe(size=size, contexts=contexts, tie=tie) for tie in ("independent", "tied")}
            found = {tie: leak(contender, each, probe, seed=SEED, scenes=scenes) for tie, each in recipes.items()}
            cells = [number(value, "+.3f") for each in found.values() for value in (each.r, each.mean)]
            rows.append((f"{contender.name}: {name}", *cells))
            asked.append(at_most(f"{contender.name}, {name}: |r|", abs(found["independent"].r), LARGEST_LEAK))
    headings = ("probe", "r, independent", "mean", "r, tied to the cover", "mean")
    return Table("What pairs without common speckle look like (simulated)", headings, tuple(rows)), asked


def seams(source: str, device: str, contexts: int) -> Iterator[Bar]:
    """Tiles against the whole, without and with further dates."""
    estimator = registry.get(source, device=device)
    sample = draw(Recipe(size=448, contexts=contexts), SEED, 0)
    for dates in sorted({0, min(contexts, estimator.context)}):
        difference = tiling_difference(estimator, sample.reference, sample.secondary, sample.context[:dates], tile=128)
        name = f"tiles of 128 px against the whole, halo {estimator.halo} px, {dates} further dates"
        yield at_most(name, difference, LARGEST_SEAM, ".1e")


def main() -> None:
    """Evaluate, print, and write the bars beside the evaluation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("others", nargs="*", help="further contenders, as `cohmap evaluate` takes them")
    parser.add_argument("--estimator", default=registry.DEFAULT, help="name or weights that the bars are about")
    parser.add_argument("--paper", help="weights of the published layout, trained with the same budget")
    parser.add_argument("--sets", default="", help="sets, with commas between; all by default")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--contexts", type=int, default=4)
    parser.add_argument("--output", type=Path, default=Path("out/benchmark"))
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()

    ours, *with_dates = (each.name for each in _open([given.estimator], given.contexts, given.device))
    paper = _open([given.paper], 0, given.device)[0].name if given.paper else None
    names = [name for name in given.sets.split(",") if name]
    extent = Extent(tuple(names), given.scenes, given.seeds, given.size, given.contexts)
    specs = list(dict.fromkeys([given.estimator, *([given.paper] if given.paper else []), CLASSICAL, *given.others]))
    terminal = Terminal(quiet=False)
    results = run_evaluation(specs, extent, Folder(str(given.output)), terminal, device=given.device)
    terminal.finish()

    probed = _open([given.estimator, "log-correlation"], given.contexts, given.device)
    table, leak_bars = leaks(probed, given.size, given.contexts, given.scenes)
    asked = list(bars(results, ours, with_dates=with_dates[0] if with_dates else None, paper=paper))
    asked += [bar for bar in leak_bars if bar.name.startswith(ours)]
    asked += seams(given.estimator, given.device, given.contexts)
    console = Console()
    tables = [overview(results), table, as_table(asked)]
    for each in tables:
        console.print(each.to_rich())
    written = given.output / "bars.md"
    written.write_text("\n".join(each.to_markdown() for each in tables), encoding="utf-8")
    console.print(f"bars are in {written}; real data: tests.benchmarks.amsterdam and tests.benchmarks.california")


def _open(sources: Sequence[str], contexts: int, device: str) -> list[Contender]:
    opened = open_contenders(sources, contexts=contexts, device=device)
    return [contender for contender in opened if contender.name != ORACLE]


if __name__ == "__main__":
    main()
