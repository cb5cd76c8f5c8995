"""Reading beside the page: each kind of reading has a thread of its own, and only the newest wish counts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from rasterio.errors import RasterioError

from pipeline.errors import CohmapError
from pipeline.storage import Folder
from pipeline.view.layers import Layer
from pipeline.view.windows import Frame, Picture, open_layer, read_frame

T = TypeVar("T")
Tell = Callable[[str], None]


class Reader:
    """Does one thing at a time in a thread; what is not begun when something newer comes, is never done.

    Parameters
    ----------
    document
        The page's document, which takes results when it has time.
    tell
        Where sentences of errors go.
    """

    def __init__(self, document: Any, tell: Tell) -> None:
        self._document, self._tell = document, tell
        self._thread = ThreadPoolExecutor(1)
        self._waiting: Future[Any] | None = None
        self._wish = 0

    def read(self, work: Callable[[], T], show: Callable[[T], None]) -> None:
        """Do the work in the thread, then show its result in the page, unless there is a newer wish by then."""
        if self._waiting is not None:
            self._waiting.cancel()
        self._wish += 1
        self._waiting = self._thread.submit(work)
        self._waiting.add_done_callback(partial(self._pass_on, show, self._wish))

    def _pass_on(self, show: Callable[[T], None], wish: int, done: Future[T]) -> None:
        if not done.cancelled():
            with contextlib.suppress(RuntimeError):  # the page was closed meanwhile
                self._document.add_next_tick_callback(partial(self._deliver, show, wish, done))

    def _deliver(self, show: Callable[[T], None], wish: int, done: Future[T]) -> None:
        if wish != self._wish:
            return
        try:
            result = done.result()
        except CohmapError as error:
            self._tell(str(error))
        else:
            show(result)

    def close(self, last: Callable[[], None] = lambda: None) -> None:
        """Do nothing more, but `last` in the thread; returns when that is done."""
        self._wish += 1
        if self._waiting is not None:
            self._waiting.cancel()
        self._thread.submit(last)
        self._thread.shutdown()


class OpenLayer:
    """The layer on show, kept open from view to view, for one thread: its header and blocks are read once."""

    def __init__(self, folder: Folder, crs: str) -> None:
        self._folder, self._crs = folder, crs
        self._layer: Layer | None = None
        self._dataset: Any = None
        self._open = contextlib.ExitStack()

    def read(self, layer: Layer, frame: Frame, pixels: tuple[int, int]) -> Picture:
        """What the frame shows of a layer.

        Raises
        ------
        CohmapError
            The layer's file is gone or damaged.
        """
        if self._layer is None or layer.product.path != self._layer.product.path:
            self.close()
            self._dataset = self._open.enter_context(open_layer(self._folder, layer, self._crs))
        self._layer = layer
        try:
            return read_frame(self._dataset, layer.band, frame, pixels)
        except (RasterioError, OSError) as error:
            where = self._folder.address(layer.product.path)
            raise CohmapError(f"{where} can't be read ({error}); delete it and give `cohmap run` again") from None

    def close(self) -> None:
        """Close the file, if one is open."""
        self._layer = None
        self._open.close()
