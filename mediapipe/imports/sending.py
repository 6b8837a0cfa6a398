"""The stage of an import: one row's audio made fit, its intent recorded, and sent once.

What may be repeated and what may not is decided here and nowhere else: from the moment the intent is
durable, everything that is not a definite answer leaves the upload uncertain, whatever went wrong.
"""

from __future__ import annotations

import hashlib
import logging
import os
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import assert_never

import anyio.to_thread

from mediapipe.audio.requests import Labels, ProbeRequest, Rendering, RenderRequest
from mediapipe.convirza.uploads import Accepted, Answer, NotTaken, Refused, Unsure
from mediapipe.convirza.v2 import V2, CallUpload
from mediapipe.convirza.v3 import V3
from mediapipe.errors import CredentialsError, Fatal, MediapipeError, PlatformDown, Rejected
from mediapipe.imports.intents import Intent, differences, intent_of, marker_of
from mediapipe.imports.lookup import Lookup
from mediapipe.imports.matching import Rules, may_be
from mediapipe.imports.reconciling import OPEN
from mediapipe.items import Outcome, Remark, Verdict
from mediapipe.ledger.interface import Ledger, Scope
from mediapipe.line import Finished, Job
from mediapipe.listening import Ear
from mediapipe.manifest.calls import CallRow
from mediapipe.manifest.unique import FirstRows
from mediapipe.originals import Originals, shown
from mediapipe.redact import redact
from mediapipe.verdicts import about, decided

log = logging.getLogger(__name__)

FORBIDDEN_FIRST = 3
"""So many 403 in a row before anything was accepted, and it is the login that lacks the permission."""

TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}


@dataclass(frozen=True, slots=True)
class Tools:
    """What sending works with. ``patience`` is how long an upload of a dead run may still be under way."""

    v2: V2
    v3: V3
    ledger: Ledger
    scope: Scope
    originals: Originals
    ear: Ear
    scratch: Path
    match: Rules
    margin: timedelta
    patience: timedelta
    marker_slot: int | None = None
    by_url: bool = False
    uncertain_in_a_row: int = 20


@dataclass(slots=True)
class Sender:
    """Sends rows; remembers what went by in this run.

    ``absent`` are the uncertain uploads that a look found missing: those, and only those, are sent again.
    """

    tools: Tools
    run_id: str
    absent: frozenset[str] = frozenset()
    heard: FirstRows = field(default_factory=FirstRows)
    accepted: int = 0
    forbidden: int = 0
    _unclear: int = 0
    """Answers in a row that were none."""

    def now(self) -> datetime:
        """Return the time by the platform's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.tools.v3.clock_skew)

    async def send(self, job: Job[CallRow]) -> Finished:
        """Work on one claimed row; the stage of the import's line."""
        if job.claim.before not in OPEN:
            return _with(job, await self._send(job, None))
        try:
            earlier = intent_of(job.claim.key, job.claim.detail)
            finished = await self._again(job, earlier) if earlier else _open(job, "no_record", "not recorded")
        except Fatal:
            raise
        except Exception as error:
            finished = _open(job, getattr(error, "code", "unexpected_error"), redact(str(error)))
        if finished.outcome.verdict in (Verdict.FAILED, Verdict.REJECTED):
            # This attempt made no call; whether the earlier one did is as unknown as before.
            kept = replace(finished.outcome, verdict=Verdict.UNCERTAIN)
            finished = replace(finished, outcome=kept, detail=None)
        return _with(job, finished)

    async def _again(self, job: Job[CallRow], earlier: Intent) -> Finished:
        """Send an uncertain upload again, after a last look, when it has been missing for long enough."""
        tools = self.tools
        if earlier.key not in self.absent or earlier.proof:
            return _open(job, "not_absent", "it was not looked for long enough, or something was found")
        if earlier.latest is not None and self.now() < earlier.latest + tools.patience:
            wait = (earlier.latest + tools.patience - self.now()).total_seconds()
            return _open(job, "too_young", f"the earlier attempt may still be under way for {wait:,.0f} s")
        seen = await Lookup(tools.v3, margin=tools.margin, reach=tools.patience).of(earlier)
        if seen.why_not or any(may_be(earlier, call, tools.match) for call in seen.calls):
            return _open(job, "not_absent", seen.why_not or "a last look found a call that may be it")
        log.info("%s is sent again: it is not listed", earlier.key)
        return await self._send(job, earlier)

    async def _send(self, job: Job[CallRow], earlier: Intent | None) -> Finished:
        row, tools = job.payload, self.tools
        async with AsyncExitStack() as stack:
            if not row.remote:
                return await self._file(job, Path(row.file), row.file, earlier)
            if tools.by_url:
                return await self._address(job, earlier)
            original = await stack.enter_async_context(tools.originals.fetched(row.remote))
            return await self._file(job, original.path, original.source, earlier)

    # ── a file ──────────────────────────────────────────────────────────────────────────────

    async def _file(self, job: Job[CallRow], path: Path, source: str, earlier: Intent | None) -> Finished:
        row, tools = job.payload, self.tools
        before = os.stat(path)  # one call, of a file that is read whole anyway
        ear, options = tools.ear, tools.ear.options
        request = RenderRequest(
            ProbeRequest(path, raw_format=options.raw_format, max_seconds=options.max_seconds),
            ear.target,
            options,
            tools.scratch,
            "call",
            rules=ear.rules,
            labels=Labels(external_id=row.external_id),
            expected_s=row.duration_s,
        )
        async with ear.audio.rendered(request) as rendering:
            outcome, fields = self._judged(row, rendering)
            if outcome.verdict is not Verdict.DONE:
                return Finished(outcome)
            sent = rendering.outputs[0] if rendering.outputs else None
            facts = sent.facts if sent else rendering.facts
            intent = Intent(
                job.claim.key,
                _at(row),
                fields,
                duration_s=facts.seconds,
                sha256=rendering.facts.sha256,
                sent_sha256=facts.sha256 if sent else "",
                size=before.st_size,
                mtime_ns=0 if row.remote else before.st_mtime_ns,
                bytes=facts.size,
                source=source,
                marker=self._marker(job.claim.key),
                run_id=self.run_id,
            )
            upload = CallUpload(
                fields=self._form(intent),
                path=sent.path if sent else path,
                filename=f"{_plain_name(row.external_id)}.{facts.container}",
                content_type=TYPES.get(facts.container, "application/octet-stream"),
                size=intent.bytes,
            )
            said = replace(outcome, sent_sha256=intent.sent_sha256, bytes=intent.bytes)
            return await self._post(job, upload, intent.again(earlier) if earlier else intent, said)

    def _judged(self, row: CallRow, rendering: Rendering) -> tuple[Outcome, dict[str, str]]:
        """Return what becomes of a row by its audio, and the fields to be sent with it."""
        facts = rendering.facts
        swap = self.tools.ear.swap(row, rendering.plan, facts)
        outcome = decided(row, facts, rendering.plan, swap, self.tools.ear.target).outcome
        fields = dict(row.fields)
        if swap.value is not None:
            fields["swap_channels"] = "true" if swap.value else "false"
        first = self.heard.first(facts.sha256, row.row)
        if first is not None and first != row.row:
            same = Remark("same_audio", f"row {first} has the very same audio")
            outcome = replace(outcome, warnings=(*outcome.warnings, same))
        return outcome, fields

    def _marker(self, key: str) -> str:
        return marker_of(self.tools.scope, key) if self.tools.marker_slot else ""

    def _form(self, intent: Intent) -> dict[str, str]:
        marked = {f"custom_source_type_{self.tools.marker_slot}": intent.marker} if intent.marker else {}
        return {**intent.fields, **marked}

    # ── an address ──────────────────────────────────────────────────────────────────────────

    async def _address(self, job: Job[CallRow], earlier: Intent | None) -> Finished:
        """Hand an address on: the platform fetches it after its answer, if at all."""
        row = job.payload
        intent = Intent(
            job.claim.key,
            _at(row),
            row.fields,
            duration_s=None,
            source=shown(row.remote),
            marker=self._marker(job.claim.key),
            run_id=self.run_id,
            by_url=True,
        )
        upload = CallUpload(self._form(intent), recording_url=await self.tools.originals.lent(row.remote))
        item = replace(about(row), source=intent.source)
        return await self._post(job, upload, intent.again(earlier) if earlier else intent, item)

    # ── the post ────────────────────────────────────────────────────────────────────────────

    async def _post(self, job: Job[CallRow], upload: CallUpload, intent: Intent, item: Outcome) -> Finished:
        recorded = intent
        begun = False

        async def begin() -> None:
            nonlocal recorded, begun
            now = self.now()
            recorded = replace(intent, begun=intent.begun or recorded.begun or now, latest=now)
            await self.tools.ledger.intend(job.claim, recorded.as_detail())
            begun = True

        try:
            answer: Answer = await self.tools.v2.upload_call(upload, begin=begin)
        except Fatal:
            raise
        except Exception as error:
            if not begun:
                raise
            log.exception("%s: unexpected error while it was sent", job.claim.key)
            code = error.code if isinstance(error, MediapipeError) else "unexpected_error"
            answer = Unsure(code, redact(str(error)))
        return self._sorted(recorded, answer, item)

    def _sorted(self, intent: Intent, answer: Answer, item: Outcome) -> Finished:
        """Turn an answer into the row's outcome: the last step of the state machine."""
        match answer:
            case Accepted(already=already):
                self.accepted, self._unclear, self.forbidden = self.accepted + 1, 0, 0
                detail = replace(intent, proof="answer").as_detail()
                if already:
                    there = replace(
                        item, verdict=Verdict.SKIPPED, reason="already_there", message=answer.said
                    )
                    return Finished(there, detail)
                if intent.by_url:
                    said = "accepted; the platform fetches the audio later"
                    waits = replace(item, verdict=Verdict.PENDING, reason="not_fetched", message=said)
                    return Finished(waits, detail)
                return Finished(replace(item, verdict=Verdict.DONE, reason=""), detail)
            case Refused(code=code, message=message):
                self._unclear = 0
                fatal = self._permission(message) if code == "forbidden" else None
                return Finished(_ended(item, Verdict.REJECTED, code, message), fatal=fatal)
            case NotTaken(code=code, message=message, fatal=fatal):
                outcome = _ended(item, Verdict.FAILED, code, message)
                # It was tried often already, so it weighs more.
                weight = max(1, self.tools.uncertain_in_a_row // 4)
                return Finished(outcome, fatal=fatal or self._down(message, weight))
            case Unsure(code=code, message=message):
                outcome = _ended(item, Verdict.UNCERTAIN, code, message)
                # The platform may have acted just now, however long ago it began.
                recorded = replace(intent, latest=self.now())
                return Finished(outcome, recorded.as_detail(), fatal=self._down(message))
            case _ as never:
                assert_never(never)

    def _permission(self, message: str) -> Fatal | None:
        self.forbidden += 1
        if self.accepted or self.forbidden < FORBIDDEN_FIRST:
            return None
        hint = "uploads need an ADMIN login of the account"
        return CredentialsError(f"nothing may be uploaded: {message}", code="forbidden", hint=hint)

    def _down(self, message: str, weight: int = 1) -> Fatal | None:
        """Return the error that stops the run when the platform has been ill for too long."""
        self._unclear += weight
        if self._unclear < self.tools.uncertain_in_a_row:
            return None
        return PlatformDown(f"{self._unclear} uploads in a row had no clear answer; the last: {message}")


def _at(row: CallRow) -> datetime:
    if row.at is None:
        raise Rejected("the row has no date", code="missing_value")
    return row.at


def _ended(item: Outcome, verdict: Verdict, code: str, message: str) -> Outcome:
    return replace(item, verdict=verdict, reason=code, message=message)


def _open(job: Job[CallRow], code: str, message: str) -> Finished:
    return Finished(replace(about(job.payload), verdict=Verdict.UNCERTAIN, reason=code, message=message))


def _with(job: Job[CallRow], finished: Finished) -> Finished:
    return replace(finished, outcome=replace(finished.outcome, attempts=job.claim.attempts))


def _plain_name(external_id: str) -> str:
    """Return an id as a file name: the platform may show it, or use it."""
    kept = "".join(
        char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in external_id
    )
    return kept.strip(".")[:80] or "call"


def _hash(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def changes(recorded: Intent, row: CallRow) -> list[str]:
    """Say what differs between a row that was sent before and what the manifest says now.

    A file whose size and time have not changed is not read again; one that is gone is not compared.
    """
    sha256 = ""
    with suppress(OSError):
        stat = os.stat(row.file) if row.file and recorded.sha256 else None
        if stat and (stat.st_size, stat.st_mtime_ns) != (recorded.size, recorded.mtime_ns):
            sha256 = await anyio.to_thread.run_sync(_hash, row.file)
    fields = dict(row.fields)
    if "swap_channels" in recorded.fields and "swap_channels" not in fields:
        fields["swap_channels"] = recorded.fields["swap_channels"]  # decided from the audio then
    return differences(recorded, fields, sha256)
