"""What labels are made with, chosen by the user or from the stack."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from models.slc.labels import window_for
from models.slc.sampling import Sampling
from pipeline.errors import CohmapError

LARGEST, SMALLEST, STEP = 256, 32, 16
"""Sides of an example in pixels: the default, the least, and what all are multiples of."""


@dataclass(frozen=True)
class LabelSettings:
    """Choices; None and zero are chosen from the stack.

    Attributes
    ----------
    sampling
        How images are detected.
    window
        Of the label, in lines and samples.
    max_days, pairs
        Greatest temporal baseline; or the pairs by name.
    contexts
        Further dates beside a pair, at most.
    size
        Side of an example in pixels.
    block, gap
        Side of a block and least width of the gap between blocks, in metres.
    share, seed
        Of the blocks that are kept aside, and which.
    """

    sampling: Sampling = Sampling.amplitude
    window: tuple[int, int] | None = None
    max_days: int = 48
    pairs: str = ""
    contexts: int = 5
    size: int | None = None
    block: float = 5000.0
    gap: float = 0.0
    share: float = 0.2
    seed: int = 1

    def checked(self) -> LabelSettings:
        """The same.

        Raises
        ------
        CohmapError
            One of them makes no sense.
        """
        if self.size is not None and (self.size < SMALLEST or self.size % STEP):
            raise CohmapError(f"--size {self.size} is not usable; give a multiple of {STEP}, at least {SMALLEST}")
        if not 0.0 < self.share < 1.0:
            raise CohmapError(f"--share {self.share:g} is not usable; give more than 0 and less than 1")
        for name, value, least in (
            ("max-days", self.max_days, 1),
            ("contexts", self.contexts, 0),
            ("block", self.block, 1.0),
            ("gap", self.gap, 0.0),
            ("seed", self.seed, 0),
        ):
            if not least <= value < float("inf"):
                raise CohmapError(f"--{name} {value:g} is not usable; give {least:g} or more")
        return self

    def for_spacing(self, spacing: tuple[float, float]) -> LabelSettings:
        """With a window, for samples so many metres apart."""
        return self if self.window else replace(self, window=window_for(spacing))

    @property
    def looked_through(self) -> tuple[int, int]:
        """The window, once it is chosen."""
        assert self.window is not None  # noqa: S101 - `for_spacing` comes first
        return self.window

    def as_dict(self) -> dict[str, object]:
        """For the manifest."""
        return asdict(self)


def parse_window(text: str) -> tuple[int, int] | None:
    """A window written as 5x19, lines by samples; None for nothing.

    Raises
    ------
    CohmapError
        It isn't written so, or isn't odd.
    """
    if not text:
        return None
    parts = text.lower().split("x")
    if len(parts) == 2 and all(part.strip().isdigit() for part in parts):
        lines, samples = (int(part) for part in parts)
        if lines % 2 and samples % 2 and lines * samples >= 9:
            return lines, samples
    raise CohmapError(f"--window {text} is not usable; give odd lines and samples, nine in all or more, such as 5x19")


def parse_sides(option: str, text: str) -> tuple[int, int]:
    """Two numbers written as 2x8, lines by samples.

    Raises
    ------
    CohmapError
        They aren't written so, or aren't positive.
    """
    parts = [part.strip() for part in text.lower().split("x")]
    if len(parts) == 2 and all(part.isdigit() and int(part) > 0 for part in parts):
        return int(parts[0]), int(parts[1])
    raise CohmapError(f"--{option} {text} is not usable; give lines and samples, such as 1x1 or 2x8")


def fitting_size(pixels: list[tuple[int, int]]) -> int:
    """The largest side, up to `LARGEST`, that the smallest block holds; `SMALLEST` where none does."""
    least = min(min(shape) for shape in pixels)
    return max(SMALLEST, min(LARGEST, least // STEP * STEP))
