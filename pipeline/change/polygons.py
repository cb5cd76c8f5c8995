"""Areas of changed pixels: found tile by tile, joined across the tiles' borders, small ones dropped."""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize, shapes
from scipy import ndimage
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Area:
    """Changed pixels that hang together by their sides, in one tile or in all.

    Attributes
    ----------
    outline
        In the grid's CRS; holes are left open.
    names
        Quantities.
    numbers
        Sums of all quantities over the pixels in which they are known, then the numbers of these pixels, then the
        greatest values; packed, for a large region has many thousands of areas.
    classes
        How many pixels have each value of a classed quantity: a state, a date.
    """

    outline: BaseGeometry
    pixels: int
    names: tuple[str, ...] = ()
    numbers: array[float] = field(default_factory=lambda: array("d"))
    classes: Mapping[str, Counter[int]] = field(default_factory=dict)

    def mean(self, name: str) -> float:
        """Mean of a quantity over the pixels in which it is known; NaN where it is in none."""
        at, many = self.names.index(name), len(self.names)
        return self.numbers[at] / self.numbers[many + at] if self.numbers[many + at] else float("nan")

    def greatest(self, name: str) -> float:
        """Greatest value of a quantity; less than any number where it is known in no pixel."""
        return self.numbers[2 * len(self.names) + self.names.index(name)]

    def commonest(self, name: str) -> int:
        """The value that most pixels have; of several the smallest."""
        return min(self.classes[name].items(), key=lambda item: (-item[1], item[0]))[0]


def find_areas(
    changed: BoolArray,
    window: GeoBox,
    values: Mapping[str, npt.NDArray[np.floating]],
    classes: Mapping[str, npt.NDArray[np.integer]] | None = None,
    *,
    least_pixels: float = 0.0,
) -> list[Area]:
    """The areas of one tile.

    Parameters
    ----------
    changed
        Shape (height, width).
    window
        The tile's grid.
    values, classes
        Quantities to be summed up over each area, and to be counted by value; NaN is left out.
    least_pixels
        Smaller areas are left out at once where they don't reach the tile's side, beyond which they might go on: by far
        the most are such, and whoever joins those of a thousand tiles shall not hold them all.
    """
    labels, count = ndimage.label(changed)
    sides = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    wanted = np.bincount(labels.ravel(), minlength=count + 1) >= least_pixels
    wanted[sides] = True
    wanted[0] = False
    changed = wanted[labels]
    if not changed.any():
        return []
    outlines: dict[int, BaseGeometry] = {
        int(label): shape(outline)
        for outline, label in shapes(labels.astype(np.int32), mask=changed, connectivity=4, transform=window.affine)
    }
    flat = labels[changed]
    pixels = np.bincount(flat, minlength=count + 1)
    names = tuple(values)
    numbers = np.zeros((count + 1, 3, len(names)))
    numbers[:, 2] = -np.inf
    for at, whole in enumerate(values.values()):
        flat_values = whole[changed].astype(np.float64)
        there = np.isfinite(flat_values)
        numbers[:, 0, at] = np.bincount(flat[there], flat_values[there], minlength=count + 1)
        numbers[:, 1, at] = np.bincount(flat[there], minlength=count + 1)
        np.maximum.at(numbers[:, 2, at], flat[there], flat_values[there])
    counted: dict[str, list[Counter[int]]] = {name: [Counter() for _ in range(count + 1)] for name in classes or {}}
    for name, whole_classes in (classes or {}).items():
        both, number = np.unique(np.stack([flat, whole_classes[changed]]), axis=1, return_counts=True)
        for label, value, many in zip(*both.tolist(), number.tolist(), strict=True):
            counted[name][label][value] = many
    return [
        Area(
            outline=outlines[label],
            pixels=int(pixels[label]),
            names=names,
            numbers=array("d", numbers[label].tobytes()),
            classes={name: counted[name][label] for name in counted},
        )
        for label in np.flatnonzero(wanted).tolist()
    ]


def join_areas(areas: Sequence[Area], least_pixels: float) -> list[Area]:
    """Areas of all tiles: those that share a side of a pixel across a border become one; smaller ones are dropped.

    Sorted from north to south and west to east, whatever order they come in.
    """
    roots = list(range(len(areas)))

    def root(number: int) -> int:
        while roots[number] != number:
            roots[number] = roots[roots[number]]
            number = roots[number]
        return number

    outlines = [area.outline for area in areas]
    if outlines:
        one, two = shapely.STRtree(outlines).query(outlines, predicate="touches")
        forward = one < two
        for a, b in zip(one[forward].tolist(), two[forward].tolist(), strict=True):
            if shapely.length(shapely.intersection(outlines[a], outlines[b])) > 0:  # a corner alone is no side
                roots[root(a)] = root(b)
    members: dict[int, list[Area]] = {}
    for number, area in enumerate(areas):
        members.setdefault(root(number), []).append(area)
    joined = [_join(parts) for parts in members.values()]
    kept = [area for area in joined if area.pixels >= least_pixels]
    return sorted(kept, key=lambda area: (-area.outline.bounds[3], area.outline.bounds[0], area.outline.bounds))


def _join(parts: list[Area]) -> Area:
    if len(parts) == 1:
        return parts[0]
    parts = sorted(parts, key=lambda part: part.outline.bounds)
    many = 2 * len(parts[0].names)
    added = [sum(values) for values in zip(*(part.numbers[:many] for part in parts), strict=True)]
    greatest = [max(values) for values in zip(*(part.numbers[many:] for part in parts), strict=True)]
    return Area(
        outline=shapely.union_all([part.outline for part in parts]).simplify(0),
        pixels=sum(part.pixels for part in parts),
        names=parts[0].names,
        numbers=array("d", added + greatest),
        classes={name: sum((part.classes[name] for part in parts), Counter()) for name in parts[0].classes},
    )


def packed(outlines: Iterable[BaseGeometry]) -> bytes:
    """Outlines in little, a line each: whoever hands a task to a worker holds what it is sent several times over."""
    packer = zlib.compressobj()
    lines = [packer.compress(shapely.to_wkb(outline, hex=True).encode() + b"\n") for outline in outlines]
    return b"".join([*lines, packer.flush()])


def unpacked(content: bytes) -> list[BaseGeometry]:
    """Outlines from what `packed` gives."""
    return [shapely.from_wkb(line) for line in zlib.decompress(content).decode().splitlines()]


def burn(outlines: Sequence[BaseGeometry], window: GeoBox) -> npt.NDArray[np.int32]:
    """Number of the outline that each pixel of a tile belongs to, counted from 1; 0 in none."""
    many = np.array(outlines, dtype=np.object_)
    here = np.flatnonzero(shapely.intersects(many, shapely.box(*window.boundingbox.bbox)))
    if not here.size:
        return np.zeros(window.shape, np.int32)
    shown = [(outlines[number], number + 1) for number in here.tolist()]
    return np.asarray(rasterize(shown, out_shape=window.shape, transform=window.affine, dtype="int32"))
