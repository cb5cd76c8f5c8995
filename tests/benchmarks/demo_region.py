"""Each estimator on the simulated region against its true coherence: ``python -m tests.benchmarks.demo_region``.

The scene of `regions/demo.toml` is another generator than the scenes that the estimators were calibrated on: mapped
fields, forest, a town, a coast and an event, with coherence from each cover's own decay.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from models import registry
from models.estimator import FloatArray
from models.evaluate.scores import BINS, Scores, measure, summarise
from pipeline.passes import make_pairs
from pipeline.plan import make_plan
from pipeline.region import open_region
from pipeline.sources.opening import open_source
from pipeline.sources.simulated import SimulatedSource

BASELINES = (12, 24, 36)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3, help="pairs of each baseline, spread over the series")
    parser.add_argument("--write", type=Path, help="also write the table as Markdown")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    region = open_region("demo")
    source = open_source(region)
    assert isinstance(source, SimulatedSource)
    plan = make_plan(region, source)
    (passes,) = plan.passes.values()
    by_id = {item.id: item for item in passes}
    rule = region.config.pairs
    everything = make_pairs(passes[0].track, [(item.id, item.start) for item in passes], rule)
    chosen = []
    for days in BASELINES:
        like = [pair for pair in everything if pair.days == days]
        picks = np.unique(np.linspace(0, len(like) - 1, arguments.pairs).round().astype(int))
        chosen += [like[index] for index in picks]

    answers: dict[str, list[tuple[FloatArray, FloatArray, FloatArray]]] = {}
    rows: dict[str, Scores] = {}
    for polarisation in region.config.passes.polarisations:
        for pair in track(chosen, description=f"pairs, {polarisation}"):
            images = [
                source.read(by_id[name], region.grid, (polarisation,))[0] for name in (pair.reference, pair.secondary)
            ]
            truth = source.true_coherence(pair, polarisation, region.grid)
            for info in registry.available():
                for mode in info.modes:
                    estimator = registry.get(info.name, mode=mode, spacing=region.config.grid.spacing, device="cpu")
                    maps = estimator.estimate(*images)
                    key = f"{info.name} {info.window} px, {mode}|{polarisation}"
                    answers.setdefault(key, []).append((*maps, truth))
    for key, values in answers.items():
        band = key.partition("|")[2]
        if f"constant|{band}" not in rows:
            mean = np.mean([truth for _, _, truth in values])
            rows[f"constant|{band}"] = summarise([measure(np.full_like(truth, mean), truth) for _, _, truth in values])
        rows[key] = summarise([measure(estimate, truth, sigma) for estimate, sigma, truth in values])
    _print(rows, len(chosen), arguments.write)


def _print(rows: dict[str, Scores], pairs: int, write: Path | None) -> None:
    head = ["estimator", "band", "RMSE", "bias", "r"]
    head += [f"{low:g}-{high:g}" for low, high in pairwise(BINS)]
    lines = [
        [*key.split("|"), f"{s.rmse:.3f}", f"{s.bias:+.3f}", f"{s.r:.2f}", *(f"{v:.3f}" for v in s.rmse_by_bin)]
        for key, s in rows.items()
    ]
    table = Table(*head, title=f"simulated region 'demo', {pairs} pairs of 12, 24 and 36 days; RMSE by true coherence")
    for line in lines:
        table.add_row(*line)
    Console(width=130).print(table)
    if write is not None:
        text = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines)]
        write.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
