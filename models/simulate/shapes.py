"""Where things lie: coast, river, relief, town and parcels, as functions of place in metres east (x) and north (y)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.simulate.noise import DoubleArray, KeyArray, key, nearest_site, smooth, split, uniform

BoolArray = npt.NDArray[np.bool_]

TOWN = (700.0, 520.0)
"""Centre of the main town, metres from the landscape's origin."""
INCIDENCE = np.deg2rad(39.0)
"""Angle of the radar's look, which comes from the west as on an ascending pass, from the vertical."""


def inland(seed: int, x: DoubleArray, y: DoubleArray) -> DoubleArray:
    """Metres east of the coast, roughly; negative at sea."""
    bays = 650.0 * smooth(seed + 10, np.zeros_like(x), y, 2600.0, octaves=3)
    return x + 2600.0 + bays + 110.0 * smooth(seed + 11, x, y, 380.0, octaves=2)


def river(seed: int, x: DoubleArray, y: DoubleArray, from_coast: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Metres to the middle line of the river, which runs west and widens at its mouth, and half its width there."""

    def course(east: DoubleArray) -> DoubleArray:
        bends = 380.0 * np.sin(east / 1300.0 + 0.8) + 130.0 * np.sin(east / 480.0)
        return -520.0 + bends + 300.0 * smooth(seed + 20, east, np.zeros_like(east), 3000.0)

    slope = (course(x + 5.0) - course(x - 5.0)) / 10.0
    distance = np.abs(y - course(x)) / np.hypot(1.0, slope)
    half = 30.0 + 8.0 * smooth(seed + 21, x, y, 400.0) + 170.0 * np.exp(-np.maximum(from_coast, 0.0) / 320.0)
    return distance, half


def elevation(seed: int, x: DoubleArray, y: DoubleArray) -> DoubleArray:
    """Height in metres: plains, and hills in the north-east and here and there further off."""
    ramp = np.clip((0.75 * x + 0.66 * y - 2000.0) / 2200.0, 0.0, 1.0)
    far = np.clip(3.0 * smooth(seed + 30, x, y, 14000.0) - 0.4, 0.0, 1.0) * (np.hypot(x, y) > 6000.0)
    ridges = 1.0 - np.abs(smooth(seed + 31, x, y, 1100.0, octaves=4))
    plains: DoubleArray = 25.0 * smooth(seed + 32, x, y, 1500.0, octaves=2)
    return plains + 420.0 * np.maximum(ramp, far) * ridges**2


def shading(seed: int, x: DoubleArray, y: DoubleArray) -> DoubleArray:
    """Backscatter in dB that slopes gain where they face the radar and lose where they face away.

    sigma0 of a slope goes roughly as the inverse tangent of its own incidence angle (Small 2011, projected area).
    """
    step = 15.0
    slope = (elevation(seed, x + step, y) - elevation(seed, x - step, y)) / (2.0 * step)
    local = np.clip(INCIDENCE - np.arctan(slope), np.deg2rad(12.0), np.deg2rad(80.0))
    gained: DoubleArray = 10.0 * np.log10(np.tan(INCIDENCE) / np.tan(local))
    return gained


@dataclass(frozen=True)
class Built:
    """Towns and villages.

    Attributes
    ----------
    inside
        Built-up land.
    street
        Streets between the blocks.
    green
        Gardens and parks, more of them towards the edge.
    block, house
        Keys of the block between streets, and of the house-sized cell in it.
    """

    inside: BoolArray
    street: BoolArray
    green: BoolArray
    block: KeyArray
    house: KeyArray


def built(seed: int, x: DoubleArray, y: DoubleArray) -> Built:
    """The main town, and villages scattered over the country around."""
    ragged = smooth(seed + 40, x, y, 750.0, octaves=3)
    main = (np.hypot(x - TOWN[0], y - TOWN[1]) + 420.0 * ragged) / 1150.0
    villages = nearest_site(seed + 41, x, y, 3100.0)
    there = (uniform(key(1, villages.key)) < 0.7) & (np.hypot(villages.x - TOWN[0], villages.y - TOWN[1]) > 2200.0)
    radius = 180.0 + 220.0 * uniform(key(2, villages.key))
    village = np.where(there, (np.hypot(x - villages.x, y - villages.y) + 130.0 * ragged) / radius, np.inf)
    outwards = np.minimum(main, village)  # 0 at the centre, 1 at the edge

    quarter = nearest_site(seed + 42, x, y, 620.0)
    u, v = _turned(quarter.key, x - quarter.x, y - quarter.y)
    row, to_row = split(seed + 43, v, np.full(x.shape, 75.0), quarter.key)
    block, to_end = split(seed + 44, u, np.full(x.shape, 115.0), row)
    house = key(seed + 45, block, np.floor(u / 17.0).astype(np.int64), np.floor(v / 17.0).astype(np.int64))
    share = 0.12 + 0.5 * np.clip(outwards, 0.0, 1.0) ** 2
    park = uniform(key(3, block)) < 0.10
    return Built(
        inside=outwards < 1.0,
        street=(to_row < 8.0) | (to_end < 7.0) | (quarter.border < 12.0),
        green=park | (uniform(key(4, house)) < share),
        block=block,
        house=house,
    )


def parcels(seed: int, x: DoubleArray, y: DoubleArray) -> tuple[KeyArray, DoubleArray]:
    """Keys of agricultural parcels, and the distance in metres to the nearest lane between estates.

    Estates are Voronoi cells; each is ploughed in its own direction, cut into strips and the strips into parcels.
    """
    bent_x = x + 35.0 * smooth(seed + 50, x, y, 600.0)
    bent_y = y + 35.0 * smooth(seed + 51, x, y, 600.0)
    estate = nearest_site(seed + 52, bent_x, bent_y, 1250.0)
    u, v = _turned(estate.key, bent_x - estate.x, bent_y - estate.y)
    width = 110.0 + 170.0 * uniform(key(5, estate.key))
    strip, _ = split(seed + 53, v, width, estate.key)
    length = 220.0 + 380.0 * uniform(key(6, strip))
    parcel, _ = split(seed + 54, u, length, strip)
    return parcel, estate.border


def stands(seed: int, x: DoubleArray, y: DoubleArray, scale: float) -> KeyArray:
    """Keys of irregular patches: forest stands, faces of rock."""
    bent_x = x + 60.0 * smooth(seed + 60, x, y, 220.0, octaves=2)
    bent_y = y + 60.0 * smooth(seed + 61, x, y, 220.0, octaves=2)
    return nearest_site(seed + 62, bent_x, bent_y, scale).key


def _turned(keys: KeyArray, x: DoubleArray, y: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Coordinates in a frame turned by an angle that each key has for its own."""
    angle = np.pi * uniform(key(7, keys))
    cosine, sine = np.cos(angle), np.sin(angle)
    return x * cosine + y * sine, y * cosine - x * sine


def flattened_quarter(seed: int, x: DoubleArray, y: DoubleArray) -> BoolArray:
    """The part of the main town that the event strikes, about 700 m by 450 m."""
    ragged = 45.0 * smooth(seed + 70, x, y, 160.0, octaves=2)
    east, north = x - TOWN[0] - 150.0, y - TOWN[1] - 60.0
    u, v = 0.9 * east + 0.436 * north, 0.9 * north - 0.436 * east
    return (np.abs(u) + ragged < 350.0) & (np.abs(v) + ragged < 225.0)


def flooded_plain(seed: int, x: DoubleArray, y: DoubleArray, from_river: DoubleArray) -> BoolArray:
    """The plain along the river that the event floods, between the town and the mouth."""
    ragged = smooth(seed + 71, x, y, 500.0, octaves=3)
    return (np.abs(x + 1050.0) < 650.0 + 150.0 * ragged) & (from_river < 380.0 + 160.0 * ragged)
