"""The prompt endpoints: v3 ``/media-prompts``, v2 ``/misc/upload/…`` and ``/misc/getaudiolist``."""

from __future__ import annotations

from datetime import date
from pathlib import PurePosixPath
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from mediapipe.sandbox.answers import Refusal, data_error, envelope, reply, rule_error, v2_error, v3_error
from mediapipe.sandbox.config import UPLOAD_LIMIT_BYTES
from mediapipe.sandbox.library import PROMPT_FORMATS, PROMPT_TYPES, Prompt
from mediapipe.sandbox.recordings import HOST_PATH
from mediapipe.sandbox.records import ROOT_UNIT, iso
from mediapipe.sandbox.sniff import sniff
from mediapipe.sandbox.state import SandboxState

_READ_ONLY = 3
_V2_FILES = 15
_V2_FORMATS = ("wav", "mp3")
_V2_WRONG_FORMAT = "Incorrect File Format. It Should Be mp3/wav"
_V2_FILTERS = ("uploaded_on", "file_name", "org_unit_id", "type")


async def upload_prompt(state: SandboxState, request: Request) -> Response:
    """``POST /v3/media-prompts``: one audio file with its type and name."""
    if state.config.role_id == _READ_ONLY:
        return v3_error(403)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return v3_error(400, "multipart/form-data is required")
    async with request.form(max_files=2, max_fields=20) as form:
        file, kind, name = form.get("file"), form.get("type"), form.get("name")
        if not isinstance(file, UploadFile):
            return v3_error(400, "file is required")
        if kind not in PROMPT_TYPES:
            return v3_error(400, f"type must be one of {', '.join(PROMPT_TYPES)}")
        if (file.size or 0) > UPLOAD_LIMIT_BYTES:
            return v3_error(413, "The file is larger than 50 MB")
        file_name = file.filename or ""
        if _extension(file_name) not in PROMPT_FORMATS or not file.size:
            return v3_error(400, f"The file must be one of {', '.join(PROMPT_FORMATS)}")
        shown = name if isinstance(name, str) and name else PurePosixPath(file_name).stem
        prompt = _add(state, request, str(kind), shown, file_name, await file.read())
    record = prompt.as_v3(state.config.prompt_id_key, with_size=state.config.prompt_shows_size)
    return envelope(record, now_ms=state.now_ms, status=201, message="Created")


async def list_prompts(state: SandboxState, request: Request) -> Response:
    """``GET /v3/media-prompts``: the library, by type and name; in pages where the sandbox is told to."""
    kind, name = request.query_params.get("type"), request.query_params.get("name", "")
    if kind and kind not in PROMPT_TYPES:
        return v3_error(400, f"type must be one of {', '.join(PROMPT_TYPES)}")
    config = state.config
    partial = config.prompt_name_partial
    found = [
        prompt.as_v3(config.prompt_id_key, with_size=config.prompt_shows_size)
        for prompt in _listed(state, request)
        if (not kind or prompt.type == kind)
        and (name.lower() in prompt.name.lower() if partial else name in ("", prompt.name))
    ]
    page = found
    if config.prompt_page_size:
        limit, offset = _number(request, "limit"), _number(request, "offset") or 0
        size = min(config.prompt_page_size, limit or config.prompt_page_size)
        page = found[offset : offset + size]
    data = {"items": page, "total": len(found)} if config.prompt_list_wrapped else page
    return envelope(data, now_ms=state.now_ms)


async def delete_prompt(state: SandboxState, request: Request) -> Response:
    """``DELETE /v3/media-prompts/{id}``: delete softly."""
    if state.config.role_id == _READ_ONLY:
        return v3_error(403)
    if not state.library.delete(int(request.path_params["prompt_id"]), state.now_ms):
        return v3_error(404, "Recording not found")
    return envelope({}, now_ms=state.now_ms, message="Deleted")


async def upload_v2_prompts(state: SandboxState, request: Request) -> Response:
    """``POST /v2/misc/upload/prompt``: up to 15 files."""
    return await _upload_v2(state, request, "prompt")


async def upload_v2_whispers(state: SandboxState, request: Request) -> Response:
    """``POST /v2/misc/upload/whisper``: up to 15 files."""
    return await _upload_v2(state, request, "whisper")


async def _upload_v2(state: SandboxState, request: Request, kind: str) -> Response:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return v2_error(400, "multipart/form-data is required")
    files: list[tuple[str, bytes]] = []
    async with request.form(max_files=100) as form:
        for part, file in form.multi_items():
            if isinstance(file, UploadFile) and (part == "file" or part.startswith("file_")):
                if (file.size or 0) > UPLOAD_LIMIT_BYTES:
                    return v2_error(413, "The file is larger than 50 MB")
                files.append((file.filename or "", await file.read()))
    if not files:
        return data_error("Please provide a file.")
    if len(files) > _V2_FILES:
        return data_error("You can upload maximum 15 files at a time.")
    if any(_extension(name) not in _V2_FORMATS or sniff(audio) is None for name, audio in files):
        return data_error(_V2_WRONG_FORMAT)
    for name, audio in files:
        _add(state, request, kind, PurePosixPath(name).stem, name, audio)
    return reply({"result": "success", "err": None, "data": f"{len(files)} file(s) uploaded"})


async def list_v2_audio(state: SandboxState, request: Request) -> Response:
    """``GET /v2/misc/getaudiolist``: the library, with ``filter=field=value``."""
    query = request.query_params
    limit, offset = query.get("limit", "100"), query.get("offset", "0")
    if not (limit.isdigit() and offset.isdigit()):
        return rule_error("Please provide valid data.")
    items = [_as_v2(state, request, prompt) for prompt in _listed(state, request)]
    if wanted := query.get("filter", ""):
        field, _, value = wanted.partition("=")
        if field not in _V2_FILTERS or not value.strip():
            return rule_error("Please provide valid data.")
        if field == "uploaded_on" and value != "null" and not _is_date(value):
            return rule_error(f"Query error in ctPool: invalid input syntax for type timestamp: {value}")
        items = [item for item in items if _matches(str(item[field]), field, value)]
    page = items[int(offset) : int(offset) + int(limit)]
    return reply({"result": "success", "err": None, "data": page})


def _add(state: SandboxState, request: Request, kind: str, name: str, file_name: str, audio: bytes) -> Prompt:
    """Keep an upload as the faults have it."""
    if getattr(request.state, "half_made", False):
        audio = audio[: len(audio) // 2]
    delay = int(getattr(request.state, "list_delay", 0.0) * 1000)
    return state.library.add(kind, name, file_name, audio, state.now_ms, delay_ms=delay)


def _listed(state: SandboxState, request: Request) -> list[Prompt]:
    """Return what lists show now, or showed a while ago when the list is stale."""
    at_ms = state.now_ms - int(getattr(request.state, "stale", 0.0) * 1000)
    return [prompt for prompt in state.library.everything if prompt.listed(at_ms)]


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is not None and not text.isdecimal():
        raise Refusal(v3_error(400, f"{name} must be a number"))
    return None if text is None else int(text)


def _matches(shown: str, field: str, value: str) -> bool:
    return shown[:10] == value[:10] if field == "uploaded_on" else shown == value


def _as_v2(state: SandboxState, request: Request, prompt: Prompt) -> dict[str, Any]:
    """Return the entry as the older generation shows it: the file name without extension."""
    expires = int(state.now() + state.config.url_seconds)
    part = state.signer.sign(f"prompt:{prompt.prompt_id}", prompt.file_name, expires)
    base = state.config.public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"
    return {
        "uploaded_on": iso(prompt.uploaded_ms),
        "file_name": prompt.stem,
        "org_unit_id": ROOT_UNIT,
        "type": prompt.type,
        "reference_id": prompt.prompt_id,
        "recordURL": f"{base}{HOST_PATH}/audio/{prompt.prompt_id}?{part.query}",
    }


def _extension(file_name: str) -> str:
    return PurePosixPath(file_name).suffix.lower().lstrip(".")


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True
