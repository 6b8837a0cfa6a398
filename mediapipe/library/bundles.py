"""Uploads of several prompts in one request, where the API takes them; one at a time elsewhere.

Whoever comes first waits a moment for others of the same type, sends for all of them, and each gets the same
answer: what came of its own prompt the list will tell.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from mediapipe.convirza.prompts import PromptApi, PromptUpload
from mediapipe.convirza.uploads import Answer
from mediapipe.library.words import PromptType

GATHER_S = 0.05
"""How long the first of a bundle waits for others."""

Begin = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Bundle:
    """Uploads that go out together; ``done`` is set when there is an answer, or an error instead."""

    uploads: list[PromptUpload] = field(default_factory=list)
    begins: list[Begin] = field(default_factory=list)
    done: anyio.Event = field(default_factory=anyio.Event)
    full: anyio.Event = field(default_factory=anyio.Event)
    answer: Answer | None = None
    error: Exception | None = None


class Bundler:
    """Puts uploads together, as many as the API takes."""

    def __init__(self, api: PromptApi) -> None:
        self._api = api
        self._open: dict[PromptType, _Bundle] = {}

    async def upload(self, upload: PromptUpload, begin: Begin) -> Answer:
        """Send one prompt, maybe along with others; raises as the API's client does."""
        if self._api.batch == 1:
            return await self._api.upload([upload], begin=begin)
        bundle = self._open.get(upload.type)
        leads = bundle is None
        if bundle is None:
            bundle = self._open[upload.type] = _Bundle()
        bundle.uploads.append(upload)
        bundle.begins.append(begin)
        if len(bundle.uploads) == self._api.batch:
            del self._open[upload.type]
            bundle.full.set()
        if leads:
            await self._lead(upload.type, bundle)
        else:
            await bundle.done.wait()
        if bundle.error is not None:
            raise bundle.error
        if bundle.answer is None:
            raise AssertionError("a bundle that is done has an answer")
        return bundle.answer

    async def _lead(self, kind: PromptType, bundle: _Bundle) -> None:
        try:
            with anyio.move_on_after(GATHER_S):
                await bundle.full.wait()
            if self._open.get(kind) is bundle:
                del self._open[kind]

            async def begin_all() -> None:
                for begin in bundle.begins:
                    await begin()

            bundle.answer = await self._api.upload(bundle.uploads, begin=begin_all)
        except Exception as error:
            bundle.error = error
        finally:
            if self._open.get(kind) is bundle:
                del self._open[kind]
            bundle.done.set()
