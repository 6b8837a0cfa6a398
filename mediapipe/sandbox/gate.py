"""The way into every endpoint: counted, its token checked, the faults given their chance, then answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mediapipe.sandbox.answers import Refusal, v2_error, v3_error
from mediapipe.sandbox.state import SandboxState
from mediapipe.sandbox.stats import Endpoint

Handler = Callable[[SandboxState, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Gate:
    """One endpoint. ``generation`` names whose bearer token opens it; empty: no token is asked for."""

    state: SandboxState
    endpoint: Endpoint
    handler: Handler
    generation: str = ""

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        stats, status = self.state.stats, 0
        stats.enter()
        try:
            response = await self._admitted(request)
            status = response.status_code
        except Refusal as refusal:
            response, status = refusal.response, refusal.response.status_code
        except ClientDisconnect:
            response = Response(status_code=499)  # nobody is there to read it
        finally:
            stats.leave(self.endpoint, status)
        return response

    async def _admitted(self, request: Request) -> Response:
        if self.generation:
            self._check_token(request)

        async def proceed() -> Response:
            try:
                return await self.handler(self.state, request)
            except Refusal as refusal:
                return refusal.response

        call_id = request.path_params.get("call_id")
        return await self.state.faults.around(self.state, self.endpoint, request, call_id, proceed)

    def _check_token(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self.state.tokens.opens(self.generation, token.strip()):
            error = v2_error if self.endpoint.is_v2 else v3_error
            raise Refusal(error(401, "Unauthorized"))
        request.state.token = token.strip()
