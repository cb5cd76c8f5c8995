"""Serving the page to this machine alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import webbrowser
from collections.abc import Callable, Iterator
from typing import Any

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop

from pipeline.errors import CohmapError
from pipeline.interrupts import sigterm_is_ctrl_c
from pipeline.view.page import Output, Page

HOST = "127.0.0.1"


@contextlib.contextmanager
def serving(output: Output, port: int = 0) -> Iterator[str]:
    """Serve the page on the thread's event loop while that runs; gives the address.

    Only pages that this server sent may talk to it: a request from elsewhere in the browser is refused by its origin.

    Parameters
    ----------
    port
        0 = any that is free.

    Raises
    ------
    CohmapError
        The port is not to be had.
    """
    try:
        listening = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise CohmapError(f"port {port} can't be had ({error}); choose another with --port, or leave it out") from None

    listening.setblocking(False)
    bound = int(listening.getsockname()[1])
    pages: set[Page] = set()

    def build(document: Any) -> None:
        page = Page(document, output)
        pages.add(page)

        def end(_context: Any) -> None:
            pages.discard(page)
            page.close()

        document.on_session_destroyed(end)

    app = BokehTornado(
        Application(FunctionHandler(build)),
        extra_websocket_origins=[f"{HOST}:{bound}", f"localhost:{bound}"],
    )
    http = HTTPServer(app)
    http.add_sockets([listening])
    server = BaseServer(IOLoop.current(), app, http)
    server.start()
    try:
        yield f"http://{HOST}:{bound}/"
    finally:
        server.stop()
        for page in pages:
            page.close()


def serve(output: Output, port: int, announce: Callable[[str], None], *, browser: bool) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Parameters
    ----------
    announce
        Is told the address.
    browser
        Whether to open it in the user's browser.
    """

    async def forever() -> None:
        with serving(output, port) as address:
            announce(address)
            if browser:
                webbrowser.open(address)
            await asyncio.Event().wait()

    # a closed window and a mistyped address are no news
    for name in ("bokeh.server", "tornado.access"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with sigterm_is_ctrl_c(), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(forever())
