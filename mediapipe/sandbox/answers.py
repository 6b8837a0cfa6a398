"""The shapes of answers: success envelopes, the error bodies of both generations, and bodies sent wrong.

Error shapes are numbered: E1 ``{statusCode, message, error, requestId}``, E2 ``{message, errors: […]}``,
E3 ``{result: "error", err}`` and E4 ``{result: "error", data: "text"}`` are the older generation's,
E5 ``{code, message, request_id}`` the newer one's, E6 what a proxy in between says.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mediapipe.sandbox.records import iso

_PHRASES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 410: "Gone"}
_PHRASES |= {413: "Payload Too Large", 429: "Too Many Requests", 500: "Internal Server Error"}
_CHUNK = 256 * 1024


class Refusal(Exception):
    """The request is answered with this response and goes no further."""

    def __init__(self, response: Response) -> None:
        self.response = response
        super().__init__(f"refused with {response.status_code}")


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return plain JSON."""
    text = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    return Response(text, status, headers, media_type="application/json")


def envelope(data: Any, *, now_ms: int, message: str = "Success", status: int = 200) -> Response:
    """Return the newer generation's success envelope; ``data`` may be JSON text already."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return reply(
        f'{{"code":{status},"message":"{message}","data":{text},'
        f'"request_id":"{uuid.uuid4()}","timestamp":"{iso(now_ms)}"}}',
        status,
    )


def v3_error(status: int, message: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Return error shape E5."""
    body = {
        "code": status,
        "message": message or _PHRASES.get(status, "Error"),
        "request_id": str(uuid.uuid4()),
        "timestamp": iso(int(time.time() * 1000)),
    }
    return reply(body, status, headers)


def v2_error(status: int, message: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Return error shape E1."""
    phrase = _PHRASES.get(status, "Error")
    body = {"statusCode": status, "message": message or phrase, "error": phrase}
    return reply({**body, "requestId": str(uuid.uuid4())}, status, headers)


def schema_error(problems: Sequence[tuple[str, str]]) -> Response:
    """Return error shape E2 for (field, problem) pairs."""
    errors = [
        {
            "code": "INVALID_REQUEST_PARAMETER",
            "in": "formData",
            "name": name,
            "message": f"Invalid parameter ({name}): {problem}",
            "path": [name],
            "errors": [{"code": "INVALID_TYPE", "message": problem, "path": [name]}],
        }
        for name, problem in problems
    ]
    return reply({"message": "Validation errors", "errors": errors}, 400)


def rule_error(text: str) -> Response:
    """Return error shape E3: a broken business rule, with status 200."""
    return reply({"result": "error", "err": text})


def data_error(text: str) -> Response:
    """Return error shape E4: the text in ``data``, with status 200."""
    return reply({"result": "error", "err": None, "data": text})


def proxy_page(status: int) -> Response:
    """Return error shape E6: a proxy's HTML."""
    return Response(
        f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>",
        status,
        media_type="text/html",
    )


class Ending(Enum):
    """How a response ends."""

    WHOLE = auto()
    CLOSE = auto()
    """The connection is closed before the declared end."""
    RESET = auto()
    """The connection is reset."""


class Served(Response):
    """A body under full control: what length is declared, how much is sent, and how it ends.

    ``declared`` None sends no Content-Length (the body is chunked); ``sent`` None sends the whole body.
    """

    def __init__(
        self,
        body: bytes,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        declared: int | None = None,
        sent: int | None = None,
        ending: Ending = Ending.WHOLE,
    ) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.declared = declared
        self.sent = len(body) if sent is None else sent
        self.ending = ending
        self.plain_headers = dict(headers or {})
        self.init_headers(self.plain_headers)

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Build the raw header list; unlike the base class, add no length of its own accord."""
        lines = {name.lower(): value for name, value in (headers or {}).items()}
        if self.declared is not None:
            lines["content-length"] = str(self.declared)
        self.raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in lines.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        part = memoryview(self.body)[: 0 if scope["method"] == "HEAD" else self.sent]
        for at in range(0, len(part), _CHUNK):
            await send(
                {"type": "http.response.body", "body": bytes(part[at : at + _CHUNK]), "more_body": True}
            )
        if self.ending is Ending.WHOLE:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await drop(scope, reset=self.ending is Ending.RESET)


class Dropped(Response):
    """No answer at all: the connection goes away."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.status_code = 0
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Drop the connection."""
        await drop(scope, reset=self._reset)


async def drop(scope: Scope, *, reset: bool) -> None:
    """Close or reset the connection the request came on; the server puts the means into the scope."""
    await asyncio.sleep(0.02 if reset else 0)  # lets what was sent reach the client before a reset
    scope["state"]["drop"](reset)
    await asyncio.sleep(0.005)  # lets the server notice, so that it does not answer in our stead
