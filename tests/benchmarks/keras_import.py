"""Weight files that Keras itself wrote, imported: `python -m tests.benchmarks.keras_import --python PYTHON`.

PYTHON is an interpreter with Keras, of Keras 3 and of Keras 2: TensorFlow is large and best kept apart, so make it an
environment of its own with `pip install tensorflow-cpu tf_keras`. There the published network is built from its
description, and saved with random weights in every style. Here the files are imported as `cohmap weights import` does,
and both networks answer for the same patches. The authors' own weights are not involved.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from models import weights
from models.evaluate.tables import Table
from models.resunet import ResidualUNet
from pipeline.weights import import_weights
from tests.keras_files import write_config

BUILDER = Path(__file__).with_name("keras_model.py")
TOLERANCE = 1e-5
HEADINGS = ("library", "file", "parameters", "mean", "log-variance", "spread")


def written(python: str, library: str, folder: Path) -> tuple[str, str, list[str]]:
    """Version of the library, number of parameters, and names of the files that it wrote."""
    run = subprocess.run(
        [python, str(BUILDER), library, str(folder)],
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        sys.exit(f"{python} could not build the network with {library}:\n{run.stderr}")
    version, parameters, *names = run.stdout.splitlines()[-1].split()
    return version, parameters, names


def largest_differences(name: str, answers: Path) -> tuple[float, float, float]:
    """Of mean and log-variance between the imported network and Keras, and how much Keras' mean varies."""
    imported = weights.load(name)
    network = ResidualUNet(channels=imported.record.channels).eval()
    network.load_state_dict(imported.state)
    with np.load(answers) as arrays, torch.inference_mode():
        found = network(torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2))
        expected = [arrays["mean"], arrays["log_variance"]]
    mean, log_variance = (
        float(np.abs(ours[:, 0].numpy() - theirs[..., 0]).max()) for ours, theirs in zip(found, expected, strict=True)
    )
    return mean, log_variance, float(expected[0].std())


def compare(python: str, folder: Path) -> tuple[list[tuple[str, ...]], float]:
    """One row a file, and the largest difference of all."""
    rows: list[tuple[str, ...]] = []
    largest = 0.0
    config = write_config(folder / "config.yaml")
    for library in track(("keras", "tf_keras"), "importing"):
        version, parameters, names = written(python, library, folder)
        for number, name in enumerate(names):
            imported = f"{library.replace('_', '-')}-{number}"
            import_weights(folder / name, config, imported, name)
            mean, log_variance, spread = largest_differences(imported, folder / f"{library}.npz")
            largest = max(largest, mean, log_variance)
            cells = [f"{int(parameters):,}", f"{mean:.1e}", f"{log_variance:.1e}", f"{spread:.3f}"]
            rows.append((f"{library} {version}", name, *cells))
    return rows, largest


def main() -> None:
    """Read the command line, import every file, print; exit code 1 where a network answers otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.keras_import", description=__doc__)
    parser.add_argument("--python", required=True, help="interpreter of an environment with Keras")
    parser.add_argument("--write", type=Path, help="also write the table to this Markdown file")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COHMAP_WEIGHTS"] = f"{folder}/weights"
        rows, largest = compare(given.python, Path(folder))
    title = "Largest difference between Keras and the imported network (random weights, 4 patches of 128 px)"
    table = Table(title, HEADINGS, tuple(rows))
    Console().print(table.to_rich())
    if given.write:
        given.write.write_text(table.to_markdown(), encoding="utf-8")
    if largest > TOLERANCE:
        sys.exit(f"largest difference {largest:.1e}, more than {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
