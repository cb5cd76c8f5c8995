"""A stand-in for the Hugging Face hub on this machine: as much of it as its real client asks for two files."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the hub holds: one repository with one commit, on branch main.

    Attributes
    ----------
    files
        Content by name.
    gated
        Whether its authors ask for their terms to be accepted.
    requests
        Method and path of every request.
    """

    repository: str
    files: Mapping[str, bytes]
    gated: bool = False
    requests: list[str] = field(default_factory=list)
    url: str = ""

    def error(self, path: str) -> tuple[HTTPStatus, str] | None:
        """Status and error code that the real hub answers with; None where the file is there."""
        owner, name, _, revision, file = path.strip("/").split("/", 4)
        if f"{owner}/{name}" != self.repository:
            return HTTPStatus.UNAUTHORIZED, "RepoNotFound"
        if self.gated:
            return HTTPStatus.FORBIDDEN, "GatedRepo"
        if revision not in {"main", COMMIT}:
            return HTTPStatus.NOT_FOUND, "RevisionNotFound"
        return None if file in self.files else (HTTPStatus.NOT_FOUND, "EntryNotFound")


@contextlib.contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve a hub on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_content=False)

        def do_GET(self) -> None:
            self._answer(with_content=True)

        def _answer(self, *, with_content: bool) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            error = hub.error(self.path)
            content = b"" if error else hub.files[self.path.rsplit("/", 1)[1]]
            self.send_response(error[0] if error else HTTPStatus.OK)
            if error:
                self.send_header("X-Error-Code", error[1])
            else:
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_content:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
