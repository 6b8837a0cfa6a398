"""The v2 API, deprecated and still needed: calls are uploaded there and nowhere else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mediapipe.convirza.multipart import FilePart, measured, opened_body
from mediapipe.convirza.posts import InDoubt, Pace, Posted, post_once
from mediapipe.convirza.session import HttpClient, Session, as_answer, bearing, without
from mediapipe.convirza.uploads import Answer, NotTaken, Unsure, sort_answer
from mediapipe.errors import Failed, Fatal, Throttled, Transient
from mediapipe.pacing import Pacer

Begin = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class CallUpload:
    """One call as it is sent: form fields, and either a file or an address of its audio.

    ``filename`` is the name sent, in ASCII and with the true extension; ``size`` in bytes, when known: a
    file of another size is not sent. ``recording_url`` is a credential.
    """

    fields: Mapping[str, str]
    path: Path | None = None
    filename: str = ""
    content_type: str = ""
    recording_url: str = field(default="", repr=False)
    size: int | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (not self.recording_url):
            raise ValueError("a call is sent with a file or with an address, one of them")


@dataclass(frozen=True, slots=True)
class Posting:
    """What uploads go out by: a client of their own (``open_posts``), their pacer, and the account's ways.

    ``file_field`` names the part with the audio; ``retry_503`` as in ``sort_answer``; ``pace`` waits until
    so many bytes may be sent.
    """

    http: HttpClient
    pacer: Pacer
    file_field: str = "recording_file"
    retry_503: bool = True
    pace: Pace | None = None


class _NotBegun(Exception):
    """Carries what ``begin`` raised past everything that might repeat it."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


class V2:
    """What this tool asks of v2. Without ``posting`` it can only read."""

    def __init__(self, session: Session, posting: Posting | None = None) -> None:
        self.session = session
        self._posting = posting

    async def probe(self) -> None:
        """Ask for one audio file's entry: shows that the token is taken. Raises as ``Session.get`` does."""
        query: Mapping[str, int] = {"limit": 1, "offset": 0}
        await self.session.get("/misc/getaudiolist", query, doing="list v2 audio", read=as_answer)

    async def upload_call(self, upload: CallUpload, *, begin: Begin) -> Answer:
        """Send one call and say what is known of it then.

        Sent again, within the bounds of the session's retry policy, only while it provably had no effect.
        ``begin`` is awaited each time just before the first byte leaves; what it raises passes through.
        Raises ``Failed`` or ``Rejected`` before that, for a file that is not there as it was said to be.
        """
        if self._posting is None:
            raise ValueError("this client was opened for reading")
        attempt = _Upload(self.session, self._posting, upload, begin)
        try:
            await attempt.measure()
            return await self.session.retry.run(attempt.once)
        except _NotBegun as barred:
            raise barred.error from barred.error.__cause__
        except Failed as error:  # the file changed between two attempts
            if not attempt.begun:
                raise
            return NotTaken(error.code, error.message)
        except Transient as error:
            return NotTaken(error.code, error.message, error.retry_after)
        except Fatal as error:  # of the login: the item is known not to have been sent
            return NotTaken(error.code, error.message, fatal=error)


class _Upload:
    """One call on its way."""

    def __init__(self, session: Session, posting: Posting, upload: CallUpload, begin: Begin) -> None:
        self._session, self._posting, self._begin = session, posting, begin
        self._fields = dict(upload.fields)
        self._part: FilePart | None = None
        self.begun = False
        if upload.path is None:
            self._fields["recording_url"] = upload.recording_url
        else:
            self._part = FilePart(
                posting.file_field, upload.filename, upload.content_type, upload.path, upload.size
            )
        self._secret = upload.recording_url
        self._doing = f"upload call {upload.fields.get('external_id', '')}".rstrip()

    async def measure(self) -> None:
        """Fix the file's length: all attempts send the same."""
        if self._part is not None:
            self._part = await measured(self._part)

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
        async with opened_body(self._fields, self._part) as body:
            try:
                posted = await post_once(
                    self._posting.http,
                    self._session.address("/call/upload"),
                    bearing(token),
                    body,
                    begin=self._begun,
                    deadline=self._session.deadline,
                    doing=self._doing,
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
            return Unsure("early_answer", f"HTTP {posted.status} came before all of the call was sent")
        if success and not posted.whole:
            return Unsure("unreadable_answer", f"HTTP {posted.status}, and the answer broke off")
        words = self._quotable(posted.body, token)
        return sort_answer(posted.status, posted.headers, words, retry_503=self._posting.retry_503)

    def _quotable(self, words: bytes, token: str) -> bytes:
        return without(words, token, self._secret)
