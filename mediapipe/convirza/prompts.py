"""The prompt library of both API generations: list, upload, delete, and which routes use what.

How names are matched by the platform's own filters, whether its list is paged, and what an upload answers is
not documented. The list is what proves an upload, so it is read to its end, and compared here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from mediapipe.convirza.creating import Begin, Creation, Posting, create
from mediapipe.convirza.listed import nfc, read_list, read_listed, read_total
from mediapipe.convirza.multipart import FilePart
from mediapipe.convirza.pages import Piece, Row, Whole, whole_list
from mediapipe.convirza.routes import ROUTES_LOOKED_AT, read_routes
from mediapipe.convirza.session import Answer as Read
from mediapipe.convirza.session import Query, Session
from mediapipe.convirza.uploads import Answer, sort_prompt_answer
from mediapipe.errors import CredentialsError, Failed, Rejected, Transient
from mediapipe.library.words import Listed, PromptType, Routes

# One below a round number: asking for the round one then tells whether a limit is heeded at all.
V3_PAGE = 199
V2_PAGE = 99
V2_FILES = 15
"""The most files that v2 takes in one upload."""


@dataclass(frozen=True, slots=True)
class PromptUpload:
    """One prompt as it is sent: type, name, the file and its length in bytes, and the file name sent."""

    type: PromptType
    name: str
    path: Path
    filename: str
    content_type: str
    size: int


class PromptApi(Protocol):
    """What jobs ask of a prompt library, whichever generation it is reached by."""

    @property
    def types(self) -> tuple[PromptType, ...]:
        """The types it takes."""
        ...

    @property
    def deletes(self) -> bool:
        """Whether it can delete at all."""
        ...

    @property
    def batch(self) -> int:
        """How many uploads of one type go in one request at the most."""
        ...

    async def list_prompts(self, kind: PromptType | None = None, name: str | None = None) -> list[Listed]:
        """Return what the library shows, all of it or the entries of this type and exactly this name.

        With a name it may be what the platform's own filter finds: what is missing there may still be in the
        list without a name. Without one, what is missing was not listed.
        Raises as ``Session.get`` does; ``Transient`` (``incomplete_list``) too when it is not certain that
        this is all, or when one that may be meant shows no type.
        """
        ...

    async def upload(self, uploads: Sequence[PromptUpload], *, begin: Begin) -> Answer:
        """Send at most ``batch`` prompts of one type and say what is known then; ``create`` says the rest."""
        ...

    async def delete(self, prompt_id: str) -> bool:
        """Delete; False when it is gone already. Raises ``Failed`` when it cannot or may not be deleted."""
        ...

    async def routes(self) -> Routes:
        """Return which provisioned routes mention which prompt."""
        ...


class V3Prompts:
    """The library by v3: every type, one upload at a time."""

    types: tuple[PromptType, ...] = tuple(PromptType)
    deletes = True
    batch = 1

    def __init__(
        self,
        session: Session,
        posting: Posting,
        *,
        file_field: str = "file",
        routes_looked_at: int = ROUTES_LOOKED_AT,
    ) -> None:
        """``file_field`` names the part with the audio; ``routes_looked_at`` bounds how many are fetched."""
        self._session, self._posting = session, posting
        self._file_field, self._routes_looked_at = file_field, routes_looked_at
        self._paged = True

    async def list_prompts(self, kind: PromptType | None = None, name: str | None = None) -> list[Listed]:
        """See :class:`PromptApi`."""
        doubt = ""
        for query in _queries(kind, name):

            async def read(offset: int, limit: int, query: Mapping[str, str] = query) -> Piece[Listed]:
                return await self._piece(query, offset, limit)

            try:
                whole = await whole_list(read, V3_PAGE)
            except Rejected:
                if "name" in query:  # of this name the platform does not like to be asked
                    continue
                raise
            found, doubt = _matching(whole, kind, name)
            if not doubt:
                return found
        raise _incomplete(doubt)

    async def _piece(self, query: Mapping[str, str], offset: int, limit: int) -> Piece[Listed]:
        """Return one page; where the platform refuses to be asked for pages, what it shows without."""
        doing = f"list prompts, offset {offset}"
        if self._paged:
            asked: Query = {**query, "limit": limit, "offset": offset}
            try:
                return await self._session.get("/media-prompts", asked, doing=doing, read=_piece_of)
            except Rejected as error:
                if error.code not in {"http_400", "http_422"}:
                    raise
        piece = await self._session.get("/media-prompts", query, doing=doing, read=_piece_of)
        self._paged = self._paged and offset > 0
        return Piece(piece.rows, piece.total, last=True)

    async def upload(self, uploads: Sequence[PromptUpload], *, begin: Begin) -> Answer:
        """See :class:`PromptApi`."""
        if len(uploads) != 1:
            raise ValueError("v3 takes one prompt at a time")
        (one,) = uploads
        creation = Creation(
            path="/media-prompts",
            fields={"type": one.type.value, "name": one.name},
            parts=(_part(self._file_field, one),),
            sort=sort_prompt_answer,
            doing=f"upload {one.type.value} {one.name}",
            what="prompt",
        )
        return await create(self._session, self._posting, creation, begin=begin)

    async def delete(self, prompt_id: str) -> bool:
        """See :class:`PromptApi`."""
        # Without an id this would be asked of the library itself.
        if not prompt_id.strip():
            raise Failed("the platform shows no id of this prompt, so it cannot be deleted", code="no_id")
        # A dot segment would be taken for the way to another endpoint.
        part = quote(prompt_id, safe="", errors="surrogatepass").replace(".", "%2E")
        try:
            return await self._session.delete(f"/media-prompts/{part}", doing=f"delete prompt {prompt_id}")
        except CredentialsError as error:
            if error.code != "forbidden":
                raise
            raise Failed(error.message, code="forbidden") from error

    async def routes(self) -> Routes:
        """See :class:`PromptApi`."""
        return await read_routes(self._session, looked_at=self._routes_looked_at)


class V2Prompts:
    """The library by v2: prompts and whispers, up to 15 in one upload, never deleted."""

    types: tuple[PromptType, ...] = (PromptType.PROMPT, PromptType.WHISPER)
    deletes = False
    batch = V2_FILES

    def __init__(self, session: Session, posting: Posting) -> None:
        self._session, self._posting = session, posting

    async def list_prompts(self, kind: PromptType | None = None, name: str | None = None) -> list[Listed]:
        """See :class:`PromptApi`. Names are file names without extension."""

        async def read(offset: int, limit: int) -> Piece[Listed]:
            asked = {"limit": limit, "offset": offset}
            doing = f"list v2 audio, offset {offset}"
            return await self._session.get("/misc/getaudiolist", asked, doing=doing, read=_piece_of)

        found, doubt = _matching(await whole_list(read, V2_PAGE), kind, name)
        if doubt:
            raise _incomplete(doubt)
        return found

    async def upload(self, uploads: Sequence[PromptUpload], *, begin: Begin) -> Answer:
        """See :class:`PromptApi`. The platform names an entry after its file."""
        kinds = {upload.type for upload in uploads}
        if len(kinds) != 1 or not kinds <= set(self.types) or len(uploads) > V2_FILES:
            raise ValueError(f"v2 takes 1 to {V2_FILES} files that are all prompts or all whispers")
        (kind,) = kinds
        names = ["file"] if len(uploads) == 1 else [f"file_{number}" for number in range(len(uploads))]
        more = f" and {len(uploads) - 1} more" if len(uploads) > 1 else ""
        creation = Creation(
            path=f"/misc/upload/{kind.value}",
            fields={},
            parts=tuple(_part(field, upload) for field, upload in zip(names, uploads, strict=True)),
            sort=sort_prompt_answer,
            doing=f"upload {kind.value} {uploads[0].name}{more}",
            what="upload",
        )
        return await create(self._session, self._posting, creation, begin=begin)

    async def delete(self, prompt_id: str) -> bool:
        """Raise ``Failed`` (``cannot_delete``): v2 has no way to delete."""
        raise Failed("the v2 API cannot delete audio", code="cannot_delete", hint="delete it by v3")

    async def routes(self) -> Routes:
        """Return that nothing is to be seen."""
        return Routes(visible=False, mentions={}, why="the v2 API shows no routes")


def _queries(kind: PromptType | None, name: str | None) -> list[dict[str, str]]:
    """Return what to ask for in turn, the narrowest first; a wider one where that is refused or in doubt.

    A name that is not ASCII may be spelled in two ways, and the filter may know the other one only.
    """
    of_type = {} if kind is None else {"type": kind.value}
    narrow = [{**of_type, "name": name}] if name and name.isascii() else []
    return [*narrow, of_type, *([{}] if of_type else [])]


def _matching(whole: Whole[Listed], kind: PromptType | None, name: str | None) -> tuple[list[Listed], str]:
    """Return the entries of this type and name, and why they may not be all there are."""
    named = [entry for entry in whole.records if name is None or entry.name == nfc(name)]
    found = [entry for entry in named if kind is None or entry.type == kind.value]
    untyped = kind is not None and any(not entry.type for entry in named)
    return found, whole.doubt or ("an entry that may be meant shows no type" if untyped else "")


def _piece_of(answer: Read) -> Piece[Listed]:
    listed = [read_listed(raw) for raw in read_list(answer.body)]
    rows = tuple(
        Row((entry.type, entry.prompt_id) if entry.prompt_id else entry, entry, bool(entry.prompt_id))
        for entry in listed
    )
    return Piece(rows, read_total(answer.body))


def _part(field: str, upload: PromptUpload) -> FilePart:
    return FilePart(field, upload.filename, upload.content_type, upload.path, upload.size)


def _incomplete(doubt: str) -> Transient:
    return Transient(f"list prompts: {doubt}", code="incomplete_list")
