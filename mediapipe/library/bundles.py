"""Uploads of several prompts in one request, where the API takes them; one at a time elsewhere.

Whoever comes first waits a moment for others of the same type, sends for all of them, and each gets the same
answer: what came of its own prompt the list will tell. Who gives up, or may not begin, takes nobody along.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from mediapipe.convirza.prompts import PromptApi, PromptUpload
from mediapipe.convirza.uploads import Answer, Unsure
from mediapipe.errors import Fatal
from mediapipe.library.words import PromptType

GATHER_S = 0.05
"""How long the first of a bundle waits for others."""

Begin = Callable[[], Awaitable[None]]


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

    async def upload(self, upload: PromptUpload, begin: Begin) -> Answer:
        """Send one prompt, maybe along with others; raises as the API's client does."""
        if self._api.batch == 1:
            return await self._api.upload([upload], begin=begin)
        while True:
            member = _Member(upload, begin)
            bundle = await self._along(member)
            if member.error is not None:
                raise member.error
            if bundle.error is not None:
                raise bundle.error
            if bundle.answer is not None:
                return bundle.answer

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
            bundle.answer = await self._api.upload(uploads, begin=bundle.begin)
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
