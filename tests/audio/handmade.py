"""Files that no tool writes, built byte by byte: RIFF variants, lying MPEG frames, encrypted bodies."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from mediapipe.audio.magic import mpeg_frame
from tests.audio.sources import RATE, Sound

PCM, MS_ADPCM, FLOAT, G729, NOBODYS, EXTENSIBLE = 0x0001, 0x0002, 0x0003, 0x0083, 0x0072, 0xFFFE
"""Format tags; 0x0072 is a Lernout & Hauspie codec that FFmpeg has never had."""

_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def fmt(
    tag: int = PCM,
    channels: int = 1,
    rate: int = RATE,
    bits: int = 16,
    *,
    block: int | None = None,
    byte_rate: int | None = None,
    extra: bytes | None = None,
    order: str = "<",
) -> bytes:
    """Return the body of a ``fmt `` chunk, for any figures however absurd."""
    align = channels * bits // 8 if block is None else block
    speed = rate * align if byte_rate is None else byte_rate
    body = struct.pack(
        order + "HHIIHH", tag, channels, rate, speed & 0xFFFFFFFF, align & 0xFFFF, bits & 0xFFFF
    )
    return body if extra is None else body + struct.pack(order + "H", len(extra)) + extra


def extensible(channels: int, rate: int, bits: int, mask: int, tag: int = PCM) -> bytes:
    """Return the body of a WAVE_FORMAT_EXTENSIBLE ``fmt `` chunk."""
    extra = struct.pack("<HIH", bits, mask, tag) + _GUID_TAIL
    return fmt(EXTENSIBLE, channels, rate, bits, extra=extra)


def chunk(name: bytes, body: bytes, size: int | None = None, *, order: str = "<", pad: bool = True) -> bytes:
    """Return a chunk; ``size`` is what it claims, an odd body is padded unless ``pad`` is off."""
    claimed = len(body) if size is None else size
    return name + struct.pack(order + "I", claimed) + body + b"\0" * (len(body) % 2 if pad else 0)


def riff(*chunks: bytes, magic: bytes = b"RIFF", size: int | None = None, order: str = "<") -> bytes:
    """Return a RIFF/WAVE file; ``size`` is what it claims."""
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack(order + "I", len(body) if size is None else size) + body


def wav(
    audio: bytes, form: bytes | None = None, size: int | None = None, riff_size: int | None = None
) -> bytes:
    """Return a WAV of one ``fmt `` and one ``data`` chunk, whose sizes may be lies."""
    return riff(chunk(b"fmt ", form or fmt()), chunk(b"data", audio, size), size=riff_size)


def rf64(audio: bytes, magic: bytes = b"RF64", form: bytes | None = None) -> bytes:
    """Return an RF64 or BW64 file: 64-bit sizes in a ``ds64`` chunk."""
    form = form or fmt()
    block = struct.unpack("<H", form[12:14])[0]
    body = chunk(b"fmt ", form) + chunk(b"data", audio, 0xFFFFFFFF)
    sizes = struct.pack("<QQQI", 4 + 36 + len(body), len(audio), len(audio) // block, 0)
    return riff(chunk(b"ds64", sizes), body, magic=magic, size=0xFFFFFFFF)


def id3v2(size: int, *frames: bytes) -> bytes:
    """Return an ID3v2.3 tag of ``size`` bytes beyond its own ten, padded behind its frames."""
    body = b"".join(frames).ljust(size, b"\0")
    return b"ID3\x03\x00\x00" + bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0)) + body


def cover(size: int) -> bytes:
    """Return an ID3v2.3 picture frame of about ``size`` bytes."""
    picture = b"\0image/jpeg\0\x03\0\xff\xd8\xff\xe0" + random.Random(4).randbytes(size) + b"\xff\xd9"
    return b"APIC" + struct.pack(">IH", len(picture), 0) + picture


def id3v1(title: bytes = b"greeting") -> bytes:
    """Return the 128 bytes that end many an mp3."""
    return b"TAG" + title.ljust(30, b"\0") + bytes(94) + b"\x0c"


def ape() -> bytes:
    """Return an APEv2 tag of one item, with header and footer."""
    item = struct.pack("<II", 3, 0) + b"Artist\0" + b"IVR"
    words = struct.pack("<III", 2000, len(item) + 32, 1)
    return b"".join(
        b"APETAGEX" + words + struct.pack("<I", flags) + bytes(8) + body
        for flags, body in ((0xA0000000, item), (0x80000000, b""))
    )


def frames(mp3: bytes) -> Iterator[bytes]:
    """Yield the MPEG frames of an mp3 without tags in front."""
    at = 0
    while (frame := mpeg_frame(mp3[at : at + 4])) is not None and at + frame.size <= len(mp3):
        yield mp3[at : at + frame.size]
        at += frame.size


def vbri(like: bytes, count: int) -> bytes:
    """Return a frame with Fraunhofer's VBRI header that claims ``count`` frames, shaped as frame ``like``."""
    entries = 4
    table = struct.pack(f">{entries}H", *([max(1, count // entries * len(like)) & 0xFFFF] * entries))
    head = struct.pack(
        ">4sHHHIIHHHH", b"VBRI", 1, 0, 75, count * len(like), count, entries, 1, 2, count // entries
    )
    return (like[:4] + bytes(32) + head + table).ljust(len(like), b"\0")[: len(like)]


def swapped(sound: Sound) -> bytes:
    """Return the samples as 16-bit big-endian."""
    return (sound.clip(-1, 32767 / 32768) * 32768).round().astype(">i2").T.tobytes()


def pgp_binary(size: int = 40_000) -> bytes:
    """Return what ``gpg --encrypt`` writes: a session key and encrypted data, seemingly random."""
    chance = random.Random(7)
    session = b"\x03" + chance.randbytes(8) + b"\x01\x07\xff" + chance.randbytes(256)
    data = b"\x01" + chance.randbytes(size)
    return (
        b"\x85"
        + struct.pack(">H", len(session))
        + session
        + b"\xd2\xff"
        + struct.pack(">I", len(data))
        + data
    )


def pgp_armoured() -> bytes:
    """Return the same as text."""
    import base64

    lines = base64.encodebytes(pgp_binary(3_000))
    return b"-----BEGIN PGP MESSAGE-----\n\n" + lines + b"=aBcD\n-----END PGP MESSAGE-----\n"
