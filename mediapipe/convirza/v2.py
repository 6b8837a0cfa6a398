"""The v2 API, deprecated and still needed: calls are uploaded there and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mediapipe.convirza.creating import Begin, Creation, Posting, create
from mediapipe.convirza.multipart import FilePart
from mediapipe.convirza.session import Session, as_answer
from mediapipe.convirza.uploads import Answer, sort_answer

__all__ = ["V2", "Begin", "CallUpload", "Posting"]


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
        return await create(self.session, self._posting, _creation(upload, self._posting), begin=begin)


def _creation(upload: CallUpload, posting: Posting) -> Creation:
    fields = dict(upload.fields)
    parts: tuple[FilePart, ...] = ()
    if upload.path is None:
        fields["recording_url"] = upload.recording_url
    else:
        parts = (
            FilePart(posting.file_field, upload.filename, upload.content_type, upload.path, upload.size),
        )
    return Creation(
        path="/call/upload",
        fields=fields,
        parts=parts,
        sort=sort_answer,
        doing=f"upload call {upload.fields.get('external_id', '')}".rstrip(),
        what="call",
        secrets=(upload.recording_url,),
    )
