"""A real Chromium, driven over its debugging pipe: enough to open a page, click and look."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.servers.process import find_program

INSTALL = "apt-get install -y chromium"
LAUNCH = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""  # the browser reads commands from 3 and writes answers to 4


class Browser:
    """One headless browser with one page; a context manager."""

    def __init__(self) -> None:
        program = find_program("chromium", "chromium-browser", "google-chrome", install=INSTALL)
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        commands, self._write = _high(os.pipe())
        self._read, answers = _high(os.pipe())
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", LAUNCH, str(commands), str(answers), program),
                *("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"),
                *(f"--user-data-dir={self._profile.name}", "--window-size=1400,900"),
            ],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self.requests: list[str] = []  # every address the page asked for
        self.problems: list[str] = []  # what the console says
        target = self._call("Target.createTarget", {"url": "about:blank"}, "")["targetId"]
        attach = {"targetId": target, "flatten": True}
        self._session: str = self._call("Target.attachToTarget", attach, "")["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(self, path: Path) -> None:
        self._call("Page.navigate", {"url": path.as_uri()})
        while self.evaluate("document.readyState") != "complete":
            pass

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self._call("Runtime.evaluate", {"expression": script, "returnByValue": True})
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """Press and release the mouse in the middle of the first element that matches."""
        box = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView(); return e.getBoundingClientRect().toJSON(); })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
            press = {"type": kind, **at, "button": "left", "clickCount": 1}
            self._call("Input.dispatchMouseEvent", press)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))

    def _call(
        self, method: str, arguments: dict[str, Any] | None = None, session: str | None = None
    ) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": arguments or {}}
        if session is None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._read, 1 << 16)
            assert chunk, "the browser went away"
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])
        if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.problems.append(json.dumps(event["params"]))

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._write)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        self._profile.cleanup()


def _high(pipe: tuple[int, int]) -> tuple[int, int]:
    """The pipe under numbers that do not get in the way of 3 and 4."""
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in pipe]
    for end in pipe:
        os.close(end)
    return moved[0], moved[1]
