"""HTTP for the Earth Engine client: one deadline for the whole of an answer, which its own way of asking lacks."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import httplib2
import requests
import urllib3
from requests.adapters import HTTPAdapter

from pipeline.sources.ee_failures import Garbled

# The client turns this header into a warning for every answer; here it becomes a slower pace, said once.
QUOTA_STATUS = "x-earth-engine-quota-status"
RESTRICTED = "parallelism_restricted=true"

# More connections than requests at once: none is opened anew for every request.
CONNECTIONS = 48

PIECE = 2**20


class Transport:
    """What the client calls in place of httplib2; safe to use from several threads.

    Parameters
    ----------
    deadline
        Seconds for the whole of one request and its answer. A time limit of sockets alone would start again with
        every byte that trickles in.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._heard = threading.local()
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))

    @property
    def restricted(self) -> bool:
        """Whether this thread's last answer said that the project runs restricted."""
        return getattr(self._heard, "restricted", False)

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        redirections: int | None = None,
        connection_type: object = None,
    ) -> tuple[httplib2.Response, bytes]:
        """Send one request and read its answer to the end.

        Raises
        ------
        TimeoutError
            The deadline has passed.
        ConnectionError
            The request or its answer was lost.
        Garbled
            A web page came with status 200: some machine between here and Earth Engine wrote it.
        """
        del redirections, connection_type
        end = time.monotonic() + self._deadline
        try:
            with self._session.request(
                method, uri, data=body, headers=headers, timeout=self._deadline, stream=True
            ) as answer:
                content = self._read(answer, end)
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise TimeoutError(f"no whole answer within {self._deadline:g} s") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise ConnectionError(str(error)) from error
        found = {name.lower(): value for name, value in answer.headers.items()}
        self._heard.restricted = RESTRICTED in found.pop(QUOTA_STATUS, "")
        if answer.status_code == 200 and found.get("content-type", "").startswith("text/html"):
            raise Garbled("a web page instead of data; is there a sign-in page or a proxy on the way?")
        return httplib2.Response({**found, "status": answer.status_code}), content

    def _read(self, answer: requests.Response, end: float) -> bytes:
        pieces = []
        # read1 returns what one read of the socket gives; read would wait for the whole piece, however slowly it comes
        while piece := answer.raw.read1(PIECE, decode_content=True):
            pieces.append(piece)
            if time.monotonic() > end:
                raise TimeoutError(f"no whole answer within {self._deadline:g} s")
        return b"".join(pieces)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
