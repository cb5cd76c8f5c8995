"""How fast the fringes of an interferogram run at the nodes of a coarse grid, and how that changes around each node.

Two models are made for a node. One is a plane through the frequencies that the windows around found each by itself: it
follows curved ground. The other is the one frequency that all windows around have in common: it is found where each
window by itself would take noise for a fringe. The spectra themselves say which of the two they hold more power for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from models.slc.windows import windows

SEARCH = 16
"""Side in samples of the windows that fringes are looked for in."""
SPACING = SEARCH // 2
"""Samples from node to node."""
FARTHEST = 0.3
"""Cycles a sample by which a neighbour's frequency may differ from the mean around before it is taken for noise."""
STIFFNESS = 0.02
"""What pulls the frequency's gradient to zero where no fringe is seen, in units of a clear fringe's weight."""
CURVED = 1.1
"""How many times the power of one common frequency a plane must gather to be preferred."""


@dataclass(frozen=True)
class Fringes:
    """Local models of the phase: 2 pi (frequency . d + d . gradient d / 2) at d samples from a node.

    Attributes
    ----------
    frequency
        Cycles a sample along rows and columns, shape (…, rows, cols, 2).
    gradient
        Its change from sample to sample: along rows by rows, along both by the other, along columns by columns; shape
        (…, rows, cols, 3).
    """

    frequency: torch.Tensor
    gradient: torch.Tensor

    def corrected(self, correction: Fringes) -> Fringes:
        """The sum of two models."""
        return Fringes(self.frequency + correction.frequency, self.gradient + correction.gradient)

    def of(self, chosen: torch.Tensor) -> Fringes:
        """Models of chosen nodes only, one after the other; a mask of shape (…, rows, cols)."""
        return Fringes(self.frequency[chosen], self.gradient[chosen])

    def frequency_at(self, rows: torch.Tensor | float, cols: torch.Tensor | float) -> tuple[torch.Tensor, torch.Tensor]:
        """Cycles a sample along rows and columns, so many rows and columns from each node."""
        (down, right), (bend, twist, sway) = self.frequency.unbind(-1), self.gradient.unbind(-1)
        return down + bend * rows + twist * cols, right + twist * rows + sway * cols

    def phase(self, rows: torch.Tensor, cols: torch.Tensor) -> torch.Tensor:
        """Phase in cycles, shape (…, node rows, node cols, len(rows), len(cols))."""
        (down, right), (bend, twist, sway) = self.frequency.unbind(-1), self.gradient.unbind(-1)
        along = down[..., None] * rows + 0.5 * bend[..., None] * rows**2
        across = right[..., None] * cols + 0.5 * sway[..., None] * cols**2
        mixed = (twist[..., None] * rows)[..., :, None] * cols
        return mixed + along[..., :, None] + across[..., None, :]


@dataclass(frozen=True)
class Nodes:
    """What the windows of a grid of nodes see, each by itself.

    Attributes
    ----------
    frequency
        Of the highest peak, cycles a sample, shape (…, rows, cols, 2).
    weight
        How far that stands out of noise, shape (…, rows, cols); 0 where it may be noise.
    power
        Spectra, squared and flattened, shape (…, rows, cols, SEARCH * SEARCH).
    """

    frequency: torch.Tensor
    weight: torch.Tensor
    power: torch.Tensor


def look(cross: torch.Tensor) -> Nodes:
    """Look for fringes at the nodes.

    Parameters
    ----------
    cross
        Products z1 conj(z2) of evened images, shape (…, height, width); the first node lies SEARCH / 2 from the first
        sample, the others every SPACING.
    """
    spectrum = torch.fft.fft2(windows(cross, (SEARCH, SEARCH), (SPACING, SPACING)))
    power = (spectrum.real**2 + spectrum.imag**2).flatten(-2)
    return Nodes(*peak_frequencies(spectrum, power), power)


def fringe_models(nodes: Nodes, neighbours: int, stride: int) -> Fringes:
    """The phase model around every so many nodes.

    Parameters
    ----------
    neighbours
        Nodes along each axis that a model is made from, odd; the first model is that of node neighbours // 2.
    stride
        Nodes from one model to the next.
    """
    curved = plane_fit(nodes.frequency, nodes.weight, neighbours, stride)
    straight, gathered = common_frequency(nodes.power, neighbours, stride)
    better = _power_along(curved, nodes.power, neighbours, stride) >= CURVED * gathered
    return Fringes(
        torch.where(better[..., None], curved.frequency, straight.frequency),
        torch.where(better[..., None], curved.gradient, straight.gradient),
    )


def peak_frequencies(spectrum: torch.Tensor, power: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Frequency of each window's highest peak, and how far it stands out of noise.

    Between the frequencies of the transform the peak is placed by the three complex values around it (Candan 2011, "A
    method for fine resolution frequency estimation from three DFT samples", IEEE Signal Processing Letters 18(6)).

    Parameters
    ----------
    spectrum, power
        Of each node's window: complex, shape (…, rows, cols, SEARCH, SEARCH), and squared and flattened.

    Returns
    -------
    frequency, weight
        Cycles a sample, shape (…, rows, cols, 2); squared peak over noise, shape (…, rows, cols).
    """
    highest, place = power.max(-1)
    values = spectrum.flatten(-2)
    places = [place // SEARCH, place % SEARCH]
    frequencies = []
    for axis in (0, 1):
        below, peak, above = (values.gather(-1, _shifted(places, axis, step)[..., None])[..., 0] for step in (-1, 0, 1))
        bend = 2.0 * peak - below - above
        size = (bend.real**2 + bend.imag**2).clamp(min=torch.finfo(power.dtype).tiny)
        ratio = ((below - above) * bend.conj()).real / size
        offset = ratio * (math.tan(math.pi / SEARCH) / (math.pi / SEARCH))
        frequencies.append((places[axis] + offset.clamp(-0.6, 0.6)) / SEARCH)
    # the highest of n values of pure noise is ln(n) times their mean
    noise = power.mean(-1) * math.log(power.shape[-1])
    return torch.stack(frequencies, -1), (highest - 1.5 * noise).clamp(min=0.0) / SEARCH**4


def _shifted(places: list[torch.Tensor], axis: int, step: int) -> torch.Tensor:
    near = [(place + step * (axis == number)) % SEARCH for number, place in enumerate(places)]
    return near[0] * SEARCH + near[1]


def plane_fit(frequency: torch.Tensor, weight: torch.Tensor, neighbours: int, stride: int) -> Fringes:
    """A plane through the frequencies of the nodes around, each axis by itself, made free of curl."""
    weights = _around(weight, neighbours, stride)
    steps = _steps(weight, neighbours)
    rows, cols = torch.meshgrid(steps, steps, indexing="ij")
    taper = _taper(weight, neighbours)
    weights = weights * (taper[:, None] * taper).flatten()
    values = [_around(part, neighbours, stride) for part in frequency.unbind(-1)]
    means = [_mean_turn(value, weights) for value in values]
    apart = [wrapped(value - mean[..., None]) for value, mean in zip(values, means, strict=True)]
    weights = weights * ((apart[0] ** 2 + apart[1] ** 2) < FARTHEST**2)
    basis = torch.stack([torch.ones_like(rows), rows, cols], -1).reshape(-1, 3)
    normal = torch.einsum("...n,ni,nj->...ij", weights, basis, basis)
    stiff = STIFFNESS * torch.diag(torch.tensor([1e-3, SPACING**2, SPACING**2])).to(normal)
    right = torch.stack([torch.einsum("...n,ni->...i", weights * part, basis) for part in apart], -1)
    plane = torch.linalg.solve(normal + stiff, right)  # (…, (at the node, along rows, along columns), axis)
    centre = torch.stack([plane[..., 0, axis] + means[axis] for axis in (0, 1)], -1)
    twist = 0.5 * (plane[..., 2, 0] + plane[..., 1, 1])
    return Fringes(centre, torch.stack([plane[..., 1, 0], twist, plane[..., 2, 1]], -1))


def common_frequency(power: torch.Tensor, neighbours: int, stride: int) -> tuple[Fringes, torch.Tensor]:
    """The frequency of the transform where the spectra of the nodes around have most power together, and that power."""
    taper = _taper(power, neighbours)
    taper = taper / taper.sum()
    mean = power.unfold(-3, neighbours, stride) @ taper
    mean = mean.unfold(-2, neighbours, stride) @ taper
    highest, place = mean.max(-1)
    frequency = torch.stack([place // SEARCH, place % SEARCH], -1).to(power.dtype) / SEARCH
    return Fringes(frequency, frequency.new_zeros((*frequency.shape[:-1], 3))), highest


def _power_along(model: Fringes, power: torch.Tensor, neighbours: int, stride: int) -> torch.Tensor:
    """Mean power of the spectra around where a model expects the fringe, comparable to that of `common_frequency`."""
    steps, taper = _steps(power, neighbours), _taper(power, neighbours)
    pieces = power.unfold(-3, neighbours, stride).unfold(-3, neighbours, stride)  # (…, rows, cols, bins, 5, 5)
    total = torch.zeros_like(model.frequency[..., 0])
    for i, j in ((i, j) for i in range(neighbours) for j in range(neighbours)):
        expected = model.frequency_at(steps[i], steps[j])
        place = [(value * SEARCH).round().long() % SEARCH for value in expected]
        found = pieces[..., i, j].gather(-1, (place[0] * SEARCH + place[1])[..., None])[..., 0]
        total = total + (taper[i] * taper[j] / taper.sum() ** 2) * found
    return total


def wrapped(cycles: torch.Tensor) -> torch.Tensor:
    """The same angle within half a cycle of zero."""
    return cycles - cycles.round()


def _around(values: torch.Tensor, neighbours: int, stride: int) -> torch.Tensor:
    return windows(values, (neighbours, neighbours), (stride, stride)).flatten(-2)


def _steps(like: torch.Tensor, neighbours: int) -> torch.Tensor:
    """Samples from the middle node to each of its neighbours along an axis."""
    reach = neighbours // 2
    return SPACING * torch.arange(-reach, reach + 1, dtype=like.dtype, device=like.device)


def _taper(like: torch.Tensor, neighbours: int) -> torch.Tensor:
    """Weight of neighbours along an axis."""
    return (1.0 + torch.cos(math.pi * _steps(like, neighbours) / (SPACING * (neighbours // 2 + 1)))) / 2.0


def _mean_turn(cycles: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    turns = 2.0 * math.pi * cycles
    return torch.atan2((weights * turns.sin()).sum(-1), (weights * turns.cos()).sum(-1)) / (2.0 * math.pi)
