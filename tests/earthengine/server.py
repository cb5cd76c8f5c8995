"""The HTTP side: the addresses that the client calls, on 127.0.0.1."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import ee

from tests.earthengine.errors import EarthEngineError
from tests.earthengine.faults import PIXELS, WEB_PAGE, Fault, Spoil, spoiled
from tests.earthengine.functions import FUNCTIONS
from tests.earthengine.graph import Evaluator, Value, algorithms, to_json
from tests.earthengine.images import Image
from tests.earthengine.listing import matches, record
from tests.earthengine.pixels import encode_npy, read_grid
from tests.earthengine.task_server import answer_task, no_tasks, speaks_of_tasks
from tests.earthengine.world import Request, World

Answer = dict[str, Any] | bytes


@cache
def _shipped_discovery() -> str:
    path = Path(ee.__file__).parent / "tests" / "cloud_api_discovery_document.json"
    return path.read_text(encoding="utf-8")


def discovery(root: str, version: str) -> dict[str, Any]:
    """The description of the interface that the client builds its calls from.

    The one in the client's own tests is of an older version that lacks two parameters of ``listAssets``.
    """
    document: dict[str, Any] = json.loads(_shipped_discovery().replace("v1alpha", version))
    document["rootUrl"] = document["baseUrl"] = f"{root}/"
    projects = document["resources"]["projects"]
    for resource in (projects, projects["resources"]["assets"]):
        for name in ("filter", "view"):
            parameters = resource["methods"]["listAssets"]["parameters"]
            parameters.setdefault(name, {"type": "string", "location": "query"})
    return document


class Server(ThreadingHTTPServer):
    """Serves one world, one thread a connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, world: World) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.world = world
        self.tasks = no_tasks(world)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that hung up; anything else is a fault of the stand-in."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go out as two writes; the second must not wait for the client
    server: Server
    _counted: Request | None = None

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Keep quiet; the world has a log."""

    def _serve(self, method: str) -> None:
        request = self._read(method)
        fault = self.server.world.record(request)
        if PIXELS in request.path:
            self._counted = request
            self.server.world.begin(request)
        if fault is None or fault.spoil is not None:
            self._respond(request, fault)
        else:
            self._fail(fault)

    def _respond(self, request: Request, fault: Fault | None) -> None:
        try:
            answer = self._answer(request)
        except EarthEngineError as error:
            self.server.world.refusals[error.message] += 1
            self._send(error.status, error.to_json())
        except Exception as error:  # noqa: BLE001 - a fault of the stand-in must reach the test that meets it
            broken = EarthEngineError(f"stand-in broke down: {type(error).__name__}: {error}")
            self._send(broken.status, broken.to_json())
        else:
            if fault is None:
                self._send(200, answer)
            else:
                self._spoil(answer if isinstance(answer, bytes) else json.dumps(answer).encode(), fault)

    def _fail(self, fault: Fault) -> None:
        time.sleep(fault.delay)
        if fault.status == 0:
            self._end()
            self.close_connection = True
        else:
            self._send(fault.status, EarthEngineError(fault.message, fault.status).to_json(), fault.headers)

    def _end(self) -> None:
        """Count a request as answered: before the answer goes out, because the next one may come right after it."""
        if self._counted:
            self.server.world.end(self._counted)
            self._counted = None

    def _spoil(self, answer: bytes, fault: Fault) -> None:
        whole = {"Content-Length": str(len(answer))}
        match fault.spoil:
            case Spoil.DROPPED:
                self.close_connection = True
                self._send(200, answer[: len(answer) // 2], whole)
            case Spoil.SLOW:
                self.close_connection = True
                self._send(200, answer[:1], whole)
                with contextlib.suppress(ConnectionError):
                    for place in range(1, len(answer)):
                        time.sleep(fault.delay)
                        self.wfile.write(answer[place : place + 1])
            case Spoil.WEB_PAGE:
                self._send(200, WEB_PAGE, {"Content-Type": "text/html"})
            case _:
                self._send(200, spoiled(answer, fault.spoil))

    def _read(self, method: str) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        path, _, query = self.path.partition("?")
        if headers.get("x-http-method-override") == "GET":  # how the client sends an address that is too long
            method, query, body = "GET", body.decode(), b""
        fields = {name: values[0] for name, values in parse_qs(query).items()}
        is_json = headers.get("content-type", "").startswith("application/json")
        return Request(method, unquote(path), fields, headers, json.loads(body) if is_json and body else None)

    def _send(self, status: int, answer: Answer, headers: Mapping[str, str] | None = None) -> None:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        kind = "application/octet-stream" if isinstance(answer, bytes) else "application/json; charset=UTF-8"
        self._end()
        world = self.server.world
        quota = {"X-Earth-Engine-Quota-Status": "parallelism_restricted=true"} if world.restricted else {}
        with contextlib.suppress(ConnectionError):  # the client gave up waiting
            self.send_response(status)
            standard = {"Content-Type": kind, "Content-Length": str(len(body))}
            for name, value in {**standard, **quota, **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def _answer(self, request: Request) -> Answer:
        world = self.server.world
        if request.path == "/$discovery/rest":
            return discovery(self.server.url, request.query["version"])
        if request.path == "/token":
            return _renew(world)
        address = re.fullmatch(r"/v1/projects/(?P<project>[^/:]+)/(?P<rest>.*)", request.path)
        if address is None:
            raise EarthEngineError(f"stand-in: no such address {request.path}", 404)
        world.check_caller(request.headers, address["project"])
        if speaks_of_tasks(address["rest"]):
            return answer_task(self.server.tasks, address["rest"], request)
        return _answer_caller(world, address["rest"], request)


def _answer_caller(world: World, rest: str, request: Request) -> Answer:
    """The answer to a caller who may ask."""
    computations: Mapping[str, Callable[[World, Mapping[str, Any]], Answer]] = {
        "value:compute": _compute_value,
        "image:computePixels": _compute_pixels,
        "maps": _create_map,
    }
    if rest == "algorithms":
        return algorithms()
    if rest in computations:
        return computations[rest](world, request.body)
    asset = re.fullmatch(r"assets/(?P<id>[^:]+)(?P<verb>:listAssets|:getPixels)?", rest)
    if asset is None:
        raise EarthEngineError(f"stand-in: {request.method} {request.path} is not simulated", 404)
    match asset["verb"]:
        case ":listAssets":
            return _list_assets(world, asset["id"], request.query)
        case ":getPixels":
            return _get_pixels(world, asset["id"], request.body)
        case _:
            return record(world.image(asset["id"]))


def _renew(world: World) -> dict[str, Any]:
    """A new access token, as Google's token server gives it for a refresh token or a service account's signature."""
    if world.refuses_refresh:
        raise EarthEngineError("invalid_grant: Token has been expired or revoked.", 400)
    return {"access_token": world.token, "expires_in": 3599, "token_type": "Bearer"}


def _evaluate(world: World, body: Mapping[str, Any]) -> Value:
    return Evaluator(body["expression"], FUNCTIONS, world).result()


def _compute_value(world: World, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"result": to_json(_evaluate(world, body))}


def _compute_pixels(world: World, body: Mapping[str, Any]) -> bytes:
    if world.answers is None:
        return _pixels(world, body)
    asked = hashlib.blake2b(json.dumps(body, sort_keys=True).encode()).digest()
    if asked not in world.answers:
        world.answers[asked] = _pixels(world, body)
    return world.answers[asked]


def _pixels(world: World, body: Mapping[str, Any]) -> bytes:
    image = _evaluate(world, body)
    if not isinstance(image, Image):
        raise EarthEngineError(f"Expected type: Image. Actual type: {type(image).__name__}.")
    return _encode(image, body)


def _create_map(world: World, body: Mapping[str, Any]) -> dict[str, Any]:
    """A map's name; its tiles are not simulated, so nothing is computed."""
    del body
    return {"name": f"projects/{world.project}/maps/0"}


def _get_pixels(world: World, identifier: str, body: Mapping[str, Any]) -> bytes:
    image = world.image(identifier)
    bands = body.get("bandIds", list(image.bands))
    return _encode(replace(image, bands={name: image.bands[name] for name in bands}), body)


def _encode(image: Image, body: Mapping[str, Any]) -> bytes:
    if body["fileFormat"] != "NPY":
        raise EarthEngineError(f"stand-in: format {body['fileFormat']} is not simulated")
    return encode_npy(image, read_grid(body.get("grid", {})))


def _list_assets(world: World, identifier: str, query: Mapping[str, str]) -> dict[str, Any]:
    if not world.has_collection(identifier):
        raise EarthEngineError(f'Asset "{identifier}" not found.', 404)
    found = [image for image in world.collection(identifier).images if matches(image, query.get("filter", ""))]
    first = int(query.get("pageToken", 0))
    last = first + min(int(query.get("pageSize", world.page)), world.page)
    answer: dict[str, Any] = {"assets": [record(image) for image in found[first:last]]}
    if last < len(found):
        answer["nextPageToken"] = str(last)
    return answer


@contextlib.contextmanager
def serve(world: World) -> Iterator[Server]:
    """A server for the world, as long as the context lasts."""
    server = Server(world)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
