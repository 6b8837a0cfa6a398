"""The sandbox's own endpoints under ``/_sandbox/``: look at it, and stir it. No token is asked for."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mediapipe.sandbox.answers import reply
from mediapipe.sandbox.faults import FAULTS
from mediapipe.sandbox.records import iso
from mediapipe.sandbox.scenario import rules_of
from mediapipe.sandbox.state import SandboxState

_Endpoint = Callable[[Request], Awaitable[Response]]


def routes(state: SandboxState) -> list[BaseRoute]:
    """Return the routes over ``state``."""
    bench = _Bench(state)
    table: list[tuple[str, str, _Endpoint]] = [
        ("/stats", "GET", bench.stats),
        ("/faults", "GET", bench.faults),
        ("/faults", "POST", bench.set_faults),
        ("/calls", "POST", bench.insert_calls),
        ("/uploads", "GET", bench.uploads),
        ("/recordings/{call_id:int}", "POST", bench.reveal),
        ("/routes", "GET", bench.routes),
        ("/routes/{route_id:int}", "POST", bench.mention),
        ("/clock", "GET", bench.clock),
        ("/clock", "POST", bench.move_clock),
        ("/tokens", "DELETE", bench.kill_tokens),
    ]
    return [Route(f"/_sandbox{path}", endpoint, methods=[method]) for path, method, endpoint in table]


class _Bench:
    """The endpoints over one state. A wrong request is answered with 400 and what is wrong."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    async def stats(self, request: Request) -> Response:
        """Answer the counters, and what the sandbox holds."""
        state = self._state
        held = {"calls": len(state.calls), "uploads": len(state.uploads), "prompts": len(state.prompts)}
        hits = {rule["name"]: rule["hits"] for rule in state.faults.as_json()}
        return reply({**state.stats.as_json(), **held, "faults": hits})

    async def faults(self, request: Request) -> Response:
        """Answer the faults that are on, and the names there are."""
        return reply({"fault": self._state.faults.as_json(), "names": sorted(FAULTS)})

    async def set_faults(self, request: Request) -> Response:
        """Replace the faults: ``{"fault": [{"name": …, "rate": …}, …]}``, as in a scenario file."""
        try:
            self._state.faults.set(rules_of(await _object(request)))
        except ValueError as error:
            return reply({"message": str(error)}, 400)
        return reply({"fault": self._state.faults.as_json()})

    async def insert_calls(self, request: Request) -> Response:
        """Add calls: ``started`` (ISO; default now), ``count``, ``recorded``, ``available_in`` (seconds)."""
        state = self._state
        try:
            body = await _object(request)
            started = _ms(body["started"]) if "started" in body else state.now_ms
            late = body.get("available_in")
            available = None if late is None else state.now_ms + int(float(late) * 1000)
            recorded, number = bool(body.get("recorded", True)), int(body.get("count", 1))
        except (ValueError, TypeError) as error:
            return reply({"message": str(error)}, 400)
        calls = [
            state.insert_call(started + step, recorded=recorded, available_ms=available)
            for step in range(number)
        ]
        return reply({"call_ids": [call.call_id for call in calls]}, 201)

    async def uploads(self, request: Request) -> Response:
        """Answer the accepted call uploads in the order they came, repeats included."""
        return reply({"uploads": [asdict(upload) for upload in self._state.uploads]})

    async def reveal(self, request: Request) -> Response:
        """Make a call's recording appear now."""
        call = self._state.reveal_recording(int(request.path_params["call_id"]))
        if call is None or call.recording is None:
            return reply({"message": "no such call"}, 404)
        return reply({"call_id": call.call_id, "recording_id": call.recording.recording_id})

    async def routes(self, request: Request) -> Response:
        """Answer the provisioned routes with the audio that each names."""
        return reply({"routes": [asdict(route) for route in self._state.routes.routes]})

    async def mention(self, request: Request) -> Response:
        """Let a route name prompts: ``{"whisper_id": 4001}``, or any other field."""
        try:
            audio = await _object(request)
            route = self._state.routes.mention(int(request.path_params["route_id"]), **audio)
        except KeyError:
            return reply({"message": "no such route"}, 404)
        except ValueError as error:
            return reply({"message": str(error)}, 400)
        return reply(asdict(route))

    async def clock(self, request: Request) -> Response:
        """Answer the sandbox's time."""
        return reply({"now": iso(self._state.now_ms)})

    async def move_clock(self, request: Request) -> Response:
        """Move the sandbox's time: ``{"advance": seconds}``."""
        try:
            self._state.advance(float((await _object(request)).get("advance", 0)))
        except (ValueError, TypeError) as error:
            return reply({"message": str(error)}, 400)
        return await self.clock(request)

    async def kill_tokens(self, request: Request) -> Response:
        """Make every token worthless."""
        self._state.tokens.kill_all()
        return Response(status_code=204)


async def _object(request: Request) -> dict[str, Any]:
    text = await request.body()
    value = json.loads(text) if text else {}
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")
    return value


def _ms(text: str) -> int:
    instant = datetime.fromisoformat(text)
    return round((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1000)
