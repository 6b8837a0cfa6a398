"""Which encoding a manifest is in: by its mark, by all of its bytes, or as somebody says."""

from __future__ import annotations

import codecs

from mediapipe.errors import UsageError
from mediapipe.manifest.source import Source

_CHUNK = 1 << 20
_SAVE = "save it as CSV UTF-8"

# The longer mark first: UTF-32's begins like UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_OTHER_FILES = (
    (b"PK\x03\x04", "is an Excel workbook or a zip archive"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook"),
    (b"\x1f\x8b", "is compressed twice"),
    (b"BZh", "is compressed by bzip2"),
    (b"\xfd7zXZ", "is compressed by xz"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd"),
    (b"%PDF", "is a PDF"),
    (b"SQLite format 3", "is a database"),
)
_SAMPLE = '"a",b;{1}\n'


def find_encoding(source: Source, head: bytes, told: str | None) -> tuple[str, int, str]:
    """Return an encoding of Python's, the bytes of the file's mark, and words for how it was found.

    Raises ``UsageError`` for a file that is no text, or not in the encoding that it is said to be in.
    """
    for magic, what in _OTHER_FILES:
        if head.startswith(magic):
            raise UsageError(f"{source.where}: {what}, not CSV text", hint=_SAVE)
    if told is not None:
        return _as_told(source, head, told)
    for mark, encoding, name in _MARKS:
        if head.startswith(mark):
            if (bad := _first_bad(source, encoding.removesuffix("-sig"))) is not None:
                raise UsageError(f"{source.where}: its mark says {name}, but byte {bad} is not", hint=_SAVE)
            return encoding, len(mark), f"{name} by its mark"
    if head.count(b"\0") > len(head) // 5:
        raise UsageError(f"{source.where}: looks like UTF-16 without its mark, or like no text", hint=_SAVE)
    bad = _first_bad(source, "utf-8")
    if bad is None:
        return "utf-8", 0, "UTF-8"
    return "cp1252", 0, f"Windows-1252, because byte {bad} is no UTF-8"


def _as_told(source: Source, head: bytes, told: str) -> tuple[str, int, str]:
    try:
        encoding = codecs.lookup(told).name
        codecs.getincrementaldecoder(encoding)
        whole = _SAMPLE.encode(encoding).decode(encoding) == _SAMPLE
    except (LookupError, ValueError):  # no such name; one with odd characters in it
        whole = False
    if not whole:
        hint = "such as utf-8, cp1252, iso-8859-15, utf-16; leave it out to have it found out"
        raise UsageError(f"the setting manifest.encoding says {told!r}: no encoding of text", hint=hint)
    mark = 0
    for begin, marked, _ in _MARKS:
        if head.startswith(begin) and encoding.startswith(marked.removesuffix("-sig")):
            encoding, mark = marked, len(begin)
            break
    if (bad := _first_bad(source, encoding.removesuffix("-sig"))) is not None:
        problem = f"{source.where}: byte {bad} is not in {told}, which the setting manifest.encoding says"
        hint = "leave the encoding out to have it found out"
        if encoding in ("utf-16", "utf-32") and not mark:
            hint = f"the file has no mark: say {encoding}-le or {encoding}-be"
        raise UsageError(problem, hint=hint)
    return encoding, mark, f"{encoding} as told"


def _first_bad(source: Source, encoding: str) -> int | None:
    """Return the offset of the first byte that the encoding does not know, from reading all of them."""
    decoder = codecs.getincrementaldecoder(encoding)()
    at = 0
    with source.reading() as file:
        more = True
        while more:
            chunk = file.read(_CHUNK)
            more = bool(chunk)
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not more)
            except UnicodeError as error:
                return at - held + getattr(error, "start", 0)
            at += len(chunk)
    return None


def is_utf8(source: Source) -> bool:
    """Tell whether all of a file is UTF-8."""
    return _first_bad(source, "utf-8") is None


def decode_head(encoding: str, head: bytes) -> str:
    """Return the text of a file's first bytes. A character cut in two at their end is not damage."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(head)
