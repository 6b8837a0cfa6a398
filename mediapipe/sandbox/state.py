"""Everything one sandbox knows: its calls, tokens, library, faults and counters.

Tests look at it directly; the endpoints are thin over it.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from mediapipe.sandbox.calls import Call, CallBook, Recording, call_of
from mediapipe.sandbox.config import SandboxConfig
from mediapipe.sandbox.drawer import Drawer
from mediapipe.sandbox.faults import FaultBoard
from mediapipe.sandbox.library import Library, Prompt
from mediapipe.sandbox.records import RecordWriter
from mediapipe.sandbox.routebook import RouteBook
from mediapipe.sandbox.sample import sample_calls, until_ms
from mediapipe.sandbox.signed import Signer
from mediapipe.sandbox.sound import synthesise
from mediapipe.sandbox.stats import Stats
from mediapipe.sandbox.tokens import TokenDesk

_CALLS, _UPLOADS, _TOKENS, _SAMPLE = "calls", "uploads", "tokens", "sample"
_SAMPLE_KEYS = (
    *("seed", "count", "days", "seconds_min", "seconds_max", "mp3_share", "stereo_share", "none_share"),
    *("late_share", "newest_late", "mp3_only", "wav_only"),
)


@dataclass(frozen=True, slots=True)
class Upload:
    """One accepted call upload: the form's fields as text, and the audio's SHA-256 (lower-case hex) and size.

    ``sha256`` is empty when only a URL was given that the sandbox does not fetch.
    """

    call_id: int
    external_id: str
    fields: dict[str, str]
    sha256: str
    size: int


class SandboxState:
    """The state behind one sandbox's endpoints."""

    def __init__(self, config: SandboxConfig) -> None:
        self.drawer = Drawer(config.data)
        self.config = config = self._as_first_started(config)
        self._offset_s = 0.0
        self.stats = Stats()
        self.signer = Signer(f"{config.seed}:{config.client_secret}")
        self.writer = RecordWriter()
        self.faults = FaultBoard(config.faults)
        self.library = Library(self.drawer)
        self.routes = RouteBook(self.drawer)
        self.tokens = TokenDesk(config, self.now, lambda kept: self.drawer.put_document(_TOKENS, kept))
        self.tokens.restore(self.drawer.document(_TOKENS))
        self.book = CallBook(sample_calls(config, until_ms(config, self.today())))
        for entry in self.drawer.entries(_CALLS):
            self.book.put(call_of(entry))
        self._uploads = [Upload(**entry) for entry in self.drawer.entries(_UPLOADS)]
        self._audio: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._audio_bytes = 0

    def _as_first_started(self, config: SandboxConfig) -> SandboxConfig:
        """Keep a folder's sample the one it was started with: uploads and archives refer to it."""
        kept = self.drawer.document(_SAMPLE)
        if kept:
            stored = {key: kept[key] for key in _SAMPLE_KEYS}
            return replace(config, until=date.fromisoformat(kept["until"]), **stored)
        config = replace(config, until=config.until or (config.now or datetime.now(UTC)).date())
        sample: dict[str, Any] = {key: getattr(config, key) for key in _SAMPLE_KEYS}
        self.drawer.put_document(_SAMPLE, {**sample, "until": str(config.until)})
        return config

    # The clock

    def now(self) -> float:
        """Return the sandbox's time in Unix seconds."""
        fixed = self.config.now
        return (time.time() if fixed is None else fixed.timestamp()) + self._offset_s

    @property
    def now_ms(self) -> int:
        """The sandbox's time in Unix milliseconds."""
        return int(self.now() * 1000)

    def today(self) -> date:
        """Return the sandbox's day (UTC)."""
        return datetime.fromtimestamp(self.now(), UTC).date()

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock."""
        self._offset_s += seconds

    # Calls and recordings

    @property
    def calls(self) -> Sequence[Call]:
        """Every call, oldest first."""
        return self.book.calls

    @property
    def uploads(self) -> Sequence[Upload]:
        """Every accepted upload in the order of acceptance, repeats included."""
        return list(self._uploads)

    @property
    def prompts(self) -> Sequence[Prompt]:
        """The account's audio library without what was deleted, oldest first."""
        return self.library.prompts

    def prompt_bytes(self, prompt_id: int) -> bytes:
        """Return a prompt's audio; KeyError when there is none with this id."""
        prompt = self.library.get(prompt_id)
        if prompt is None:
            raise KeyError(prompt_id)
        return self.library.audio(prompt)

    def recording_bytes(self, call_id: int) -> bytes:
        """Return the bytes of a call's recording, available or not yet; KeyError when it never has any."""
        call = self.book.get(call_id)
        if call is None or call.recording is None:
            raise KeyError(call_id)
        recording = call.recording
        if recording.stored:
            return self.drawer.blob(recording.stored)
        key = (call_id, recording.recording_id)
        audio = self._audio.get(key)
        if audio is None:
            audio = self._audio[key] = synthesise(call)
            self._audio_bytes += len(audio)
            while self._audio_bytes > self.config.cache_bytes and len(self._audio) > 1:
                self._audio_bytes -= len(self._audio.popitem(last=False)[1])
        return audio

    def keep_call(self, call: Call) -> Call:
        """Add a call, or replace the one with its id, and keep it over restarts."""
        self.drawer.append(_CALLS, call.as_json())
        self.book.put(call)
        return call

    def insert_call(self, started_ms: int, *, recorded: bool = True, available_ms: int | None = None) -> Call:
        """Add a call like those of the sample at the given time; its recording may appear later."""
        call_id = self.book.new_id()
        recording = Recording(
            recording_id=call_id + 12_000_000,
            seconds=self.config.seconds_min,
            channels=1 + call_id % 2,
            container="mp3" if self.config.mp3_only else "wav",
            available_ms=started_ms if available_ms is None else available_ms,
        )
        call = Call(
            call_id=call_id,
            started_ms=started_ms,
            duration=int(self.config.seconds_min) + 5,
            disposition="ANSWERED" if recorded else "NO ANSWER",
            caller_id=f"1801558{call_id % 10_000:04d}",
            phone_number="18015560000",
            ring_to="18015570000",
            org_unit_id=1201,
            campaign_id=311,
            route_id=1022,
            is_outbound=False,
            recording=recording if recorded else None,
            origin="insert",
        )
        return self.keep_call(call)

    def reveal_recording(self, call_id: int) -> Call | None:
        """Make a call's recording available now, giving it one if it had none; None for an unknown call."""
        call = self.book.get(call_id)
        if call is None:
            return None
        recording = call.recording or Recording(
            call_id + 12_000_000, min(self.config.seconds_min, max(call.duration - 1, 1)), 1, "wav", 0
        )
        return self.keep_call(call._replace(recording=recording._replace(available_ms=self.now_ms)))

    def attach_recording(self, call_id: int, recording: Recording, audio: bytes) -> None:
        """Give a call its recording when its audio came after it."""
        call = self.book.get(call_id)
        if call is not None:
            self.drawer.put_blob(recording.stored, audio)
            self.keep_call(call._replace(recording=recording, duration=math.ceil(recording.seconds)))

    def keep_upload(self, call: Call, fields: dict[str, str], audio: bytes) -> Upload:
        """Keep an accepted upload's audio and fields; the call itself is kept separately."""
        if call.recording is not None and audio:
            self.drawer.put_blob(call.recording.stored, audio)
        digest = hashlib.sha256(audio).hexdigest() if audio else ""
        upload = Upload(call.call_id, fields.get("external_id", ""), fields, digest, len(audio))
        self.drawer.append(_UPLOADS, asdict(upload))
        self._uploads.append(upload)
        return upload
