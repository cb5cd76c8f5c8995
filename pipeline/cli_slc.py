"""The commands that take complex images: their coherence, and examples to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.slc.sampling import Sampling, Truth
from pipeline.console import Terminal
from pipeline.options import Device, DeviceName, Quiet

app = typer.Typer()


@app.command()
def slc(
    stack: Annotated[
        list[str], typer.Argument(metavar="SLC_STACK...", help="Coregistered SLCs, in the formats of `labels`.")
    ],
    output: Annotated[str, typer.Option("--output", help="The GeoTIFF to write.")],
    pair: Annotated[str, typer.Option(help="20230319-20230331, where there are more than two dates.")] = "",
    mode: Annotated[
        str, typer.Option(help="two-scale, boxcar, or those of the 2-D FFT: paper, interpolated, magnitudes.")
    ] = "two-scale",
    window: Annotated[str, typer.Option(help="Lines x samples, odd.")] = "5x19",
    stride: Annotated[str, typer.Option(help="Lines x samples from one estimate to the next.")] = "1x1",
    polarisation: Annotated[str | None, typer.Option(help="Which one, where there are several.")] = None,
    dates: Annotated[str, typer.Option(help="Days of the images in order, where nothing says.")] = "",
    device: DeviceName = Device.auto,
    quiet: Quiet = False,
) -> None:
    """Coherence of two complex images, from their phase, whatever fringes there are."""
    from pipeline.labels.pairs import parse_dates, the_pair
    from pipeline.labels.settings import parse_sides, parse_window
    from pipeline.slc.coherence import write_coherence
    from pipeline.slc.stack import open_stack

    sides, steps = parse_window(window), parse_sides("stride", stride)
    terminal = Terminal(quiet=quiet)
    try:
        days = parse_dates(dates) if dates else None
        opened = open_stack(stack, polarisation=polarisation, spacing=(1.0, 1.0), dates=days)
        written = write_coherence(
            opened,
            the_pair(opened.dates, pair),
            output,
            terminal,
            mode=mode,
            window=sides or (5, 19),
            stride=steps,
            device=device.value,
        )
        terminal.finish()
        terminal.say(f"coherence is in {written}")
    finally:
        terminal.stop()


@app.command()
def labels(
    stack: Annotated[
        list[str],
        typer.Argument(
            metavar="SLC_STACK...",
            help="Coregistered, flattened SLCs: files, one a date or one for all, or folders. Complex GeoTIFF, OPERA "
            "CSLC, COMPASS, SNAP BEAM-DIMAP, cubes of xarray in Zarr or NetCDF.",
        ),
    ],
    output: Annotated[str, typer.Option("--output", help="Folder for the examples.")],
    spacing: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="AZIMUTH RANGE", help="Metres between samples on the ground, where the files don't say."),
    ] = None,
    polarisation: Annotated[str | None, typer.Option(help="Which one, where there are several.")] = None,
    dates: Annotated[
        str, typer.Option(help="20230319,20230331: days of the images in order, where nothing says.")
    ] = "",
    images: Annotated[
        Sampling, typer.Option(help="amplitude: the samples of the SLC; grd: five range looks on pixels of 10 m.")
    ] = Sampling.amplitude,
    coherence: Annotated[
        Truth, typer.Option(help="two-scale: whatever fringes there are; boxcar: where none are left.")
    ] = Truth.two_scale,
    window: Annotated[
        str, typer.Option(help="Lines x samples of the label's window, odd; about 69 m x 66 m by default.")
    ] = "",
    max_days: Annotated[int, typer.Option(help="Greatest temporal baseline.")] = 48,
    pairs: Annotated[str, typer.Option(help="20230319-20230331,…: these pairs instead.")] = "",
    contexts: Annotated[int, typer.Option(help="Further dates beside a pair, at most.")] = 5,
    size: Annotated[
        int | None, typer.Option(help="Side of an example in pixels, a multiple of 16; up to 256 by default.")
    ] = None,
    block: Annotated[float, typer.Option(help="Side in metres of the blocks of the split, about.")] = 5000.0,
    gap: Annotated[float, typer.Option(help="Metres between blocks; at least the label's window.")] = 0.0,
    share: Annotated[float, typer.Option(help="Of the blocks that are kept aside for validation.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Which blocks are.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Make examples with measured coherence from SLC stacks, for `train`; a stopped run continues where it was."""
    from models.slc.labels import MEASURES
    from pipeline.labels.pairs import parse_dates
    from pipeline.labels.picture import PICTURE
    from pipeline.labels.run import run_labels
    from pipeline.labels.settings import LabelSettings, parse_window
    from pipeline.slc.stack import open_stack

    settings = LabelSettings(
        images, parse_window(window), max_days, pairs, contexts, size, block, gap, share, seed
    ).checked()
    terminal = Terminal(quiet=quiet)
    try:
        opened = open_stack(
            stack, polarisation=polarisation, spacing=spacing, dates=parse_dates(dates) if dates else None
        )
        manifest = run_labels(opened, settings, Path(output), terminal, measure=MEASURES[coherence])
        counts = manifest["examples"]
        terminal.say(
            f"{counts['training']['examples']} examples to train on, {counts['validation']['examples']} kept aside, of "
            f"{manifest['images']['size']} pixels, are in {output}; look at {Path(output) / PICTURE}, then train with "
            f'folder = "{output}" and validation = "folder" below \\[pool]'
        )
    finally:
        terminal.stop()
