"""A real Chromium without a window, spoken to over its own pipe: no package and no port is needed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.lacking import lacking

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)
SECONDS = 60.0


def chromium() -> str:
    """Return the browser's path; without one the test is skipped, but never in CI."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        lacking("chromium is not installed")
    return found


@dataclass
class Page:
    """One tab. ``complaints`` is all that the console, the content policy and the network had to say."""

    send: IO[bytes]
    receive: IO[bytes]
    session: str = ""
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    _number: int = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call the browser and wait for its answer."""
        self._number += 1
        request = {"id": self._number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        self.send.write(json.dumps(request).encode() + b"\0")
        self.send.flush()
        while (message := self._next()).get("id") != self._number:
            self._note(message)
        assert "error" not in message, message
        return dict(message["result"])

    def _next(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self.receive.read(1)) != b"\0":
            assert byte, "the browser has gone"
            text += byte
        return dict(json.loads(text))

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Log.entryAdded":
                self.complaints.append(params["entry"]["text"])
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.complaints.append(json.dumps(params["args"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(params["exceptionDetails"]))
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])

    def open(self, path: Path) -> None:
        """Open a file and wait until it is there with all that it asked for."""
        self.call("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + SECONDS
        while (
            self.run(f"document.readyState + location.href.startsWith({path.as_uri()!r})") != "completetrue"
        ):
            assert time.monotonic() < deadline, "the page does not get ready"
            time.sleep(0.02)

    def run(self, script: str) -> Any:
        """Return what a piece of script evaluates to."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")


# The browser reads requests from descriptor 3 and answers on 4.
START = (
    "import os, sys; [os.dup2(int(sys.argv[n]), n + 2) for n in (1, 2)]; os.execv(sys.argv[3], sys.argv[3:])"
)


def pipe() -> tuple[int, int]:
    """Return a pipe whose ends are in nobody's way."""
    ends = os.pipe()
    high = fcntl.fcntl(ends[0], fcntl.F_DUPFD_CLOEXEC, 10), fcntl.fcntl(ends[1], fcntl.F_DUPFD_CLOEXEC, 10)
    for end in ends:
        os.close(end)
    return high


@contextmanager
def browsing() -> Iterator[Page]:
    """Start a browser with one empty tab; it and its profile are gone afterwards."""
    program = chromium()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        (theirs, to_them), (from_them, answers) = pipe(), pipe()
        more = (*FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank")
        process = subprocess.Popen(
            [sys.executable, "-c", START, str(theirs), str(answers), program, *more],
            pass_fds=(theirs, answers),
            env={**os.environ, "TMPDIR": profile},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(answers)
        with process, open(to_them, "wb") as send, open(from_them, "rb") as receive:
            try:
                page = Page(send, receive)
                target = page.call("Target.createTarget", url="about:blank")["targetId"]
                attached = page.call("Target.attachToTarget", targetId=target, flatten=True)
                page.session = attached["sessionId"]
                for domain in ("Page", "Runtime", "Log", "Network"):
                    page.call(f"{domain}.enable")
                yield page
            finally:
                process.kill()
