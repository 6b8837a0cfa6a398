"""A file whose container is known: what its first bytes show, and what a decoder needs to open it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mediapipe.audio.decode import Decoder, Opening
from mediapipe.audio.magic import HEAD_BYTES, error_page, recognise
from mediapipe.audio.mpeg import behind_id3
from mediapipe.audio.raw import RawFormat, by_suffix, raw_format
from mediapipe.audio.structure import Structure, read_structure
from mediapipe.errors import Rejected
from mediapipe.redact import quote_body

_MORE_MAGIC = (
    (b".snd", "au"),
    (b"caff", "caf"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"riff\x2e\x91\xcf\x11", "w64"),
)
"""Containers that only imports meet; no platform serves them."""
_SEALED = (
    b"-----BEGIN PGP",
    b"Salted__",
    b"age-encryption.org",
    b"\x85\x01\x0c",
    b"\x85\x02\x0c",
    b"\xc1\xc1\x4e",
)
"""How encrypted files begin: PGP in its usual key sizes, OpenSSL, age."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file and its container, or the format its headerless bytes are read as.

    ``stream`` is set where the bytes come from an open file; ``path`` then only names them.
    """

    path: Path
    container: str
    size: int
    structure: Structure
    raw: RawFormat | None = None
    stream: BinaryIO | None = None

    def open(self) -> Decoder:
        """Open it for decoding. Raises ``Rejected`` where there is nothing to decode."""
        if self.raw is not None:
            return self._decoder(Opening(self.raw))
        try:
            return self._decoder(self.structure.opening)
        except Rejected as refused:
            # A header may be too much for a decoder while its samples are in plain sight.
            if self.structure.fallback is None or refused.code != "decode_failed":
                raise
            return self._decoder(self.structure.fallback)

    def _decoder(self, opening: Opening) -> Decoder:
        if self.stream is None:
            return Decoder(self.path, self.container, opening)
        self.stream.seek(0)
        return Decoder(self.stream, self.container, opening)


def identify(path: Path, file: BinaryIO, raw_name: str | None = None) -> Source:
    """Return what a file's first bytes show it to be; raises ``Rejected`` when that is no audio.

    ``raw_name`` says how headerless bytes are to be read; without it the file's name may tell.
    """
    size = file.seek(0, 2)
    file.seek(behind_id3(file, size))  # a picture in a tag may be larger than any head
    head = file.read(HEAD_BYTES)
    if not head:
        raise Rejected("the file is empty", code="empty_file", hint="fetch it from its source again")
    container = _container(head)
    if container is not None:
        return Source(path, container, size, read_structure(file, size, container))
    if raw_name:
        return _headerless(path, size, raw_format(raw_name))
    raw = by_suffix(path)
    _refuse_what_is_no_audio(head, headerless=raw is not None)
    if raw is None:
        raise Rejected(
            f"no audio format known here begins with {head[:16].hex(' ')}",
            code="not_audio",
            hint="if it is headerless audio, say which with --raw-format",
        )
    return _headerless(path, size, raw)


def _headerless(path: Path, size: int, raw: RawFormat) -> Source:
    return Source(path, "raw", size, Structure(), raw)


def _container(head: bytes) -> str | None:
    found = recognise(head)
    if found is not None:
        return found.extension
    return next((name for magic, name in _MORE_MAGIC if head.startswith(magic)), None)


def _refuse_what_is_no_audio(head: bytes, *, headerless: bool) -> None:
    if head.startswith(_SEALED):
        raise Rejected("the file is encrypted", code="encrypted", hint="decrypt it first")
    page = error_page(head)
    # Headerless audio may well begin with a brace: it is a page only when all of it is text.
    if page and not (headerless and _has_more_than_text(head)):
        raise Rejected(
            f"the file is a page ({page}), not audio: {quote_body(head, 80)}",
            code="error_page",
            hint="fetch it from its source again",
        )


def _has_more_than_text(head: bytes) -> bool:
    text = head.decode("utf-8", "replace")
    return any(not (char.isprintable() or char in "\r\n\t") or char == "\ufffd" for char in text)
