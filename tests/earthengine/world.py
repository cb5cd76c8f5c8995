"""What the stand-in holds: assets, who may use it, what is to go wrong, and what was asked of it."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.earthengine.errors import EarthEngineError
from tests.earthengine.faults import Chance, Fault
from tests.earthengine.images import Image, ImageCollection

S1 = "COPERNICUS/S1_GRD_FLOAT"

REFUSED_CALLER = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
REFUSED_PROJECT = (
    "Caller does not have required permission to use project {project}. Grant the caller the "
    "roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, "
    "by visiting https://console.developers.google.com/iam-admin/iam/project?project={project} and then retry. "
    "Propagation of the new permission may take a few minutes."
)


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


class World:
    """Everything behind the server; safe to use from several threads.

    Attributes
    ----------
    token, project
        The one access token and the one Google Cloud project that are accepted.
    page
        Most assets in a page of a listing, whatever a request asks for.
    refuses_refresh
        Whether ``/token`` refuses to renew access tokens.
    restricted
        Whether every answer says that the project has used up its quota.
    chance
        What goes wrong with a share of the requests.
    most_under_way
        Most requests for pixels that were being answered at once so far.
    refusals
        How often a request was itself at fault, by what it was told.
    latency
        Seconds that every request for pixels takes at least.
    answers
        Answers to requests for pixels by what was asked, where they are to be kept and given again.
    """

    def __init__(self, token: str = "right-token", project: str = "right-project") -> None:  # noqa: S107 - opens nothing
        self.token = token
        self.project = project
        self.page = 1000
        self.refuses_refresh = False
        self.restricted = False
        self.chance: Chance | None = None
        self.most_under_way = 0
        self.latency = 0.0
        self.answers: dict[bytes, bytes] | None = None
        self._under_way: list[Request] = []
        self.refusals: Counter[str] = Counter()
        self._images: dict[str, Image] = {}
        self._collections: dict[str, list[str]] = {S1: []}
        self._faults: list[Fault] = []
        self._log: list[Request] = []
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget images, faults and requests."""
        with self._lock:
            self.page, self.refuses_refresh, self.restricted = 1000, False, False
            self.chance, self.most_under_way, self.latency = None, 0, 0.0
            self.refusals.clear()
            self._images, self._collections, self._faults, self._log = {}, {S1: []}, [], []

    def add(self, images: Iterable[Image]) -> None:
        """Keep images as assets, each in the collection that its id begins with; one of a known id takes its place."""
        with self._lock:
            for image in images:
                members = self._collections.setdefault(image.id.rpartition("/")[0], [])
                if image.id not in self._images:
                    members.append(image.id)
                self._images[image.id] = image

    def vanish(self, identifier: str) -> None:
        """Remove an image asset."""
        with self._lock:
            del self._images[identifier]
            self._collections[identifier.rpartition("/")[0]].remove(identifier)

    def expire(self, token: str) -> None:
        """From now on only this access token is accepted, as after an hour; ``/token`` gives it."""
        with self._lock:
            self.token = token

    def image(self, identifier: str) -> Image:
        """The image asset of that id."""
        try:
            return self._images[identifier]
        except KeyError:
            raise EarthEngineError(
                f"Image.load: Image asset '{identifier}' not found (does not exist or caller does not have access)."
            ) from None

    def collection(self, identifier: str) -> ImageCollection:
        """The collection of that id, its images in order of time."""
        try:
            members = [self._images[name] for name in self._collections[identifier]]
        except KeyError:
            raise EarthEngineError(
                f"ImageCollection.load: ImageCollection asset '{identifier}' not found (does not exist or caller does "
                "not have access)."
            ) from None
        return ImageCollection(
            tuple(sorted(members, key=lambda image: (image.property("system:time_start"), image.id)))
        )

    def has_collection(self, identifier: str) -> bool:
        """Whether there is a collection of that id."""
        return identifier in self._collections

    def fail(self, fault: Fault) -> None:
        """Let the next requests to a path go wrong."""
        with self._lock:
            self._faults.append(fault)

    def record(self, request: Request) -> Fault | None:
        """Enter a request in the log, and say what is to go wrong with it."""
        with self._lock:
            self._log.append(request)
            for fault in self._faults:
                if fault.times > 0 and re.search(fault.path, request.path):
                    fault.times -= 1
                    return fault
            return self.chance.draw(request.path, request.body) if self.chance else None

    def begin(self, request: Request) -> None:
        """A request for pixels is under way, and takes its time."""
        with self._lock:
            self._under_way.append(request)
            self.most_under_way = max(self.most_under_way, len(self._under_way))
        time.sleep(self.latency)

    def end(self, request: Request) -> None:
        """One is not any more."""
        with self._lock:
            self._under_way = [other for other in self._under_way if other is not request]

    def under_way(self) -> list[Request]:
        """Requests for pixels that have no answer yet."""
        with self._lock:
            return list(self._under_way)

    def requests(self, path: str) -> list[Request]:
        """Requests so far whose path holds a regular expression."""
        with self._lock:
            return [request for request in self._log if re.search(path, request.path)]

    def check_caller(self, headers: Mapping[str, str], project: str | None) -> None:
        """Refuse a wrong token, and a wrong project in the header or the address."""
        if headers.get("authorization") != f"Bearer {self.token}":
            raise EarthEngineError(REFUSED_CALLER, 401)
        for named in (headers.get("x-goog-user-project"), project):
            if named not in {None, self.project, "earthengine-public"}:
                raise EarthEngineError(REFUSED_PROJECT.format(project=named), 403)
