"""Bodies that are no audio at all, whatever their names say."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from pathlib import Path

from tests.audio.case import Case, Maker, put
from tests.audio.cases_wav import SECONDS
from tests.audio.handmade import pgp_armoured, pgp_binary
from tests.audio.sources import honest, voice

HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n"
JSON_59 = b'{"code":124,"message":"Invalid access token. Log in again"}'
S3 = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'
SECRET = b'{"error":"gone","url":"https://api.convirza.com/recordings/1?secret=s3cr3tvalue&access=k3y"}'


def png() -> bytes:
    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = b"".join(b"\0" + bytes(8) for _ in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    )


def beside(text: str) -> Maker:
    """Return a maker of a playlist that names a good recording lying next to it: no reader may follow it."""

    def make(path: Path) -> None:
        path.with_name("inner.wav").write_bytes(honest(voice(SECONDS)))
        path.write_text(text.format(inner=path.with_name("inner.wav")))

    return make


PAGE = "error_page"
NOTHING = "not_audio|no_audio_stream|no_audio|decode_failed"
PLAYLIST = f"{PAGE}|not_audio"

CASES = [
    Case("zero_bytes", "a.wav", put(b""), ("28",), code="empty_file"),
    Case("html_page", "a.wav", put(HTML), ("4a: HTML and JSON", "28"), code=PAGE),
    Case("html_page_after_blanks", "a.mp3", put(b"\xef\xbb\xbf\r\n\r\n  " + HTML), ("28",), code=PAGE),
    Case("json_of_59_bytes", "a.mp3", put(JSON_59), ("4a: HTML and JSON", "28"), code=PAGE),
    Case("json_with_a_secret", "a.mp3", put(SECRET), ("28",), code=PAGE),
    Case("xml_error_of_a_store", "a.wav", put(S3), ("28",), code=PAGE),
    Case("text_error", "a.mp3", put(b"404 page not found\n"), ("28",), code=PAGE),
    Case("utf8_error", "a.mp3", put("Zugriff verweigert: Schlüssel abgelaufen\n".encode()), ("28",),
         code=f"{PAGE}|not_audio"),
    Case("one_byte", "a.wav", put(b"\xff"), ("28",), code="not_audio"),
    Case("riff_and_nothing_else", "a.wav", put(b"RIFF"), ("28",), code="not_audio|error_page"),
    Case("riff_of_another_kind", "a.wav", put(b"RIFF" + struct.pack("<I", 1_000) + b"AVI LIST" + bytes(992)),
         ("28",), code=NOTHING),
    Case("all_zeros", "a.wav", put(bytes(500_000)), ("28",), code="not_audio"),
    Case("all_ones", "a.mp3", put(b"\xff" * 200_000), ("28",), code="not_audio|decode_failed"),
    Case("noise", "a.mp3", put(lambda: random.Random(5).randbytes(200_000)), ("30",),
         code="not_audio|encrypted|decode_failed"),
    Case("encrypted_by_a_public_key", "a.wav", put(lambda: random.Random(6).randbytes(160_000)), ("30",),
         code="not_audio|encrypted"),
    Case("pgp_binary", "a.wav.gpg", put(pgp_binary), ("30",), code="encrypted"),
    Case("pgp_binary_named_wav", "a.wav", put(pgp_binary), ("30",), code="encrypted"),
    Case("pgp_armoured", "a.wav.asc", put(pgp_armoured), ("30",), code="encrypted"),
    Case("gzip", "a.wav", put(lambda: gzip.compress(honest(voice(SECONDS)), mtime=0)), ("30",),
         code="not_audio"),
    Case("zip", "a.wav", put(b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(2_000)), ("30",), code="not_audio"),
    Case("picture", "a.mp3", put(png), ("30",), code="not_audio|no_audio_stream"),
    Case("pdf", "a.wav", put(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(4_000)), ("30",), code="not_audio"),
    Case("playlist", "a.mp3",
         beside("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{inner}\n#EXT-X-ENDLIST\n"), ("28",),
         code=PLAYLIST),
    Case("concat_script", "a.wav", beside("ffconcat version 1.0\nfile '{inner}'\n"), ("28",), code=PLAYLIST),
    Case("session_description", "a.wav",
         beside("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=audio 5004 RTP/AVP 0\r\n{inner}\r\n"),
         ("28",), code=PLAYLIST),
]  # fmt: skip
