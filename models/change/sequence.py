"""Sequential detection: what is known of each pixel after every new pass, from first detection to confirmed.

The states are those of OPERA's surface disturbance alerts (DIST-S1, DIST-HLS), with its codes, so that maps compare.
An update needs the state and the new pass only, so a pass that comes later continues where the last one ended.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

NOTHING, FIRST_LOW, PROVISIONAL_LOW, CONFIRMED_LOW, FIRST_HIGH, PROVISIONAL_HIGH, CONFIRMED_HIGH = range(7)
FINISHED_LOW, FINISHED_HIGH = 7, 8
UNKNOWN = 255
NAMES = {
    NOTHING: "no change",
    FIRST_LOW: "first detection, low",
    PROVISIONAL_LOW: "provisional, low",
    CONFIRMED_LOW: "confirmed, low",
    FIRST_HIGH: "first detection, high",
    PROVISIONAL_HIGH: "provisional, high",
    CONFIRMED_HIGH: "confirmed, high",
    FINISHED_LOW: "confirmed and finished, low",
    FINISHED_HIGH: "confirmed and finished, high",
}
# A detection is high where its smallest p lies this much below the rate at which detections are raised by chance.
HIGH = 1 / 20
# Detections after which a change is confirmed, the first included; and quiet passes in a row that end one.
CONFIRMED_AFTER, ENDED_AFTER = 3, 2
# The cumulative sum forgets this much of a normal score at every pass (Page 1954: half the shift that it looks for).
DRIFT = 1.0

_FIRST_DAY = dt.date(1970, 1, 1)


def day_number(day: dt.date) -> int:
    """Days since 1970-01-01, as states count them."""
    return (day - _FIRST_DAY).days


def day_of(number: int) -> dt.date:
    """The day of a number of days since 1970-01-01."""
    return _FIRST_DAY + dt.timedelta(days=number)


@dataclass(frozen=True)
class State:
    """What is known of each pixel, arrays of one shape.

    Attributes
    ----------
    status
        Codes as in `NAMES`, uint8; 255 where no pass had data yet.
    first, before
        Days since 1970-01-01 of the pass of the first detection, and of the last pass before it that saw the pixel: the
        change happened between them. 0 where there is none. int32.
    seen
        Day of the last pass that saw the pixel, int32.
    hits, misses
        Detections since the first, and quiet passes in a row, int16.
    peak
        Greatest normal score since the first detection, float32.
    loss
        Greatest loss of coherence in a detection, float32.
    sum, confidence
        Cumulative sum of normal scores beyond `DRIFT`, never below nought, and the greatest it has been; float32.
    """

    status: npt.NDArray[np.uint8]
    first: npt.NDArray[np.int32]
    before: npt.NDArray[np.int32]
    seen: npt.NDArray[np.int32]
    hits: npt.NDArray[np.int16]
    misses: npt.NDArray[np.int16]
    peak: FloatArray
    loss: FloatArray
    sum: FloatArray
    confidence: FloatArray

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Every array by its name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def nothing_known(shape: tuple[int, ...], day: int) -> State:
    """The state before the first monitored pass, if `day` is that of the last normal one."""
    days, counts, scores = (np.zeros(shape, kind) for kind in (np.int32, np.int16, np.float32))
    status, seen = np.full(shape, UNKNOWN, np.uint8), np.full(shape, day, np.int32)
    return State(status, days, days, seen, counts, counts, scores, scores, scores, scores)


def update(state: State, score: FloatArray, loss: FloatArray, day: int, rate: float) -> State:
    """The state after one more pass.

    A pass whose score is above what chance reaches at `rate` is a detection. The first opens a change, further ones
    make it provisional and, after `CONFIRMED_AFTER`, confirmed. `ENDED_AFTER` quiet passes in a row end it: one
    that was not confirmed is forgotten, a confirmed one is finished, and stays on the map until another change opens.

    Parameters
    ----------
    score
        Normal score of the pass; NaN where it doesn't see the pixel, which changes nothing there.
    loss
        Loss of coherence against the normal.
    day
        Day of the pass since 1970-01-01.
    rate
        Share of unchanged pixels that a pass is allowed to detect.
    """
    seen = np.isfinite(score)
    value = np.where(seen, score, np.float32(0))
    alarm = seen & (value > np.float32(-special.ndtri(rate)))
    quiet = seen & ~alarm
    open_before = (state.status >= FIRST_LOW) & (state.status <= CONFIRMED_HIGH)
    opens, goes_on = alarm & ~open_before, alarm & open_before

    hits = np.where(opens, 1, state.hits + goes_on).astype(np.int16)
    misses = np.where(alarm, 0, state.misses + (quiet & open_before)).astype(np.int16)
    peak = np.where(opens, value, np.where(goes_on, np.maximum(state.peak, value), state.peak))
    lost = np.where(np.isfinite(loss), loss, np.float32(0))
    largest = np.where(opens, lost, np.where(goes_on, np.maximum(state.loss, lost), state.loss))
    first = np.where(opens, day, state.first)
    before = np.where(opens, state.seen, state.before)

    high = peak > np.float32(-special.ndtri(rate * HIGH))
    level = np.where(hits >= CONFIRMED_AFTER, CONFIRMED_LOW, np.where(hits > 1, PROVISIONAL_LOW, FIRST_LOW)) + 3 * high
    ends = quiet & open_before & (misses >= ENDED_AFTER)
    confirmed = hits >= CONFIRMED_AFTER
    finished, forgotten = ends & confirmed, ends & ~confirmed
    status = np.where(seen & (state.status == UNKNOWN), NOTHING, state.status)
    status = np.where(alarm, level, status)
    status = np.where(finished, np.where(high, FINISHED_HIGH, FINISHED_LOW), status)
    status = np.where(forgotten, NOTHING, status).astype(np.uint8)

    total = np.where(seen, np.maximum(state.sum + value - np.float32(DRIFT), np.float32(0)), state.sum)
    return State(
        status=status,
        first=np.where(forgotten, 0, first).astype(np.int32),
        before=np.where(forgotten, 0, before).astype(np.int32),
        seen=np.where(seen, day, state.seen).astype(np.int32),
        hits=np.where(forgotten, 0, hits).astype(np.int16),
        misses=np.where(forgotten, 0, misses).astype(np.int16),
        peak=np.where(forgotten, 0, peak).astype(np.float32),
        loss=np.where(forgotten, 0, largest).astype(np.float32),
        sum=total.astype(np.float32),
        confidence=np.maximum(state.confidence, total).astype(np.float32),
    )
