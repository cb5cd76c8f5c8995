"""What every stage of one command shares: region, output folder, workers, terminal; and the stages, ready to call.

Light to import: the command line asks for a job by name, and what it takes is loaded when one is opened.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.console import Terminal
from pipeline.errors import CohmapError, Stopped
from pipeline.interrupts import sigterm_is_ctrl_c

if TYPE_CHECKING:
    from pipeline.compute import Pool
    from pipeline.plan import Plan
    from pipeline.region import Region
    from pipeline.sources import Source
    from pipeline.storage import Folder


@dataclass(frozen=True)
class Job:
    """What every stage of one command shares."""

    region: Region
    folder: Folder
    pool: Pool
    terminal: Terminal
    device: str
    project: str | None

    def plan(self) -> tuple[Plan, Source]:
        """Search the source; nothing is read."""
        from pipeline.plan import make_plan
        from pipeline.sources.opening import open_source

        source = open_source(self.region, self.project)
        return make_plan(self.region, source), source

    def write_plan(self, plan: Plan) -> None:
        """Write the plan and the outlines of its passes."""
        from pipeline.footprints import FOOTPRINTS, footprints
        from pipeline.plan import PLAN

        self.folder.write_json(PLAN, plan.to_json())
        self.folder.write_json(FOOTPRINTS, footprints(plan))

    def export(self) -> None:
        """Stage 1."""
        from pipeline.export import export

        plan, source = self.plan()
        for note in plan.notes:
            self.terminal.note(note)
        export(plan, source, self.folder, self.terminal)

    def infer(self) -> None:
        """Stage 2."""
        from pipeline.infer import infer

        infer(self.region, self.folder, self.pool, self.terminal, self.device)

    def mosaic(self) -> None:
        """Stage 3."""
        from pipeline.mosaic import mosaic

        mosaic(self.region, self.folder, self.pool, self.terminal)

    def change(self, points: Path | None = None) -> None:
        """Change maps, polygons and series."""
        from pipeline.change.stage import change

        change(self.region, self.folder, self.pool, self.terminal, points)

    def season(self) -> None:
        """Coherence by season, and its decay."""
        from pipeline.season.run import season

        season(self.region, self.folder, self.pool, self.terminal)

    def report(self) -> str:
        """Catalogue and page; gives the page's address."""
        from pipeline.catalog import write_catalog
        from pipeline.report import write_report
        from pipeline.sources.opening import open_source

        self.terminal.start("report", 1, 0)
        write_catalog(self.region, self.folder)
        # only a simulated source knows the truth; the others need not be reachable for a report
        simulated = self.region.config.source.kind == "simulated"
        address = write_report(self.region, self.folder, open_source(self.region) if simulated else None)
        self.terminal.finish()
        return address


@contextlib.contextmanager
def open_job(
    region: str,
    output: str | None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    device: str | None = None,
    quiet: bool = False,
    source_path: str | None = None,
    project: str | None = None,
) -> Iterator[Job]:
    """Open a region and lock its output folder for one command; work that was stopped can be resumed by another.

    Parameters
    ----------
    device
        Where to estimate; None for a command that doesn't.

    Raises
    ------
    CohmapError
        The region can't be opened, or the folder not written, or it is another region's or another command's.
    Stopped
        By Ctrl-C or SIGTERM.
    """
    from pipeline.compute import Pool
    from pipeline.estimator import check_estimator, open_estimator
    from pipeline.plan import require_own
    from pipeline.region import open_region
    from pipeline.storage import explain_full_disk, explain_lost_store, lock

    terminal = Terminal(quiet=quiet)
    opened = _with_source_path(open_region(region), source_path)
    folder = output_folder(opened, output)
    folder.require_writable()
    with explain_lost_store(folder), lock(folder):
        require_own(folder, opened)
        if leftovers := folder.sweep():
            terminal.note(f"removed {leftovers} unfinished files of a run that was killed")
        # a wrong name is told before anything is spent; loading it takes seconds, which only who estimates waits for
        if device is None:
            check_estimator(opened)
        else:
            open_estimator(opened, device)
        try:
            with sigterm_is_ctrl_c(), explain_full_disk(folder), Pool(workers, scheduler, device or "cpu") as pool:
                yield Job(opened, folder, pool, terminal, device or "auto", project)
            terminal.finish()
        except KeyboardInterrupt:
            raise Stopped from None
        finally:
            terminal.stop()


def output_folder(region: Region, output: str | None) -> Folder:
    """Where results go: what the command says, else the region, else ``out/NAME``."""
    from pipeline.storage import Folder

    return Folder(output or region.config.output.uri or f"out/{region.name}")


def _with_source_path(region: Region, source_path: str | None) -> Region:
    if source_path is None:
        return region
    from pipeline.config import ArchiveSource
    from pipeline.region import Region

    source = region.config.source
    if not isinstance(source, ArchiveSource):
        raise CohmapError(f"--source-path goes with source.kind = 'archive', not '{source.kind}'")
    moved = source.model_copy(
        update={"path": source_path if "://" in source_path else str(Path(source_path).absolute())}
    )
    return Region(region.config.model_copy(update={"source": moved}), region.area, region.path)
