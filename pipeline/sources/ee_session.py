"""One authenticated session with Earth Engine: credentials, the client's start, and requests until they succeed."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import CohmapError
from pipeline.sources.ee_failures import Failure, Garbled, Kind, TooLarge, diagnose, one_line
from pipeline.sources.ee_pace import Pace, Patience

if TYPE_CHECKING:
    from pipeline.sources.ee_transport import Transport

log = logging.getLogger(__name__)

HIGH_VOLUME = "https://earthengine-highvolume.googleapis.com"
STANDARD = "https://earthengine.googleapis.com"
TOKEN_VARIABLE = "COHMAP_EE_TOKEN"  # noqa: S105 - the variable's name, not a token


class _Client:
    """The Earth Engine client keeps one state a process; this says which session it was started for."""

    lock = threading.Lock()
    owner: Session | None = None
    project: str | None = None
    transport: Transport | None = None


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
    patience
        How long transient failures are put up with.
    requests
        Most requests under way at once.
    """

    url: str = HIGH_VOLUME
    project: str | None = None
    service_account_key: str | None = None
    credentials: Any = field(default=None, repr=False)
    patience: Patience = field(default_factory=Patience)
    requests: int = field(default=16, compare=False)
    pace: Pace = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pace", Pace(self.requests, self.patience))

    def call(self, function: Callable[[dict[str, Any]], Any], parameters: Mapping[str, Any], subject: str) -> Any:
        """Call a function of `ee.data`, again and again while what fails is transient.

        Parameters
        ----------
        function
            Of `ee.data`, or one that calls it, with one argument; raises Garbled where the answer makes no sense.
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

        from pipeline.sources.ee_transport import Transport

        # It warns of every refusal, ahead of the sentence that is made of it here.
        logging.getLogger("googleapiclient.http").setLevel(logging.ERROR)
        ee.Reset()
        ee.data.setMaxRetries(0)  # its own retries ignore Retry-After and would multiply with those here
        _Client.transport = Transport(self.patience.deadline)
        try:
            ee.Initialize(
                credentials=credentials, url=self.url, project=_Client.project, http_transport=_Client.transport
            )
        except ee.EEException as error:
            if "no project found" in str(error):
                raise CohmapError(
                    "no Google Cloud project for Earth Engine: give --project NAME or [source] project, or run "
                    "`earthengine set_project NAME` once"
                ) from None
            raise

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
                    f"[source] service_account_key = {self.service_account_key!r} can't be used ({one_line(error)}); "
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
        """Make a request until it succeeds, fails for good, or has been tried often enough."""
        import ee
        from google.auth.exceptions import GoogleAuthError
        from googleapiclient.errors import Error

        garbled = 0
        for attempt in range(1, attempts + 1):
            with self.pace.turn() as sent_at:
                try:
                    answer = request()
                except (ee.EEException, Error, GoogleAuthError, OSError, Garbled) as error:
                    failure = diagnose(error)
                else:
                    self._go_on()
                    return answer
                if failure.kind is Kind.BUSY:
                    self.pace.slow_down(sent_at, failure.retry_after)
            if failure.kind is Kind.TOO_LARGE:
                raise TooLarge(failure.message)
            garbled += failure.kind is Kind.GARBLED
            if failure.kind is Kind.REFUSED or garbled >= self.patience.garbled:
                raise self._refusal(failure, subject)
            if attempt < attempts:
                log.info("Earth Engine, try %d of %d: %s", attempt, attempts, failure.message)
                self.patience.wait(attempt, failure.retry_after)
        raise CohmapError(
            f"Earth Engine at {self.url} gave no answer in {attempts} tries ({failure.message}); what is finished is "
            "kept: check the network and run the same command again"
        )

    def _go_on(self) -> None:
        restricted = _Client.transport is not None and _Client.transport.restricted
        if self.pace.go_on(restricted=restricted):
            log.warning(
                "Earth Engine: project %r has used up its quota and runs restricted; going on slowly, see "
                "https://developers.google.com/earth-engine/guides/noncommercial_tiers",
                _Client.project,
            )

    def _refusal(self, failure: Failure, subject: str) -> CohmapError:
        said = failure.message.rstrip(".")
        if failure.kind is Kind.GARBLED:
            return CohmapError(
                f"Earth Engine at {self.url} answers {subject or 'the start'} with {said}; check the network, and if "
                "it goes on, report it with this sentence"
            )
        if failure.status == 401:
            return CohmapError(
                f"Earth Engine does not accept your credentials ({said}); run `earthengine authenticate` again, or "
                "renew the service account's key or the access token"
            )
        if failure.status in {403, 404} and subject and "asset" in said.lower():
            return CohmapError(
                f"{subject} is not on Earth Engine, or your account may not read it ({said}); check [source] collection"
            )
        if failure.status == 400 and "asset" in said.lower() and "not found" in said.lower():
            return CohmapError(
                f"an image of {subject} is no longer on Earth Engine ({said}); run the same command again: it searches "
                "anew, and what is finished is kept"
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
