"""Servers on this machine that speak S3: moto's, in this process and with moods, and rclone's, a program of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEY, SECRET = "key-of-the-test", "secret-of-the-test"
BUCKET = "maps"

Request = tuple[str, str]
"""Method and path with query of a request."""


@dataclass
class Moods:
    """How the server treats requests; set while it runs.

    Attributes
    ----------
    fails
        Answers with 503 where this says so.
    delay
        Seconds before every answer.
    then
        Called with each request before it is answered.
    seen
        All requests.
    """

    fails: Callable[[Request], bool] = lambda _: False
    delay: float = 0.0
    then: Callable[[Request], None] = lambda _: None
    seen: list[Request] = field(default_factory=list)

    def reset(self) -> None:
        """Be good again."""
        self.fails, self.delay, self.then = (lambda _: False), 0.0, (lambda _: None)
        self.seen.clear()


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    moods: Moods

    def variables(self) -> dict[str, str]:
        """The environment by which S3 clients find the server and sign in."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "2",
        }


@contextlib.contextmanager
def moto_server() -> Iterator[Server]:
    """moto's server in threads of this process."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_: Any) -> None:
            """Nothing."""

    moods, inner = Moods(), DomainDispatcherApplication(create_backend_app)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = (environ["REQUEST_METHOD"], environ["PATH_INFO"] + "?" + environ.get("QUERY_STRING", ""))
        moods.seen.append(request)
        moods.then(request)
        time.sleep(moods.delay)
        if moods.fails(request):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        answer: Iterable[bytes] = inner(environ, start_response)
        return answer

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}", moods)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def rclone_server(folder: Path) -> Iterator[Server]:
    """rclone serving a folder: each folder in it is a bucket."""
    # The package puts the program beside this interpreter, which need not be on PATH.
    program = shutil.which("rclone", path=Path(sys.executable).parent)
    assert program is not None, "rclone is not beside this Python: install the extra [dev]"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
    with subprocess.Popen(
        [*command, "--config", str(folder / "none.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.05)
            yield Server(f"http://127.0.0.1:{port}", Moods())
        finally:
            process.kill()
