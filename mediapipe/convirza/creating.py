"""Sending a POST that creates something: again only while it provably had no effect, its answer sorted.

What is sent and how an answer is read is the caller's; the token, the pacing, the repeating and the masking
of secrets are the same for all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mediapipe.convirza.clients import HttpClient
from mediapipe.convirza.multipart import FilePart, measured, opened_body
from mediapipe.convirza.posts import InDoubt, Pace, Posted, post_once
from mediapipe.convirza.session import Session, bearing, without
from mediapipe.convirza.uploads import Answer, NotTaken, Unsure
from mediapipe.errors import Failed, Fatal, Throttled, Transient
from mediapipe.pacing import Pacer

Begin = Callable[[], Awaitable[None]]
"""Awaited each time just before the first byte leaves."""


class Sort(Protocol):
    """Says what a whole answer means, as :func:`~mediapipe.convirza.uploads.sort_answer` does."""

    def __call__(self, status: int, headers: Mapping[str, str], body: bytes, *, retry_503: bool) -> Answer:
        """Return the meaning; ``body`` holds nothing that was sent in confidence."""
        ...


@dataclass(frozen=True, slots=True)
class Posting:
    """What uploads go out by: a client of their own (``open_posts``), their pacer, and the account's ways.

    ``file_field`` names the part with a call's audio; ``retry_503`` as in ``sort_answer``; ``pace`` waits
    until so many bytes may be sent.
    """

    http: HttpClient
    pacer: Pacer
    file_field: str = "recording_file"
    retry_503: bool = True
    pace: Pace | None = None


@dataclass(frozen=True, slots=True)
class Creation:
    """One POST: where it goes, its form, how its answer is sorted, and what it does in words (``doing``).

    ``secrets`` are what the form carries in confidence; they are masked in every word that is passed on.
    """

    path: str
    fields: Mapping[str, str] = field(repr=False)
    parts: tuple[FilePart, ...]
    sort: Sort
    doing: str
    what: str
    """What is created, in a word: ``call``."""
    secrets: tuple[str, ...] = field(default=(), repr=False)


async def create(session: Session, posting: Posting, creation: Creation, *, begin: Begin) -> Answer:
    """Send it and say what is known of it then.

    Sent again, within the bounds of the session's retry policy, only while it provably had no effect. What
    ``begin`` raises passes through. Raises ``Failed`` or ``Rejected`` before anything is sent, for a file
    that is not there as it was said to be.
    """
    attempt = _Attempt(session, posting, creation, begin)
    try:
        await attempt.measure()
        return await session.retry.run(attempt.once)
    except _NotBegun as barred:
        raise barred.error from barred.error.__cause__
    except Failed as error:  # a file changed between two attempts
        if not attempt.begun:
            raise
        return NotTaken(error.code, error.message)
    except Transient as error:
        return NotTaken(error.code, error.message, error.retry_after)
    except Fatal as error:  # of the login: the item is known not to have been sent
        return NotTaken(error.code, error.message, fatal=error)


class _NotBegun(Exception):
    """Carries what ``begin`` raised past everything that might repeat it."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


class _Attempt:
    """One POST on its way."""

    def __init__(self, session: Session, posting: Posting, creation: Creation, begin: Begin) -> None:
        self._session, self._posting, self._begin = session, posting, begin
        self._creation, self._parts = creation, creation.parts
        self.begun = False

    async def measure(self) -> None:
        """Fix the files' lengths: all attempts send the same."""
        self._parts = tuple([await measured(part) for part in self._parts])

    async def once(self) -> Answer:
        """Send it, twice at most: a token that is refused is renewed. Raises ``Transient`` to be repeated."""
        tokens = self._session.tokens
        await tokens.bearer()  # a login may take its time, and no turn is held meanwhile
        answer, token = await self._in_turn()
        if isinstance(answer, NotTaken):
            await tokens.renew(token)
            answer, _ = await self._in_turn()
        return answer

    async def _in_turn(self) -> tuple[Answer, str]:
        """Return the answer and the token it was asked with; a ``NotTaken`` is about that token."""
        pacer = self._posting.pacer
        async with pacer.turn():
            token = await self._session.tokens.bearer()
            answer = await self._send(token)
            # Inside the turn, so that pacing learns of it.
            if isinstance(answer, Unsure):
                pacer.limit.struggled()
            elif isinstance(answer, NotTaken) and answer.fatal is None:
                kind = Throttled if answer.code == Throttled.code else Transient
                raise kind(answer.message, code=answer.code, retry_after=answer.retry_after)
        return answer, token

    async def _send(self, token: str) -> Answer:
        async with opened_body(self._creation.fields, self._parts) as body:
            try:
                posted = await post_once(
                    self._posting.http,
                    self._session.address(self._creation.path),
                    bearing(token),
                    body,
                    begin=self._begun,
                    deadline=self._session.deadline,
                    doing=self._creation.doing,
                    pace=self._posting.pace,
                )
            except InDoubt as error:  # it may quote an answer that could not be read
                return Unsure(error.code, self._quotable(error.message.encode(), token).decode())
        self._session.heard(posted.headers)
        return self._sorted(posted, token)

    async def _begun(self) -> None:
        try:
            await self._begin()
        except Exception as error:
            raise _NotBegun(error) from error
        self.begun = True

    def _sorted(self, posted: Posted, token: str) -> Answer:
        success = 200 <= posted.status < 300
        if success and posted.early:
            said = f"HTTP {posted.status} came before all of the {self._creation.what} was sent"
            return Unsure("early_answer", said)
        if success and not posted.whole:
            return Unsure("unreadable_answer", f"HTTP {posted.status}, and the answer broke off")
        words = self._quotable(posted.body, token)
        return self._creation.sort(posted.status, posted.headers, words, retry_503=self._posting.retry_503)

    def _quotable(self, words: bytes, token: str) -> bytes:
        return without(words, token, *self._creation.secrets)
