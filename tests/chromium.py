"""A headless Chromium that is driven as a hand would, over its own debugging protocol; needs no package but tornado."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

VARIABLE = "COHMAP_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
KEYS = {"ArrowDown": 40, "ArrowUp": 38}


def find_chromium() -> str:
    """The browser's path; skips the test, saying so, where there is none."""
    found = os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip(f"no Chromium on the PATH ({', '.join(NAMES)}), and {VARIABLE} names none")
    return found


class Tab:
    """The browser's one page.

    Attributes
    ----------
    requested
        Addresses of all that the page asked for.
    complaints
        What the page's scripts threw or wrote as errors.
    """

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self._socket, self._numbers = socket, itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listening = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        while (text := await self._socket.read_message()) is not None:
            message = json.loads(text)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            elif message["method"] == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])
            elif message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]["exceptionDetails"]))
            elif message["method"] == "Runtime.consoleAPICalled" and message["params"]["type"] == "error":
                self.complaints.append(str(message["params"]["args"]))

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol."""
        number = next(self._numbers)
        coming = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.write_message(json.dumps({"id": number, "method": method, "params": parameters}))
        answer = await asyncio.wait_for(coming, 30)
        assert "error" not in answer, answer
        return dict(answer["result"])

    async def close(self) -> None:
        """Stop listening."""
        self._socket.close()
        await self._listening

    async def open(self, address: str) -> None:
        """Go to an address."""
        await self.call("Page.navigate", url=address)

    async def run(self, script: str) -> Any:
        """Value of a JavaScript expression."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, script: str, seconds: float = 30) -> Any:
        """Wait until a JavaScript expression holds; its value."""
        for _ in range(round(seconds / 0.05)):
            if value := await self.run(f"(() => {{ try {{ return {script} }} catch {{ return null }} }})()"):
                return value
            await asyncio.sleep(0.05)
        raise AssertionError(f"never came true: {script}")

    async def move(self, x: float, y: float, *, held: bool = False) -> None:
        """Move the mouse."""
        await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left" if held else "none")

    async def press(self, x: float, y: float) -> None:
        """Press the left button."""
        await self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)

    async def release(self, x: float, y: float) -> None:
        """Let the left button go."""
        await self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)

    async def click(self, x: float, y: float) -> None:
        """Click."""
        await self.move(x, y)
        await self.press(x, y)
        await self.release(x, y)

    async def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one place to another in a few steps."""
        await self.move(*start)
        await self.press(*start)
        for share in (0.25, 0.5, 0.75, 1.0):
            await self.move(*(a + (b - a) * share for a, b in zip(start, end, strict=True)), held=True)
        await self.release(*end)

    async def wheel(self, x: float, y: float, turn: float) -> None:
        """Turn the wheel; negative is away from the hand."""
        await self.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=turn)

    async def key(self, name: str) -> None:
        """Press and let go a key."""
        code = {"key": name, "code": name, "windowsVirtualKeyCode": KEYS[name]}
        for kind in ("rawKeyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, **code)

    async def picture(self) -> bytes:
        """What is to be seen, as PNG."""
        answer = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])


@contextlib.asynccontextmanager
async def browse(width: int = 1280, height: int = 860) -> AsyncIterator[Tab]:
    """A browser with one empty page; it ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        process = await asyncio.create_subprocess_exec(
            find_chromium(),
            "--headless=new",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--no-proxy-server",
            *sandbox,
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            port = await _port(Path(profile) / "DevToolsActivePort")
            listing = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json/list")
            page = next(entry for entry in json.loads(listing.body) if entry["type"] == "page")
            socket = await websocket_connect(page["webSocketDebuggerUrl"], max_message_size=1 << 28)
            tab = Tab(socket)
            for domain in ("Page", "Runtime", "Network"):
                await tab.call(f"{domain}.enable")
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            await tab.call("Emulation.setDeviceMetricsOverride", **size)
            try:
                yield tab
            finally:
                await tab.close()
        finally:
            process.terminate()
            await process.wait()


async def _port(file: Path) -> int:
    """The port that the browser has chosen."""
    for _ in range(600):
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(file.read_text().splitlines()[0])
        await asyncio.sleep(0.05)
    raise AssertionError("the browser did not start")
