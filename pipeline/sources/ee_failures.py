"""What went wrong with a request to Earth Engine, and what mends it: every kind of failure has one remedy."""

from __future__ import annotations

import re
import ssl
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

# What Earth Engine says of a request that a smaller one would mend; statuses differ, the words don't.
TOO_LARGE = (
    "total request size",
    "user memory limit",
    "memory capacity exceeded",
    "computation timed out",
    "output of image computation is too large",
    "pixel grid dimensions",
)

# What must never reach a log or an error's sentence, should a server repeat it: tokens and keys.
SECRETS = re.compile(
    r"(?i)\b(bearer\s+|\w*(?:token|secret|private_key)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;]+|\bya29\.[\w.-]+"
)


class TooLarge(Exception):  # noqa: N818 - an instruction to the caller to split its request, not an error of the user's
    """Earth Engine refused one request for its size, memory or time."""


class Garbled(Exception):  # noqa: N818 - an answer to ask for again, not an error of the user's
    """An answer that arrived, with status 200, but isn't what was asked for."""


class Kind(Enum):
    """Kinds of failures, by what mends them."""

    BUSY = "the server has too much to do: wait, ask again, and ask less at once"
    LOST = "the request or its answer was lost on the way: wait and ask again"
    GARBLED = "the answer makes no sense: ask again, but not for long"
    TOO_LARGE = "ask for less in one request"
    REFUSED = "asking again would change nothing"


@dataclass(frozen=True)
class Failure:
    """What is known of one failed request."""

    message: str
    kind: Kind = Kind.REFUSED
    status: int | None = None
    retry_after: float | None = None


def diagnose(error: Exception) -> Failure:
    """Kind, status, message and ``Retry-After`` of what the client raised.

    The client turns an HTTP error into an exception that carries only its message; status and headers are on the one
    it was handling at the time.
    """
    from google.auth.exceptions import RefreshError, TransportError
    from googleapiclient.errors import UnknownApiNameOrVersion

    message = one_line(getattr(error, "reason", None) or error)  # str() of an HttpError is a paragraph
    if isinstance(error, Garbled):
        return Failure(message, Kind.GARBLED)
    if isinstance(error, RefreshError):
        return Failure(message, Kind.LOST) if getattr(error, "retryable", False) else Failure(message, status=401)
    if isinstance(error, UnknownApiNameOrVersion):
        return Failure("there is no Earth Engine API at this address")
    answer = getattr(error, "resp", None) or getattr(error.__context__, "resp", None)
    status = None if answer is None else int(answer.status)
    if any(words in message.lower() for words in TOO_LARGE):
        kind = Kind.TOO_LARGE
    elif isinstance(error, TimeoutError) or (status is not None and (status in {408, 429} or status >= 500)):
        kind = Kind.BUSY
    elif isinstance(error, ConnectionError | ssl.SSLError | TransportError):
        kind = Kind.LOST
    else:
        kind = Kind.REFUSED
    return Failure(message, kind, status, None if answer is None else _seconds(answer))


def one_line(message: object) -> str:
    """What was said, on one line, shortened, without secrets."""
    text = SECRETS.sub(lambda found: f"{found[1] or ''}[hidden]", str(message) or type(message).__name__)
    return textwrap.shorten(text, 300, placeholder=" …")


def _seconds(answer: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(answer["retry-after"]))
    except (KeyError, ValueError):  # absent, or the form with a date, which Google doesn't send
        return None
