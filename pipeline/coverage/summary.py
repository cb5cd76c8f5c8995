"""The table of a coverage study: one row a study and kind of land."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.decay.curve import coherence_at
from models.phase_noise import displacement_deviation, phase_deviation
from models.stack_noise import velocity_deviation
from pipeline.coverage.settings import Coverage
from pipeline.coverage.sightings import Study

FloatArray = npt.NDArray[np.float32]

# Medians are read from histograms of this many bins.
BINS = 4096
MEDIANS = ("interval", "coherence", "phase_noise", "displacement_noise")
ALL = "all land"
# Passes that a velocity is computed from: beyond, the matrix of their coherences takes minutes.
MOST_PASSES = 400


class Summary:
    """Collects a map block by block."""

    def __init__(self, study: Study, settings: Coverage, classes: Sequence[str], bands: Sequence[str]) -> None:
        self._study, self._settings, self._bands = study, settings, list(bands)
        self._names = [ALL, *classes]
        # kinds of land without a place: all land is taken for each in turn
        self._supposed = () if settings.decay.raster else settings.decay.classes
        self._above_if = np.zeros(len(self._supposed), np.int64)
        worst = float(phase_deviation(0.0, settings.looks))
        self._tops = {
            "interval": float(study.days),
            "coherence": 1.0,
            "phase_noise": worst,
            "displacement_noise": float(displacement_deviation(worst, settings.wavelength * 1e3)),
        }
        shape = (len(self._names), len(bands))
        self._pixels = np.zeros(len(self._names), np.int64)
        self._above, self._seen = (np.zeros(len(self._names), np.int64) for _ in range(2))
        self._number = np.zeros(shape, np.int64)
        self._sum = np.zeros(shape)
        self._low, self._high = np.full(shape, np.inf), np.full(shape, -np.inf)
        self._bins = {name: np.zeros((len(self._names), BINS), np.int64) for name in MEDIANS}

    def add(self, values: FloatArray, land: npt.NDArray[np.bool_], kinds: npt.NDArray[np.int64] | None) -> None:
        """Take in a block: its bands, which pixels count, and which class each is of."""
        masks = [land] if kinds is None else [land, *(land & (kinds == k) for k in range(len(self._names) - 1))]
        for index, mask in enumerate(masks):
            self._pixels[index] += int(mask.sum())
            for band, layer in enumerate(values):
                self._add(index, band, layer[mask])
        interval = values[self._at("interval")][land]
        for index, one in enumerate(self._supposed):
            gamma = coherence_at(interval, one.tau, one.rho_inf)
            self._above_if[index] += int((gamma >= self._settings.threshold).sum())

    def _add(self, index: int, band: int, chosen: FloatArray) -> None:
        known = chosen[~np.isnan(chosen)]
        if not known.size:
            return
        if self._bands[band] == "passes":
            self._seen[index] += int((known > 0).sum())
        if self._bands[band] == "coherence":
            self._above[index] += int((known >= self._settings.threshold).sum())
        self._number[index, band] += known.size
        self._sum[index, band] += float(known.sum(dtype=np.float64))
        self._low[index, band] = min(self._low[index, band], float(known.min()))
        self._high[index, band] = max(self._high[index, band], float(known.max()))
        if self._bands[band] not in MEDIANS:
            return
        name = self._bands[band]
        place = np.minimum((known * (BINS / self._tops[name])).astype(np.int64), BINS - 1)
        self._bins[name][index] += np.bincount(place, minlength=BINS)

    def rows(self) -> list[dict[str, Any]]:
        """One row for all land, and one for each class that there is."""
        rows = [self._row(index) for index in range(len(self._names)) if index == 0 or self._pixels[index]]
        return rows + [self._row_if(rows[0], index) for index in range(len(self._supposed))]

    def _row_if(self, row: Mapping[str, Any], index: int) -> dict[str, Any]:
        """The row if all land were of one kind: all that follows from decay is another."""
        one, interval = self._supposed[index], row["interval_median"]
        made = {**row, "land": f"if {one.name}", "share_above": _ratio(int(self._above_if[index]), int(row["pixels"]))}
        if interval is not None:
            gamma = float(coherence_at(interval, one.tau, one.rho_inf))
            phase = float(phase_deviation(gamma, self._settings.looks))
            made["coherence_median"], made["phase_noise_median"] = _rounded(gamma), _rounded(phase)
            noise = float(displacement_deviation(phase, self._settings.wavelength * 1e3))
            made["displacement_noise_median"] = _rounded(noise)
            made["velocity_noise"] = self._velocity(interval, one.tau, one.rho_inf)
        return made

    def _row(self, index: int) -> dict[str, Any]:
        pixels = int(self._pixels[index])
        row: dict[str, Any] = {
            "study": self._study.name,
            "land": self._names[index],
            "start": self._study.start.isoformat(),
            "days": self._study.days,
            "tracks": len(self._study.tracks),
            "pixels": pixels,
            "share_seen": _ratio(int(self._seen[index]), pixels),
            "share_paired": _ratio(int(self._number[index, self._at("interval")]), pixels),
        }
        for name in ("passes", "ascending", "descending"):
            row[f"{name}_mean"] = self._mean(index, name)
        row |= {
            "passes_min": self._edge(self._low, index, "passes"),
            "passes_max": self._edge(self._high, index, "passes"),
        }
        row |= {f"pairs_{days}_mean": self._mean(index, f"pairs_{days}") for days in self._settings.baselines}
        row |= {"gap_mean": self._mean(index, "gap_mean"), "gap_max": self._edge(self._high, index, "gap_max")}
        row["interval_median"] = self._median(index, "interval")
        row["incidence_min"] = self._edge(self._low, index, "incidence_min")
        row["incidence_max"] = self._edge(self._high, index, "incidence_max")
        for name in ("coherence", "phase_noise", "displacement_noise"):
            row[f"{name}_median"] = self._median(index, name)
        row["threshold"] = self._settings.threshold
        row["share_above"] = _ratio(int(self._above[index]), pixels)
        row["velocity_noise"] = self._velocity(row["interval_median"], *self._parameters(index))
        return row

    def _at(self, name: str) -> int:
        return self._bands.index(name)

    def _mean(self, index: int, name: str) -> float | None:
        number = self._number[index, self._at(name)]
        return _rounded(self._sum[index, self._at(name)] / number) if number else None

    def _edge(self, edges: npt.NDArray[np.float64], index: int, name: str) -> float | None:
        return _rounded(edges[index, self._at(name)]) if self._number[index, self._at(name)] else None

    def _median(self, index: int, name: str) -> float | None:
        """The middle of the bin with the median in it; the value itself where all are the same."""
        band = self._at(name)
        number = self._number[index, band]
        if not number:
            return None
        if self._low[index, band] == self._high[index, band]:
            return _rounded(self._low[index, band])
        place = int(np.searchsorted(np.cumsum(self._bins[name][index]), (number + 1) // 2))
        middle = (place + 0.5) / BINS * self._tops[name]
        return _rounded(float(np.clip(middle, self._low[index, band], self._high[index, band])))

    def _velocity(self, interval: float | None, tau: float | None, rho: float | None) -> float | None:
        """Of a stack at the median interval; None where decay is a map, or where there are too few passes or many."""
        if interval is None or tau is None or rho is None:
            return None
        days = np.arange(0.0, self._study.days, interval)
        if not 2 <= days.size <= MOST_PASSES:
            return None
        settings = self._settings
        return _rounded(
            velocity_deviation(days, tau, rho, settings.looks, settings.wavelength * 1e3, settings.atmosphere)
        )

    def _parameters(self, index: int) -> tuple[float | None, float | None]:
        decay = self._settings.decay
        if 0 < index <= len(decay.classes):
            return decay.classes[index - 1].tau, decay.classes[index - 1].rho_inf
        if (index == 0 and decay.raster) or isinstance(decay.tau, str) or isinstance(decay.rho_inf, str):
            return None, None
        return decay.tau, decay.rho_inf


def _ratio(part: int, whole: int) -> float | None:
    return _rounded(part / whole) if whole else None


def _rounded(value: float) -> float | None:
    """Six digits: enough for any reader, and the same on every machine."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table as CSV; what isn't known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
