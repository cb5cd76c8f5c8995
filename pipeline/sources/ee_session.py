"""One authenticated session with Earth Engine: credentials, the client's start, and failures worth another try."""

from __future__ import annotations

import logging
import os
import random
import ssl
import textwrap
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import CohmapError

log = logging.getLogger(__name__)

HIGH_VOLUME = "https://earthengine-highvolume.googleapis.com"
TOKEN_VARIABLE = "COHMAP_EE_TOKEN"  # noqa: S105 - the variable's name, not a token

# What Earth Engine says of a request that a smaller window would mend; statuses differ, the words don't.
TOO_LARGE = (
    "total request size",
    "user memory limit",
    "memory capacity exceeded",
    "computation timed out",
    "output of image computation is too large",
    "pixel grid dimensions",
)


class TooLarge(Exception):  # noqa: N818 - an instruction to the caller to split its window, not an error of the user's
    """Earth Engine refused one request for its size, memory or time."""


@dataclass(frozen=True)
class Patience:
    """How long a transient failure (429, 5xx, a lost connection, a timeout) is put up with.

    Waits grow as ``first * 2**k`` seconds up to `longest`, each drawn evenly from the upper half of that, so that
    requests refused together don't come back together; a ``Retry-After`` that the server sends is a lower bound.

    Attributes
    ----------
    attempts
        Tries in all.
    first, longest
        Seconds.
    deadline
        Seconds until one request counts as lost; Earth Engine itself gives up on a computation after five minutes.
    sleep
        Waits that many seconds.
    """

    attempts: int = 8
    first: float = 1.0
    longest: float = 60.0
    deadline: float = 330.0
    sleep: Callable[[float], None] = time.sleep

    def wait(self, attempt: int, retry_after: float | None) -> None:
        """Wait before try number `attempt` + 1."""
        step = min(self.first * 2.0 ** (attempt - 1), self.longest)
        pause = step * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        if retry_after is not None:
            pause = max(pause, min(retry_after, 10 * self.longest))
        self.sleep(pause)


@dataclass(frozen=True)
class Failure:
    """What is known of one failed request."""

    message: str
    status: int | None = None
    retry_after: float | None = None
    lost: bool = False
    """The request or its answer never arrived."""

    @property
    def too_large(self) -> bool:
        """Whether a smaller window would mend it."""
        text = self.message.lower()
        return any(words in text for words in TOO_LARGE)

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.lost or self.status in {408, 429} or (self.status is not None and self.status >= 500)


def diagnose(error: Exception) -> Failure:
    """Status, message and ``Retry-After`` of what the client raised.

    The client turns an HTTP error into an exception that carries only its message; status and headers are on the one
    it was handling at the time.
    """
    from google.auth.exceptions import RefreshError, TransportError
    from googleapiclient.errors import UnknownApiNameOrVersion

    message = _one_line(getattr(error, "reason", None) or error)  # str() of an HttpError is a paragraph
    if isinstance(error, RefreshError):
        return Failure(message, lost=True) if getattr(error, "retryable", False) else Failure(message, status=401)
    if isinstance(error, UnknownApiNameOrVersion):
        return Failure("there is no Earth Engine API at this address")
    answer = getattr(error, "resp", None) or getattr(error.__context__, "resp", None)
    if answer is None:
        return Failure(message, lost=isinstance(error, (ConnectionError, TimeoutError, ssl.SSLError, TransportError)))
    return Failure(message, int(answer.status), _seconds(answer))


def _one_line(message: object) -> str:
    return textwrap.shorten(str(message) or type(message).__name__, 300, placeholder=" …")


def _seconds(answer: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(answer["retry-after"]))
    except (KeyError, ValueError):  # absent, or the form with a date, which Google doesn't send
        return None


class _Client:
    """The Earth Engine client keeps one state a process; this says which session it was started for."""

    lock = threading.Lock()
    owner: Session | None = None
    project: str | None = None


@dataclass(frozen=True)
class Session:
    """How to reach Earth Engine; the client is started on the first call, once a process.

    Sessions that are equal share that start. A session unlike the one before starts the client anew, so two unlike
    ones can take turns in a process, but not run side by side.

    Attributes
    ----------
    url
        API address.
    project
        Google Cloud project; the one stored with the credentials where None.
    service_account_key
        Path of a service account's JSON key.
    credentials
        google-auth credentials from elsewhere; they go before every other kind.
    """

    url: str = HIGH_VOLUME
    project: str | None = None
    service_account_key: str | None = None
    credentials: Any = field(default=None, repr=False)
    patience: Patience = Patience()

    def call(self, function: Callable[[dict[str, Any]], Any], parameters: Mapping[str, Any], subject: str) -> Any:
        """Call a function of `ee.data`, again and again while what fails is transient.

        Parameters
        ----------
        function
            Of `ee.data`, with one argument.
        subject
            What the request is about, e.g. ``image collection 'X'``, for the error's sentence.

        Raises
        ------
        TooLarge
            A smaller window would mend it.
        CohmapError
            Anything else that doesn't pass: refused credentials, project or asset, or no answer after every try.
        """
        self.open()
        return self._persist(lambda: function(dict(parameters)), subject, self.patience.attempts)

    def open(self) -> None:
        """Start the client for this session, unless it is.

        Raises
        ------
        CohmapError
            No credentials, no project, or Earth Engine refuses them.
        """
        # A start is waited for by a person: fewer tries than in the middle of an export.
        attempts = min(self.patience.attempts, 4)
        with _Client.lock:
            if _Client.owner == self:
                return
            _Client.owner = None
            _Client.project = self.project
            credentials = self._persist(self._find_credentials, "", attempts)
            _Client.project = self.project or _stored_project(credentials)
            self._persist(lambda: self._start(credentials), "", attempts)
            _Client.owner = self

    def _start(self, credentials: Any) -> None:
        import ee

        # It warns of every refusal, ahead of the sentence that is made of it here.
        logging.getLogger("googleapiclient.http").setLevel(logging.ERROR)
        ee.Reset()
        ee.data.setMaxRetries(0)  # its own retries ignore Retry-After and would multiply with those here
        try:
            ee.Initialize(credentials=credentials, url=self.url, project=_Client.project)
        except ee.EEException as error:
            if "no project found" in str(error):
                raise CohmapError(
                    "no Google Cloud project for Earth Engine: give --project NAME or [source] project, or run "
                    "`earthengine set_project NAME` once"
                ) from None
            raise
        ee.data.setDeadline(1000 * self.patience.deadline)  # it has none of its own

    def _find_credentials(self) -> Any:
        import ee
        from google.auth.exceptions import DefaultCredentialsError
        from google.oauth2.credentials import Credentials

        if self.credentials is not None:
            return self.credentials
        if self.service_account_key is not None:
            try:
                return ee.ServiceAccountCredentials(key_file=str(Path(self.service_account_key).expanduser()))
            except (OSError, ValueError) as error:
                raise CohmapError(
                    f"[source] service_account_key = {self.service_account_key!r} can't be used ({_one_line(error)}); "
                    "give the path of a service account's JSON key"
                ) from None
        token = os.environ.get(TOKEN_VARIABLE)
        if token:
            return Credentials(token)
        try:
            return ee.data.get_persistent_credentials()
        except (ee.EEException, DefaultCredentialsError):
            raise CohmapError(
                "no Earth Engine credentials that work: run `earthengine authenticate` once, or name a service "
                "account's key in [source] service_account_key"
            ) from None

    def _persist(self, request: Callable[[], Any], subject: str, attempts: int) -> Any:
        import ee
        from google.auth.exceptions import GoogleAuthError
        from googleapiclient.errors import Error

        for attempt in range(1, attempts + 1):
            try:
                return request()
            except (ee.EEException, Error, GoogleAuthError, OSError) as error:
                failure = diagnose(error)
                if failure.too_large:
                    raise TooLarge(failure.message) from None
                if not failure.transient:
                    raise self._refusal(failure, subject) from error
            if attempt < attempts:
                log.info("Earth Engine, try %d of %d: %s", attempt, attempts, failure.message)
                self.patience.wait(attempt, failure.retry_after)
        raise CohmapError(
            f"Earth Engine at {self.url} gave no answer in {attempts} tries ({failure.message}); what is finished is "
            "kept: check the network and run the same command again"
        )

    def _refusal(self, failure: Failure, subject: str) -> CohmapError:
        said = failure.message.rstrip(".")
        if failure.status == 401:
            return CohmapError(
                f"Earth Engine does not accept your credentials ({said}); run `earthengine authenticate` again, or "
                "renew the service account's key or the access token"
            )
        if failure.status in {403, 404} and subject and "asset" in said.lower():
            return CohmapError(
                f"{subject} is not on Earth Engine, or your account may not read it ({said}); check [source] collection"
            )
        if failure.status == 403 or (failure.status in {400, 404} and not subject):
            return CohmapError(
                f"Earth Engine refuses project {_Client.project!r} ({said}); check its name, that it is registered for "
                "Earth Engine (https://code.earthengine.google.com/register), and that your account may use it"
            )
        return CohmapError(f"Earth Engine at {self.url} refuses {subject or 'to start'}: {said}")


def _stored_project(credentials: Any) -> str | None:
    """The project that stored credentials name, or that a service account belongs to."""
    for name in ("quota_project_id", "project_id"):
        project = getattr(credentials, name, None)
        if isinstance(project, str) and project:
            return project
    return None
