"""``POST /v2/call/upload``: a historical recording becomes a call.

A repeat is accepted like the first: every accepted request makes one more call, whatever its external id.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import urllib.error
import urllib.request
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response

from mediapipe.sandbox.answers import Refusal, reply, rule_error, schema_error, v2_error
from mediapipe.sandbox.calls import Call, Recording
from mediapipe.sandbox.sniff import Sound, sniff
from mediapipe.sandbox.state import SandboxState
from mediapipe.sandbox.uploadform import FIELDS, call_date_ms, rule_problem, schema_problems, unit_of

DEFAULT_TAG = "API Calls"
_FETCH_TIMEOUT_S = 10.0
_READ_ONLY = 3
_PENDING: set[asyncio.Task[None]] = set()


async def upload_call(state: SandboxState, request: Request) -> Response:
    """Check the form, keep the audio, and add the call."""
    if state.config.role_id == _READ_ONLY:
        return v2_error(403, "Forbidden")
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return v2_error(400, "multipart/form-data is required")
    async with request.form(max_files=20, max_fields=100) as form:
        texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        fields = {name: value for name, value in texts.items() if name in FIELDS}
        audio = await _audio(state, form)
    if problems := schema_problems(fields):
        return schema_error(problems)
    if problem := rule_problem(fields):
        return rule_error(problem)
    late: float | None = getattr(request.state, "fetch_delay", None)
    if audio is None and "recording_url" not in fields:
        return rule_error("Failed to upload File . Please enter call recording file.")
    if audio is None and late is None:
        audio = await _fetched(fields["recording_url"], state.config.upload_limit_bytes)
    sound = sniff(audio) if audio else None
    if audio and sound is None:
        return rule_error("Invalid audio format.")
    if getattr(request.state, "refuse_duplicate", False) and _known(state, fields):
        return rule_error("Duplicate external ID.")
    call = _call(state, fields, sound)
    state.keep_upload(call, fields, audio or b"")
    delay = getattr(request.state, "index_delay", 0.0)
    _list_it(state, call, delay)
    if audio is None and late is not None:
        _soon(_fetch_later(state, call.call_id, fields["recording_url"], delay + late))
    answer = getattr(request.state, "upload_answer", state.config.upload_answer)
    return reply({"result": "success", "err": None}) if answer == "json" else Response()


def _known(state: SandboxState, fields: dict[str, str]) -> bool:
    external_id = fields.get("external_id")
    return any(external_id == upload.external_id for upload in state.uploads if upload.external_id)


async def _audio(state: SandboxState, form: FormData) -> bytes | None:
    """Return the uploaded file's bytes; None when no file came under the expected name."""
    part = form.get(state.config.upload_file_field)
    if not isinstance(part, UploadFile):
        return None
    if part.size is not None and part.size > state.config.upload_limit_bytes:
        raise Refusal(v2_error(413, "The file is larger than 50 MB"))
    return await part.read()


def _call(state: SandboxState, fields: dict[str, str], sound: Sound | None) -> Call:
    call_id = state.book.new_id()
    recording = None if sound is None else _recording(call_id, sound)
    sources = ((slot, fields.get(f"custom_source_type_{slot}", "")) for slot in range(1, 6))
    tags = (DEFAULT_TAG, fields["tag_name"]) if "tag_name" in fields else (DEFAULT_TAG,)
    tracking = fields.get("tracking_number", "18015560000")
    return Call(
        call_id=call_id,
        started_ms=call_date_ms(fields["call_date"]) or 0,
        duration=math.ceil(sound.seconds) if sound else 0,
        disposition=fields.get("disposition", "ANSWERED"),
        caller_id=fields["caller_id"],
        phone_number=tracking,
        ring_to=fields.get("ring_to", tracking),
        org_unit_id=unit_of(fields),
        campaign_id=int(fields.get("campaign_id", 311)),
        route_id=1022,
        is_outbound=fields.get("is_outbound") == "true",
        recording=recording,
        origin="upload",
        tags=tags,
        custom_sources=tuple((slot, name) for slot, name in sources if name),
        created_ms=state.now_ms,
    )


def _recording(call_id: int, sound: Sound) -> Recording:
    return Recording(
        recording_id=call_id + 12_000_000,
        seconds=sound.seconds,
        channels=sound.channels,
        container=sound.container,
        available_ms=0,
        stored=f"call-{call_id}.{sound.container}",
    )


def _list_it(state: SandboxState, call: Call, delay_s: float) -> None:
    """Let the list show the call, at once or after the delay a fault asks for."""
    if delay_s > 0:
        asyncio.get_running_loop().call_later(delay_s, state.keep_call, call)
    else:
        state.keep_call(call)


async def _fetch_later(state: SandboxState, call_id: int, url: str, delay_s: float) -> None:
    """Fetch the audio when nobody waits for it any more; what cannot be had never becomes a recording."""
    await asyncio.sleep(delay_s)
    try:
        audio = await _fetched(url, state.config.upload_limit_bytes)
    except Refusal:
        return
    sound = sniff(audio) if audio else None
    if sound is not None:
        state.attach_recording(call_id, _recording(call_id, sound), audio)


def _soon(work: Coroutine[Any, Any, None]) -> None:
    """Let it run beside the requests. The set holds it: the event loop itself would let it be collected."""
    task = asyncio.get_running_loop().create_task(work)
    _PENDING.add(task)
    task.add_done_callback(_PENDING.discard)


async def _fetched(url: str, limit: int) -> bytes:
    """Return what the URL holds when it is on this machine; the sandbox reaches out to no other."""
    return await asyncio.to_thread(_fetch, url, limit) if _on_loopback(url) else b""


def _fetch(url: str, limit: int) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_FETCH_TIMEOUT_S) as answer:  # noqa: S310 - http(s), loopback
            data: bytes = answer.read(limit + 1)
    except (OSError, urllib.error.HTTPError, ValueError):
        raise Refusal(rule_error("Failed to upload File . Please enter valid recording url.")) from None
    if len(data) > limit:
        raise Refusal(v2_error(413, "The file is larger than 50 MB"))
    return data


def _on_loopback(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https"):
        raise Refusal(rule_error("Failed to upload File . Please enter valid recording url."))
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
