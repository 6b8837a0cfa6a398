"""The recordings host: signed URLs to a call's bytes, with ranges, entity tags and an end of life.

On the platform it is a host of its own that is given no bearer token; the sandbox counts the requests that
bring one all the same.
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from mediapipe.sandbox.answers import Refusal, Served, v3_error
from mediapipe.sandbox.calls import Call, Recording
from mediapipe.sandbox.records import SignUrl, file_stem
from mediapipe.sandbox.signed import UrlState
from mediapipe.sandbox.state import SandboxState

HOST_PATH = "/recordings-host/v3"
EXPIRED = "Recording URL has expired. Please re-fetch the call to get a fresh link."
CONTENT_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}


def url_signer(state: SandboxState, request: Request) -> SignUrl:
    """Return what signs recording URLs for the client that sent ``request``."""
    base = state.config.public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"
    expires = int(state.now() + state.config.url_seconds)

    def sign(call: Call, recording: Recording) -> tuple[str, int]:
        part = state.signer.sign(f"call:{call.call_id}", f"{file_stem(call)}.{recording.container}", expires)
        return f"{base}{HOST_PATH}/recordings/{call.call_id}?{part.query}", part.expires

    return sign


async def get_recording(state: SandboxState, request: Request) -> Response:
    """Serve a call's recording to whoever holds a good URL."""
    call_id = int(request.path_params["call_id"])
    state.stats.recording_fetches[call_id] += 1
    _opened(state, request, f"call:{call_id}")
    call = state.book.get(call_id)
    recording = None if call is None else call.available(state.now_ms)
    if recording is None:
        return v3_error(404, "Recording not found")
    body = state.recording_bytes(call_id)
    tag = f'"{call_id:x}-{recording.recording_id:x}-{len(body):x}"'
    response = serve(state, request, body, CONTENT_TYPES[recording.container], tag)
    if isinstance(response, Served):
        state.stats.recording_bytes += response.sent
    return response


async def get_prompt_audio(state: SandboxState, request: Request) -> Response:
    """Serve a library entry's audio to whoever holds a good URL."""
    prompt_id = int(request.path_params["prompt_id"])
    _opened(state, request, f"prompt:{prompt_id}")
    prompt = state.library.get(prompt_id)
    if prompt is None:
        return v3_error(404, "Audio not found")
    return Served(state.library.audio(prompt), declared=prompt.size)


def _opened(state: SandboxState, request: Request, what: str) -> None:
    if "authorization" in request.headers:
        state.stats.recordings_host_authorization += 1
    match state.signer.check(what, request.query_params, state.now()):
        case UrlState.FORGED:
            raise Refusal(v3_error(403, "Invalid signature"))
        case UrlState.EXPIRED:
            raise Refusal(v3_error(410, EXPIRED))
        case UrlState.GOOD:
            return


def serve(state: SandboxState, request: Request, body: bytes, content_type: str, tag: str) -> Response:
    """Return the body or the range of it that was asked for."""
    config = state.config
    headers = {"content-type": content_type}
    if config.etags:
        headers["etag"] = tag
    ranges = config.ranges and not getattr(request.state, "no_range", False)
    if ranges:
        headers["accept-ranges"] = "bytes"
    span = _range(request, tag, len(body)) if ranges else None
    if span is None:
        return Served(body, 200, headers, declared=len(body) if config.lengths else None)
    start, end = span
    if start >= len(body) or start >= end:
        return Response(status_code=416, headers={"content-range": f"bytes */{len(body)}"})
    headers["content-range"] = f"bytes {start}-{end - 1}/{len(body)}"
    part = body[start:end]
    return Served(part, 206, headers, declared=len(part) if config.lengths else None)


def _range(request: Request, tag: str, size: int) -> tuple[int, int] | None:
    """Return the asked range as (start, end), end exclusive; None when the whole is to be sent."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", "").strip())
    if found is None or not (found[1] or found[2]):
        return None
    if request.headers.get("if-range", tag) != tag:
        return None
    if not found[1]:
        return max(size - int(found[2]), 0), size
    return int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
