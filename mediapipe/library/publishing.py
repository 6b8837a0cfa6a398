"""The stage that uploads prompts: intent → upload → seen in the list → lock → receipt.

An upload proves nothing by its answer: what proves it is exactly one new entry in the account's list. Where
none turns up in time and the answer was unclear, the prompt is sent again; where several do, nothing is
touched and a person is told.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import assert_never

import anyio

from mediapipe.convirza.prompts import PromptApi, PromptUpload
from mediapipe.convirza.uploads import Accepted, NotTaken, Refused, Unsure
from mediapipe.errors import CredentialsError, Fatal, ItemError, PlatformDown, Transient
from mediapipe.items import Outcome, Remark, Verdict
from mediapipe.ledger.interface import Ledger, Scope
from mediapipe.library.attempts import Attempt, Seen, Sight, sight, standing_entry
from mediapipe.library.bundles import Bundler, Sent
from mediapipe.library.keeper import Keeper
from mediapipe.library.lockfile import Entry, LibraryLock
from mediapipe.library.plan import Change
from mediapipe.library.releases import MEDIA_TYPES, Releases
from mediapipe.library.words import Listed, PromptType
from mediapipe.line import Finished, Job

log = logging.getLogger(__name__)

FIRST_LOOK_S, LONGEST_PAUSE_S = 0.1, 2.0
FORBIDDEN_FIRST = 3
"""So many 403 in a row before anything was accepted, and it is the login that lacks the permission."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A prompt ready to be sent: what is planned for it, its audio, and what the lock will say of it."""

    change: Change
    path: Path
    entry: Entry

    @property
    def upload(self) -> PromptUpload:
        """It as the platform's client takes it; the file is called as the prompt is."""
        wanted, entry = self.change.desired, self.entry
        if wanted is None:
            raise ValueError("only what is in the manifest is uploaded")
        media_type = MEDIA_TYPES.get(entry.container, "application/octet-stream")
        filename = f"{wanted.name}.{entry.container}"
        return PromptUpload(wanted.type, wanted.name, self.path, filename, media_type, entry.bytes)


@dataclass(frozen=True, slots=True)
class Tools:
    """What publishing works with.

    ``lag`` is how long an upload may take to be listed; ``attempts`` bounds the uploads of one prompt;
    ``unclear_in_a_row`` answers that were none, and the platform counts as down.
    """

    api: PromptApi
    ledger: Ledger
    scope: Scope
    keeper: Keeper
    releases: Releases
    lag: timedelta
    attempts: int = 3
    unclear_in_a_row: int = 20

    def now(self) -> str:
        """Return this instant as the lock file writes it."""
        return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class _Unseen:
    """What an upload counts as when the list shows nothing of it; unless it is ``last``, it goes again."""

    why: Unsure
    last: bool
    fatal: Fatal | None = None


@dataclass(slots=True)
class Publisher:
    """Uploads prompts; remembers what went by in this run.

    ``listed`` is the account's list before it, ``known`` the lock: what is ours and was not listed just then
    may turn up again, and is not taken for something new.
    """

    tools: Tools
    listed: Sequence[Listed]
    bundler: Bundler
    known: LibraryLock = field(default_factory=LibraryLock)
    accepted: int = 0
    _forbidden: int = 0
    _unclear: int = 0
    _before: dict[str, set[str]] = field(default_factory=dict)
    _nameless: Counter[str] = field(default_factory=Counter)
    _deleted: set[str] = field(default_factory=set)
    _there: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        ids = [(one.key, one.prompt_id) for one in self.listed]
        self._there = frozenset(prompt_id for _, prompt_id in ids)
        self._nameless.update(key for key, prompt_id in ids if not prompt_id)
        ids += [(key, one.prompt_id) for key, one in self.known.prompts.items()]
        ids += [(one.key, one.prompt_id) for one in self.known.superseded]
        for key, prompt_id in ids:
            if prompt_id:
                self._before.setdefault(key, set()).add(prompt_id)

    async def publish(self, job: Job[Ready]) -> Finished:
        """Work on one claimed prompt; the stage of the apply's line."""
        ready, tools = job.payload, self.tools
        item = replace(about(ready.change), attempts=job.claim.attempts)
        item = replace(item, sent_sha256=ready.entry.rendered_sha256, bytes=ready.entry.bytes)
        await tools.releases.keep(ready.path, ready.entry.rendered_sha256, ready.entry.container)
        before = frozenset(self._before.get(job.claim.key, ()))
        attempt = Attempt(job.claim.key, ready.entry, before, self._nameless[job.claim.key])
        tries, alone = 0, False
        while True:
            sent, attempt = await self._send(job, ready, attempt, alone)
            tries += not sent.refused_together  # whose fault that was is not known
            finished = await self._after(sent, attempt, item, last=tries >= tools.attempts)
            if finished is not None:
                return finished
            alone = alone or sent.refused_together
            log.info("%s is sent again%s: it is not listed", job.claim.key, " by itself" if alone else "")

    async def _send(
        self, job: Job[Ready], ready: Ready, attempt: Attempt, alone: bool
    ) -> tuple[Sent, Attempt]:
        begun = False

        async def begin() -> None:
            nonlocal attempt, begun
            attempt = replace(attempt, latest=datetime.now(UTC))
            await self.tools.ledger.intend(job.claim, attempt.as_detail())
            begun = True

        sent = await self.bundler.upload(ready.upload, begin, alone=alone)
        return sent, replace(attempt, latest=datetime.now(UTC)) if begun else attempt

    async def _after(self, sent: Sent, attempt: Attempt, item: Outcome, *, last: bool) -> Finished | None:
        """Return the prompt's outcome by its answer and by the list; None to send it again."""
        fatal = self._counted(sent)
        match sent.answer:
            case Refused(code=code, message=message) if sent.refused_together and fatal is None:
                # Some of them may have been taken, and only one may be bad: the others go by themselves.
                return await self._seen(attempt, item, _Unseen(Unsure(code, message), last=False))
            case Refused(code=code, message=message):
                return Finished(ended(item, Verdict.REJECTED, code, message), fatal=fatal)
            case NotTaken(code=code, message=message):
                return Finished(ended(item, Verdict.FAILED, code, message), fatal=fatal)
            case Accepted(made=made):
                unseen = _Unseen(Unsure("unverified", "accepted, and not listed"), last=True)
                entry = replace(attempt.entry, prompt_id=made)
                return await self._seen(replace(attempt, entry=entry, accepted=True), item, unseen)
            case Unsure() as unsure:
                unseen = _Unseen(unsure, last=last or fatal is not None, fatal=fatal)
                return await self._seen(attempt, item, unseen)
            case _ as never:
                assert_never(never)

    async def _seen(self, attempt: Attempt, item: Outcome, unseen: _Unseen) -> Finished | None:
        """Look for what an upload made; None when nothing came of it and it may be sent again."""
        try:
            seen = await self._look(attempt)
        except (Transient, ItemError) as error:
            said = f"{unseen.why.message}; the list cannot be read: {error}"
            return self._open(attempt, item, "not_listed", said, unseen.fatal)
        match seen.sight:
            case Sight.FOUND:
                self._unclear = 0
                entry = standing_entry(attempt, seen.entries[0], now=self.tools.now())
                await self.tools.keeper.change(
                    lambda lock: lock.standing(attempt.key, entry, now=self.tools.now(), there=self._there)
                )
                detail = replace(attempt, entry=entry).as_detail()
                done = ended(item, Verdict.DONE, "", f"id {entry.prompt_id or '?'}")
                if remark := seen.other_size(attempt):
                    done = replace(done, warnings=(*done.warnings, Remark("size_differs", remark)))
                return Finished(done, detail)
            case Sight.NOTHING if not unseen.last:
                return None
            case Sight.NOTHING:
                return self._open(attempt, item, unseen.why.code, unseen.why.message, unseen.fatal)
            case Sight.SEVERAL:
                said = f"{len(seen.entries)} new entries have its name ({seen.ids}); none was deleted"
                hint = "delete what is not wanted by hand and run again"
                return self._open(attempt, item, "several", f"{said}; {hint}", unseen.fatal)
            case Sight.HALF_MADE:
                return await self._half_made(attempt, seen, item, unseen.last)
            case _ as never:
                assert_never(never)

    @staticmethod
    def _open(attempt: Attempt, item: Outcome, code: str, said: str, fatal: Fatal | None = None) -> Finished:
        """Return the outcome of an upload whose end is not known; the next run looks it up."""
        return Finished(ended(item, Verdict.UNCERTAIN, code, said), attempt.as_detail(), fatal)

    async def _half_made(self, attempt: Attempt, seen: Seen, item: Outcome, last: bool) -> Finished | None:
        """Delete what only came in part, and have it sent again."""
        one = seen.entries[0]
        said = seen.other_size(attempt)
        if not self.tools.api.deletes or not one.prompt_id:
            return self._open(attempt, item, "half_made", f"{said}, and it cannot be deleted here")
        log.warning("%s: %s: it is deleted and sent again", attempt.key, said)
        try:
            await self.tools.api.delete(one.prompt_id)
            self._deleted.add(one.prompt_id)
        except (Transient, ItemError) as error:
            return self._open(attempt, item, "half_made", f"{said}; it could not be deleted: {error}")
        if last:
            return Finished(ended(item, Verdict.FAILED, "half_made", f"{said}; it was deleted"))
        return None

    async def _look(self, attempt: Attempt) -> Seen:
        """Return what the list shows of an upload, looked at until something shows or the lag is over."""
        ends = anyio.current_time() + self.tools.lag.total_seconds()
        pause = FIRST_LOOK_S
        word, _, name = attempt.key.partition("/")
        kind = PromptType(word)
        while True:
            over = anyio.current_time() >= ends
            # By name, which is little; at last the whole list: what the filter compares is not documented.
            listed = await self.tools.api.list_prompts(kind, None if over else name)
            # What was deleted just now may go on being listed for a while.
            listed = [one for one in listed if one.prompt_id not in self._deleted]
            seen = sight(attempt, listed, self.tools.keeper.lock.ids)
            if seen.sight is not Sight.NOTHING or over:
                return seen
            await anyio.sleep(min(pause, max(0.0, ends - anyio.current_time())))
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _counted(self, sent: Sent) -> Fatal | None:
        """Count a request's answer, once for all that were in it; return the error that stops the run."""
        match sent.answer:
            case NotTaken(fatal=fatal) if fatal is not None:
                return fatal
            case _ if not sent.counts:
                return None
            case Accepted():
                self.accepted, self._unclear, self._forbidden = self.accepted + 1, 0, 0
                return None
            case Refused(code=code, message=message):
                self._unclear = 0
                return self._permission(message) if code == "forbidden" else None
            case NotTaken(message=message) | Unsure(message=message):
                return self._down(message)
            case _ as never:
                assert_never(never)

    def _permission(self, message: str) -> Fatal | None:
        self._forbidden += 1
        if self.accepted or self._forbidden < FORBIDDEN_FIRST:
            return None
        hint = "prompts need a login that may create: ReadOnly may not"
        return CredentialsError(f"no prompt may be uploaded: {message}", code="forbidden", hint=hint)

    def _down(self, message: str) -> Fatal | None:
        """Return the error that stops the run when the platform has been ill for too long."""
        self._unclear += 1
        if self._unclear < self.tools.unclear_in_a_row:
            return None
        return PlatformDown(f"{self._unclear} uploads in a row had no clear answer; the last: {message}")


def about(change: Change) -> Outcome:
    """Return an outcome of a prompt, to be filled in: what it is and where it comes from."""
    wanted = change.desired
    if wanted is None:
        return Outcome(change.key, Verdict.FAILED)
    return Outcome(
        change.key, Verdict.FAILED, source=wanted.file, row=wanted.row, sha256=wanted.source_sha256
    )


def ended(item: Outcome, verdict: Verdict, code: str, message: str) -> Outcome:
    """Return an outcome with its end."""
    return replace(item, verdict=verdict, reason=code, message=message)
