"""What a regressor is shown: how the speckle of two images repeats, worked out before the first learned weight.

Convolutions add; coherence sits in products. corr(I1, I2) = gamma^2 for circular-Gaussian scatterers (Siegert
relation), so the products of both images' high-passed logarithms carry it, at lag zero and, where the images lie a
fraction of a pixel apart or speckle spans pixels, at the lags around it. The stem forms them, averages them over
windows and divides by the local variances. Nothing of it is learned, and all of it is local.

Images are worked on unfolded: the 16 pixels of a cell lie in 16 planes of one number a cell, shape (…, CELL, CELL,
height, width). Sums over cells are then sums of planes, and half the stem's time is saved (docs/benchmarks.md).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import torch
from torch import nn
from torch.nn import functional

from models.coherence.window import sliding_sum, weight_inside

CELL = 4
"""Pixels, along both sides, of a cell that the network works on."""
LAGS = tuple((row, col) for row in (-1, 0, 1) for col in (-1, 0, 1))
WINDOWS = (1, 3, 5)
"""Sides in cells of the windows that products are averaged over."""
VARIANCE_FLOOR = 0.02
"""Added to a variance before dividing by it; the speckle of a GRD image has 0.25."""
MOST = 3.0
"""Limit of a normalised product: one cell with a corner reflector must not drown its neighbours."""
VECTOR = 16
"""Channels are filled up to a multiple of it: runtimes compute so many at once, and reorder all where they can't."""
LOWEST, HIGHEST = -4.0, 3.0
"""Limits of a high-passed logarithm: single-look speckle falls far, a corner reflector rises far."""


class SpeckleStem(nn.Module):
    """Two logarithms, and what further dates say, to the channels of a coarse grid of cells."""

    @property
    def channels(self) -> int:
        """How many channels come out."""
        images, low, products = 3 * CELL**2, 3, len(WINDOWS) * len(LAGS)
        variances, context, spacing = 2 * (len(WINDOWS) - 1), (len(WINDOWS) - 1) * 2 + 4, 1
        return images + low + products + variances + context + spacing

    @property
    def planes(self) -> int:
        """Channels and the empty ones after them."""
        return -(-self.channels // VECTOR) * VECTOR

    @torch.no_grad()
    def forward(
        self, images: torch.Tensor, context: torch.Tensor, dates: torch.Tensor, spacing: torch.Tensor
    ) -> torch.Tensor:
        """Features of a batch.

        Parameters
        ----------
        images
            Natural logarithm of power, reference and secondary, NaN without data; shape (batch, 2, height, width),
            both sides multiples of `CELL`.
        context
            Mean and standard deviation of further dates' logarithms, both zero where there is none; shape
            (batch, 2, height, width).
        dates
            Number of further dates, shape (batch,).
        spacing
            Pixel spacing in metres, shape (batch,): it tells the kind of product, hence its speckle.

        Returns
        -------
        torch.Tensor
            Shape (batch, planes, height / CELL, width / CELL); what lies beyond `channels` is zero.
        """
        planes = _unfolded(images)
        there = None if is_whole(planes) else torch.isfinite(planes)
        if there is not None:
            planes.masked_fill_(~there, 0.0)
        speckle, mean, count = _high_passed(planes, there)
        variance = _mean_product(speckle, speckle)
        steady, further = _of_further_dates(speckle, variance, context, dates)
        return torch.cat(
            [
                speckle.flatten(1, 3),
                steady,
                _brightness(mean, count),
                *_repetition(speckle, variance),
                further,
                _everywhere((spacing / 10.0).log(), variance),
                variance.new_zeros(()).expand(len(variance), self.planes - self.channels, *variance.shape[-2:]),
            ],
            1,
        )


def box(image: torch.Tensor, side: int) -> torch.Tensor:
    """Mean over a square window of odd side; at the border, over what lies inside. Shape (…, height, width)."""
    if side == 1:
        return image
    reach = side // 2
    height, width = image.shape[-2:]
    padded = functional.pad(image, (reach, reach, reach, reach))
    total = sliding_sum(sliding_sum(padded, side, image.dim() - 2), side, image.dim() - 1)
    rows, cols = (_weight_inside(length, side, image.device, image.dtype) for length in (height, width))
    return total.div_(rows[:, None] * cols)


@lru_cache(maxsize=256)
def _weight_inside(length: int, side: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """As `weight_inside`, kept: to bring it to a GPU each time would stop what is queued there."""
    with torch.inference_mode(mode=False):  # whoever asks first, others may be training
        return weight_inside(length, side).to(device, dtype)


def _unfolded(images: torch.Tensor) -> torch.Tensor:
    """From (batch, images, height, width) to (batch, images, CELL, CELL, height / CELL, width / CELL); a copy."""
    planes: torch.Tensor = functional.pixel_unshuffle(images, CELL).unflatten(1, (images.shape[1], CELL, CELL))
    return planes


def is_whole(image: torch.Tensor) -> bool:
    """Whether all is known to be finite, told from the sum: one pass over memory; a mask and its reduction take three.

    On a GPU it is never known: one would have to wait for the answer, with nothing queued meanwhile. What is done where
    it isn't known gives the same.
    """
    return answers_at_once(image) and bool(image.sum().isfinite())


def answers_at_once(tensor: torch.Tensor) -> bool:
    """Whether a question about a tensor's values costs no waiting: its device has no queue."""
    return tensor.device.type == "cpu"


def _high_passed(planes: torch.Tensor, there: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logarithms less their mean around, over what has data; that mean, and the share that has data, on half the grid.

    What has no data is 0 in all three, and counts in none; it must be 0 in `planes` too, which are unfolded. The mean
    and the share have shape (batch, images, height / 2, width / 2). None for what has data: all of it, which is the
    usual case, and what is left out then would change nothing.
    """
    total = _on_half_the_grid(planes)
    count = torch.ones_like(total) if there is None else _on_half_the_grid(there.to(planes.dtype))
    mean = box(total, 3) if there is None else _mean_around(total, count, 3)
    around = functional.pixel_unshuffle(mean, CELL // 2).unflatten(1, (planes.shape[1], 2, 2))
    speckle = (_halves(planes) - around[:, :, :, None, :, None]).clamp_(LOWEST, HIGHEST).flatten(4, 5).flatten(2, 3)
    return speckle if there is None else speckle.mul_(there), mean, count


def _on_half_the_grid(planes: torch.Tensor) -> torch.Tensor:
    """Means of 2 x 2 pixels of unfolded images, folded: shape (batch, images, height / 2, width / 2)."""
    halves = _halves(planes)
    rows = halves[:, :, :, 0] + halves[:, :, :, 1]
    return functional.pixel_shuffle((rows[:, :, :, :, 0] + rows[:, :, :, :, 1]).flatten(1, 3), CELL // 2).mul_(0.25)


def _mean_of_cells(planes: torch.Tensor) -> torch.Tensor:
    """Mean over each cell of unfolded images, shape (batch, images, height, width)."""
    total = planes.flatten(2, 3)
    while (count := total.shape[2]) > 1:
        total = total[:, :, : count // 2] + total[:, :, count // 2 :]
    return total[:, :, 0] / CELL**2


def _mean_product(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Mean over each cell of the product of unfolded images, shape (batch, images, height, width).

    Plane by plane: a sum over both axes at once takes five times as long.
    """
    shape = torch.broadcast_shapes(first.shape, second.shape)
    total = first.new_zeros(*shape[:2], *shape[-2:])
    for row, col in product(range(CELL), range(CELL)):
        total.addcmul_(first[:, :, row, col], second[:, :, row, col])
    return total.div_(CELL**2)


def _halves(planes: torch.Tensor) -> torch.Tensor:
    """Unfolded images with the pixels of a cell told by quarter, and place in it: row, in it, column, in it."""
    halves: torch.Tensor = planes.unflatten(3, (CELL // 2, 2)).unflatten(2, (CELL // 2, 2))
    return halves


def _mean_around(total: torch.Tensor, weight: torch.Tensor, side: int) -> torch.Tensor:
    """Weighted mean in a window, of totals that already carry their weight; 0 where nothing weighs."""
    return box(total, side) / box(weight, side).clamp(min=1e-6)


def _brightness(mean: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """How much brighter than its surroundings, how different at the two dates, and how much of it has data.

    Never the brightness itself: products differ in what they call sigma or gamma nought, and tiles must agree.
    """
    weight = box(count, 3)
    share = weight.mean(1, keepdim=True)
    total = (mean * weight).mean(1, keepdim=True)
    above = (total / share.clamp(min=1e-6) - _mean_around(total, share, 17)).clamp(-3.0, 3.0) * (share > 0)
    change = (mean[:, :1] - mean[:, 1:]).clamp(-2.0, 2.0) * (weight > 0).all(1, keepdim=True)
    return functional.avg_pool2d(torch.cat([above, change, count.mean(1, keepdim=True)], 1), CELL // 2)


def _repetition(speckle: torch.Tensor, variance: torch.Tensor) -> list[torch.Tensor]:
    """Products of the two images' speckle at each lag, divided by its standard deviations; and these."""
    first, around = speckle[:, :1], _with_neighbours(speckle[:, 1])[:, None]
    lags = [around[:, :, 1 + row : 1 + row + CELL, 1 + col : 1 + col + CELL] for row, col in LAGS]
    cells = torch.cat([_mean_product(first, lagged) for lagged in lags], 1)
    wide = box(variance, WINDOWS[-1])
    deviation = (wide[:, :1] * wide[:, 1:]).sqrt() + VARIANCE_FLOOR
    correlations = [(box(cells, side) / deviation).clamp(-MOST, MOST) for side in WINDOWS]
    spreads = [(box(variance, side) + VARIANCE_FLOOR).log() * 0.5 + 0.6 for side in WINDOWS[1:]]
    return [*correlations, *spreads]


def _with_neighbours(planes: torch.Tensor) -> torch.Tensor:
    """Unfolded pixels of each cell and one around it, shape (batch, CELL + 2, CELL + 2, height, width).

    Beyond the image its border is repeated.
    """
    for axis, cells in ((1, 3), (2, 4)):
        first, last, end = planes.narrow(axis, 0, 1), planes.narrow(axis, CELL - 1, 1), planes.shape[cells] - 1
        before = torch.cat([first.narrow(cells, 0, 1), last.narrow(cells, 0, end)], cells)
        after = torch.cat([first.narrow(cells, 1, end), last.narrow(cells, end, 1)], cells)
        planes = torch.cat([before, planes, after], axis)
    return planes


def _of_further_dates(
    speckle: torch.Tensor, variance: torch.Tensor, context: torch.Tensor, dates: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The speckle of their mean; and how the images agree with it, how little the dates differ, how many they are.

    All zero where there is none.
    """
    batch, (height, width) = len(speckle), speckle.shape[-2:]
    if answers_at_once(dates) and not bool((dates > 0).any()):
        return speckle.new_zeros(batch, CELL**2, height, width), speckle.new_zeros(batch, 8, height, width)
    several = (dates > 0).to(speckle.dtype).view(-1, 1, 1, 1)
    planes = _unfolded(context)
    mean, deviation = planes[:, :1], planes[:, 1:]
    there = (mean != 0.0) & (several > 0).view(-1, 1, 1, 1, 1, 1)
    told = None if answers_at_once(there) and bool(there.all()) else there
    if told is not None:
        mean, deviation = mean * told, deviation * told
    steady, _, _ = _high_passed(mean, told)
    agreement = _agreement(speckle, variance, steady, several)
    return steady.flatten(1, 3), torch.cat([*agreement, *_steadiness(deviation, told, dates)], 1)


def _agreement(
    speckle: torch.Tensor, variance: torch.Tensor, steady: torch.Tensor, several: torch.Tensor
) -> list[torch.Tensor]:
    """Correlation of each image with the mean of further dates: what is common to all is texture, or lasts."""
    steady_variance = box(_mean_product(steady, steady), 7)
    deviation = (box(variance, WINDOWS[-1]) * steady_variance).sqrt() + VARIANCE_FLOOR
    cells = _mean_product(speckle, steady)
    correlations = [(box(cells, side) / deviation).clamp(-MOST, MOST) for side in WINDOWS[1:]]
    return [*correlations, ((steady_variance + VARIANCE_FLOOR).log() * 0.5 + 0.6) * several]


def _steadiness(deviation: torch.Tensor, told: torch.Tensor | None, dates: torch.Tensor) -> list[torch.Tensor]:
    """How little further dates differ among themselves where they have data, and how many there are."""
    known = (dates > 1).to(deviation.dtype).view(-1, 1, 1, 1)
    total = _mean_of_cells(deviation)
    weight = torch.ones_like(total) if told is None else _mean_of_cells(told.to(deviation.dtype))
    number = dates.to(deviation.dtype)
    cells, around = ((_mean_around(total, weight, side) - 0.5) * known for side in (1, 5))
    return [cells, around, _everywhere(number / (number + 2.0), weight)]


def _everywhere(value: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """One number of each example as a channel of its cells."""
    return value.to(cells.dtype).view(-1, 1, 1, 1).expand(-1, 1, *cells.shape[-2:])
