"""Uploads of several prompts in one request, where the API takes them; one at a time elsewhere.

Whoever comes first waits a moment for others of the same type, sends for all of them, and each gets the same
answer: what came of its own prompt the list will tell. Who gives up, or may not begin, takes nobody along;
and what was refused together may be sent alone, so that only the one that is bad is refused for good.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio

from mediapipe.convirza.prompts import PromptApi, PromptUpload
from mediapipe.convirza.uploads import Answer, Refused, Unsure
from mediapipe.errors import Fatal, MediapipeError
from mediapipe.library.words import PromptType
from mediapipe.redact import redact

log = logging.getLogger(__name__)

GATHER_S = 0.05
"""How long the first of a bundle waits for others."""

Begin = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request came to, told to each upload that was in it.

    ``counts`` is True for one of them alone: whoever counts answers counts it there. ``along`` says that
    there were others, so that a refusal may be theirs.
    """

    answer: Answer
    counts: bool = True
    along: bool = False

    @property
    def refused_together(self) -> bool:
        """It was refused, and which of them was meant is not known."""
        return self.along and isinstance(self.answer, Refused)


@dataclass(slots=True, eq=False)
class _Member:
    """One upload of a bundle, and what spoke against beginning it."""

    upload: PromptUpload
    begin: Begin
    error: Exception | None = None


@dataclass(slots=True)
class _Bundle:
    """Uploads that go out together.

    When it is ``done`` there is an answer, or an error instead; with neither nothing was sent, and whoever
    still wants to be sent goes with another bundle.
    """

    members: list[_Member] = field(default_factory=list)
    done: anyio.Event = field(default_factory=anyio.Event)
    full: anyio.Event = field(default_factory=anyio.Event)
    sending: bool = False
    begun: bool = False
    answer: Answer | None = None
    error: Exception | None = None
    told: bool = False

    def tell(self, answer: Answer) -> Sent:
        """Return the answer for one more of its uploads."""
        first, self.told = not self.told, True
        return Sent(answer, first, len(self.members) > 1)

    async def begin(self) -> None:
        """Begin every upload, just before the first byte leaves."""
        self.begun = True
        for member in self.members:
            try:
                await member.begin()
            except Exception as error:
                member.error = error
                raise


class Bundler:
    """Puts uploads together, as many as the API takes."""

    def __init__(self, api: PromptApi) -> None:
        self._api = api
        self._open: dict[PromptType, _Bundle] = {}
        self._turn = anyio.Lock()

    async def upload(self, upload: PromptUpload, begin: Begin, *, alone: bool = False) -> Sent:
        """Send one prompt, maybe along with others; ``alone`` sends it by itself, one such after another.

        Raises as the API's client does, until the first byte may have left: from then on there is an answer.
        """
        if self._api.batch == 1:
            return Sent(await self._request([upload], begin))
        if alone:
            async with self._turn:
                return Sent(await self._request([upload], begin))
        while True:
            member = _Member(upload, begin)
            bundle = await self._along(member)
            if member.error is not None:
                raise member.error
            if bundle.error is not None:
                raise bundle.error
            if bundle.answer is not None:
                return bundle.tell(bundle.answer)

    async def _request(self, uploads: Sequence[PromptUpload], begin: Begin) -> Answer:
        """Send one request; an error while it is under way leaves open what came of it."""
        begun = False

        async def noted() -> None:
            nonlocal begun
            await begin()
            begun = True

        try:
            return await self._api.upload(uploads, begin=noted)
        except Fatal:
            raise
        except Exception as error:
            if not begun:
                raise
            log.exception("%s: unexpected error while it was sent", uploads[0].name)
            code = error.code if isinstance(error, MediapipeError) else "unexpected_error"
            return Unsure(code, redact(str(error)))

    async def _along(self, member: _Member) -> _Bundle:
        """Join a bundle, or open one, and return it when it is done."""
        kind = member.upload.type
        bundle = self._open.get(kind)
        leads = bundle is None
        if bundle is None:
            bundle = self._open[kind] = _Bundle()
        bundle.members.append(member)
        if len(bundle.members) == self._api.batch:
            del self._open[kind]
            bundle.full.set()
        if leads:
            await self._lead(kind, bundle)
            return bundle
        try:
            await bundle.done.wait()
        except BaseException:
            if not bundle.sending:  # nobody is there any more who would look after it
                bundle.members.remove(member)
            raise
        return bundle

    async def _lead(self, kind: PromptType, bundle: _Bundle) -> None:
        try:
            with anyio.move_on_after(GATHER_S):
                await bundle.full.wait()
            self._close(kind, bundle)
            bundle.sending = True
            uploads = [member.upload for member in bundle.members]
            bundle.answer = await self._request(uploads, bundle.begin)
        except Exception as error:
            # What one of them may not begin is that one's alone, unless nothing can be begun any more.
            one_s_own = any(member.error is error for member in bundle.members)
            if not one_s_own or isinstance(error, Fatal):
                bundle.error = error
        except BaseException:
            if bundle.begun:
                bundle.answer = Unsure("interrupted", "it was given up while it was being sent")
            raise
        finally:
            self._close(kind, bundle)
            bundle.done.set()

    def _close(self, kind: PromptType, bundle: _Bundle) -> None:
        """Let nobody join any more."""
        if self._open.get(kind) is bundle:
            del self._open[kind]
