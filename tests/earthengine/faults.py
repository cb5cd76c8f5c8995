"""What may go wrong with a request: one fault at will, or a share of all requests, drawn from a seed.

Kinds that befall single requests, by the names that `Chance` draws from:

==============  =======================================================================================
``quota``       429 with ``Retry-After``
``500`` …       500, 502 and 503
``slow``        a body that trickles in, byte by byte, for as long as anyone listens
``dropped``     the connection closed in the middle of the body
``truncated``   half of the pixels' file, declared as the whole
``reshaped``    pixels of another shape than asked for
``web page``    an HTML page with status 200, as a sign-in page on the way sends it
``memory``      400, user memory limit exceeded: a smaller request would mend it
``time-out``    400, computation timed out: likewise
==============  =======================================================================================

What happens to the assets and the caller is the world's: ``World.expire`` (401 after an hour), ``World.vanish`` (an
image that was listed and is gone), ``World.add`` with the same id and a later time (processed anew between two
runs), or with another ending of its name (the same slice twice).
"""

from __future__ import annotations

import hashlib
import io
import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np


class Spoil(Enum):
    """How a true answer is spoiled on its way."""

    SLOW = "slow"
    DROPPED = "dropped"
    TRUNCATED = "truncated"
    RESHAPED = "reshaped"
    WEB_PAGE = "web page"


WEB_PAGE = b"<!DOCTYPE html><html><title>Sign in to the network</title></html>"


@dataclass
class Fault:
    """An answer in place of the true one.

    Attributes
    ----------
    path
        Regular expression that the request's path must hold.
    status
        HTTP status; 0 cuts the connection without an answer.
    times
        How many requests it befalls.
    delay
        Seconds before the answer; between two bytes of a slow one.
    spoil
        The true answer is computed and then spoiled; status and message count for nothing.
    """

    path: str
    status: int
    message: str = "boom"
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    spoil: Spoil | None = None


PIXELS = "computePixels"
FAULTS: Mapping[str, Fault] = {
    "quota": Fault(PIXELS, 429, "Too Many Requests: Request was rejected because the request rate or concurrency "
                   "limit was exceeded.", headers={"Retry-After": "7"}),
    "500": Fault(PIXELS, 500, "An internal error has occurred"),
    "502": Fault(PIXELS, 502, "Bad Gateway"),
    "503": Fault(PIXELS, 503, "The service is currently unavailable."),
    **{kind.value: Fault(PIXELS, 200, spoil=kind, delay=0.05) for kind in Spoil},
    "memory": Fault(PIXELS, 400, "User memory limit exceeded."),
    "time-out": Fault(PIXELS, 400, "Computation timed out."),
}  # fmt: skip

SPLITTING = ("memory", "time-out")
PASSING = tuple(name for name in FAULTS if name not in SPLITTING)


class Chance:
    """Lets a share of the requests to ``computePixels`` go wrong.

    Which ones depends on the seed and on what is asked for, and how often it was before, not on the order in which
    threads happen to ask.

    Parameters
    ----------
    share
        Of all requests, 0 to 1.
    weights
        How often each kind of fault is drawn, relative to the others.
    """

    def __init__(self, seed: int, share: float, weights: Mapping[str, float]) -> None:
        self.drawn: Counter[str] = Counter()
        self._seed, self._share = seed, share
        self._names, self._weights = list(weights), list(weights.values())
        self._asked: Counter[str] = Counter()

    def draw(self, path: str, body: object) -> Fault | None:
        """What is to go wrong with this request; None where nothing is."""
        if not re.search(PIXELS, path):
            return None
        what = hashlib.blake2b(repr(body).encode(), digest_size=8).hexdigest()
        self._asked[what] += 1
        rng = random.Random(f"{self._seed} {what} {self._asked[what]}")
        if rng.random() >= self._share:
            return None
        (name,) = rng.choices(self._names, self._weights)
        self.drawn[name] += 1
        return FAULTS[name]


def spoiled(answer: bytes, spoil: Spoil | None) -> bytes:
    """The file that is sent in place of the true one."""
    if spoil is Spoil.TRUNCATED:
        return answer[: len(answer) // 2]
    if spoil is Spoil.RESHAPED:
        buffer = io.BytesIO()
        np.save(buffer, np.load(io.BytesIO(answer))[:-1])
        return buffer.getvalue()
    return answer
