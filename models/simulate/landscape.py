"""A landscape without end, the same wherever it is looked at: fields, forest, towns, river, coast and hills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.simulate.cover import SCATTERING, Cover, Scattering
from models.simulate.decay import History, Regime
from models.simulate.noise import DoubleArray, KeyArray, key, normal, smooth, uniform
from models.simulate.shapes import (
    BoolArray,
    built,
    elevation,
    flattened_quarter,
    flooded_plain,
    inland,
    parcels,
    river,
    shading,
    stands,
)

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Ground:
    """What the radar meets on a window, arrays of one shape.

    Attributes
    ----------
    cover
        `Cover`, uint8.
    stands, stand
        Keys of the stands, parcels and blocks on the window, and the number of each place's in that list; what lies in
        one shares its weather.
    power
        Mean backscatter of each band before and after the event, linear.
    weather
        Standard deviation in dB of a stand's backscatter from pass to pass.
    history
        How it decorrelates.
    struck
        Where the event strikes.
    """

    cover: npt.NDArray[np.uint8]
    stands: KeyArray
    stand: npt.NDArray[np.intp]
    power: dict[str, tuple[FloatArray, FloatArray]]
    weather: FloatArray
    history: History
    struck: BoolArray


def ground(seed: int, x: DoubleArray, y: DoubleArray, event: float = np.inf) -> Ground:
    """The landscape at places.

    Parameters
    ----------
    seed
        Everything follows from it.
    x, y
        Metres east and north of the landscape's origin, one 2-D shape. The town lies at the origin, the coast 2.6 km
        west of it, the hills from 3 km north-east.
    event
        Day of the event, on the clock of the passes.
    """
    cover, stand, house, from_river = _cover(seed, x, y)
    decibel, lasting, days, weather = _scattering(seed, x, y, cover, stand, house)
    before = Regime(lasting, days)

    struck, after_db, after, survival = _after(seed, x, y, cover, house, from_river, decibel, before)
    power = {band: (_linear(decibel[band]), _linear(after_db[band])) for band in decibel}
    if not np.isfinite(event):
        struck = np.zeros_like(struck)
    stands_there, number = np.unique(stand, return_inverse=True)
    history = History(before, after, survival, event)
    return Ground(cover, stands_there, number.reshape(x.shape), power, weather, history, struck)


def _cover(seed: int, x: DoubleArray, y: DoubleArray) -> tuple[npt.NDArray[np.uint8], KeyArray, KeyArray, DoubleArray]:
    """Cover, stand, house and the distance to the river's bank."""
    from_coast = inland(seed, x, y)
    to_middle, half = river(seed, x, y, from_coast)
    height = elevation(seed, x, y)
    woods = smooth(seed + 1, x, y, 1400.0, octaves=4)
    town = built(seed, x, y)
    parcel, to_lane = parcels(seed, x, y)
    stand = stands(seed, x, y, 330.0)

    cover = np.full(x.shape, Cover.FIELD, np.uint8)
    keys = key(1, parcel)
    cover[to_lane < 5.0] = Cover.STREET
    # Bands of trees along the banks, woods on the plain and on the slopes, bare rock on the heights.
    banks = (to_middle - half < 45.0 + 60.0 * woods) & (woods > -0.15)
    forest = banks | (woods > 0.55) | (height > 95.0 + 60.0 * woods)
    rock = height > 215.0 + 110.0 * woods
    for where, name in ((forest, Cover.FOREST), (rock, Cover.ROCK)):
        cover[where] = name
        keys = np.where(where, key(2, stand), keys)
    for where, name in (
        (town.inside, Cover.BUILDINGS),
        (town.inside & town.green, Cover.GARDEN),
        (town.inside & town.street, Cover.STREET),
    ):
        cover[where] = name
    keys = np.where(town.inside, key(3, town.block), keys)
    for where, name in ((to_middle < half, Cover.RIVER), (from_coast < 0.0, Cover.SEA)):
        cover[where] = name
        keys = np.where(where, np.uint64(name), keys)
    return cover, keys, town.house, np.maximum(to_middle - half, 0.0)


def _scattering(
    seed: int,
    x: DoubleArray,
    y: DoubleArray,
    cover: npt.NDArray[np.uint8],
    stand: KeyArray,
    house: KeyArray,
) -> tuple[dict[str, DoubleArray], FloatArray, FloatArray, FloatArray]:
    """Backscatter in dB by band, rho, tau and weather: the cover's values, varied by stand and within it.

    What varies the backscatter and what varies the coherence are drawn apart, so that neither tells the other.
    """
    values = _by_cover(cover)
    buildings = cover == Cover.BUILDINGS
    # Walls and corners that face the radar: few houses are very bright, and those hardly change.
    corner = buildings & (uniform(key(11, house)) < 0.03)
    rough = smooth(seed + 2, x, y, 70.0, octaves=2)
    spread = values["spread"] * normal(key(12, stand)) + 0.8 * rough
    spread += buildings * (3.0 * normal(key(13, house))) + corner * 6.0
    wind = np.where(cover == Cover.SEA, smooth(seed + 3, x - 2.5 * y, y * 0.3, 450.0, octaves=3), 0.0)
    spread += wind + np.where(np.isin(cover, (Cover.SEA, Cover.RIVER)), -0.5 * rough, shading(seed, x, y))
    decibel = {
        "VV": values["vv"] + spread,
        "VH": values["vh"] + spread + 0.7 * normal(key(14, stand)) * (values["spread"] > 0),
    }

    low, high = values["lasting_low"], values["lasting_high"]
    within = 0.12 * smooth(seed + 4, x, y, 160.0, octaves=2) * (high > 0.0)
    lasting = np.clip(low + (high - low) * uniform(key(15, stand)) + within, 0.0, 0.95)
    lasting = np.where(corner, np.maximum(lasting, 0.92), lasting)
    days = values["days"] * np.exp(values["days_spread"] * normal(key(16, stand)))
    return decibel, lasting.astype(np.float32), days.astype(np.float32), values["weather"].astype(np.float32)


def _after(
    seed: int,
    x: DoubleArray,
    y: DoubleArray,
    cover: npt.NDArray[np.uint8],
    house: KeyArray,
    from_river: DoubleArray,
    decibel: dict[str, DoubleArray],
    before: Regime,
) -> tuple[BoolArray, dict[str, DoubleArray], Regime, FloatArray]:
    """The ground after the event: where it struck, backscatter in dB, how it decorrelates, what survived."""
    town = np.isin(cover, (Cover.BUILDINGS, Cover.STREET, Cover.GARDEN))
    flat = town & flattened_quarter(seed, x, y)
    flood = (cover == Cover.FIELD) & flooded_plain(seed, x, y, from_river)

    water = SCATTERING[Cover.RIVER]
    rubble = -2.5 + 2.0 * normal(key(21, house))
    after_db = {
        "VV": np.where(flood, water.vv, decibel["VV"] + flat * rubble),
        "VH": np.where(flood, water.vh, decibel["VH"] + flat * rubble),
    }
    lasting = np.where(flat, 0.3 + 0.3 * uniform(key(22, house)), np.where(flood, 0.0, before.lasting))
    days = np.where(flat, 40.0, np.where(flood, water.days, before.days))
    survival = np.where(flat, 0.12, np.where(flood, 0.0, 1.0))
    after = Regime(lasting.astype(np.float32), days.astype(np.float32))
    return flat | flood, after_db, after, survival.astype(np.float32)


def _by_cover(cover: npt.NDArray[np.uint8]) -> dict[str, DoubleArray]:
    """Each number of the cover table as an array over the window."""

    def column(values: dict[Cover, float]) -> DoubleArray:
        return np.array([values[name] for name in Cover])[cover]

    def spread_out(scattering: Scattering) -> dict[str, float]:
        low, high = scattering.lasting
        return {
            "vv": scattering.vv,
            "vh": scattering.vh,
            "spread": scattering.spread,
            "lasting_low": low,
            "lasting_high": high,
            "days": scattering.days,
            "days_spread": scattering.days_spread,
            "weather": scattering.weather,
        }

    rows = {name: spread_out(SCATTERING[name]) for name in Cover}
    return {field: column({name: rows[name][field] for name in Cover}) for field in rows[Cover.SEA]}


def _linear(decibel: DoubleArray) -> FloatArray:
    power: FloatArray = (10.0 ** (decibel / 10.0)).astype(np.float32)
    return power
