"""Which format the first bytes are, and whether they are an error page instead. Pure.

Source of the signatures: RIFF/WAVE, RFC 3533 (Ogg), RFC 9639 (FLAC), ISO 14496-12 (ftyp),
EBML/Matroska, ISO 11172-3 and ID3v2 (MPEG audio), ISO 13818-7 (ADTS), ETSI AMR, AIFF.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD_BYTES = 65_536
"""How much of a file's start the functions here want to see."""


@dataclass(frozen=True, slots=True)
class Format:
    """A container as its first bytes show it: file extension without dot, and media type."""

    extension: str
    content_type: str


WAV = Format("wav", "audio/wav")
MP3 = Format("mp3", "audio/mpeg")
OGG = Format("ogg", "audio/ogg")
FLAC = Format("flac", "audio/flac")
M4A = Format("m4a", "audio/mp4")
MP4 = Format("mp4", "video/mp4")
WEBM = Format("webm", "video/webm")
AAC = Format("aac", "audio/aac")
AMR = Format("amr", "audio/amr")
AIFF = Format("aiff", "audio/aiff")

CONTENT_TYPES = {f.extension: f.content_type for f in (WAV, MP3, OGG, FLAC, M4A, MP4, WEBM, AAC, AMR, AIFF)}


def after_id3(head: bytes) -> int:
    """Return where the audio starts behind any ID3v2 tags at the front (may lie beyond ``head``)."""
    at = 0
    while head[at : at + 3] == b"ID3" and len(head) >= at + 10:
        size = 0
        for byte in head[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        footer = 10 if head[at + 5] & 0x10 else 0
        at += 10 + size + footer
    return at


def recognise(head: bytes) -> Format | None:
    """Return the format that the first bytes show, or None when they show no audio container known here."""
    at = after_id3(head)
    body = head[at:]
    if not body:  # a tag larger than what we see: only MPEG audio is found behind such a thing
        return MP3 if at else None
    if body[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"} and body[8:12] == b"WAVE":
        return WAV
    if body[:4] == b"FORM" and body[8:12] in {b"AIFF", b"AIFC"}:
        return AIFF
    if body[4:8] == b"ftyp":
        return M4A if body[8:11] in {b"M4A", b"M4B"} else MP4
    for magic, found in ((b"OggS", OGG), (b"fLaC", FLAC), (b"\x1aE\xdf\xa3", WEBM), (b"#!AMR", AMR)):
        if body.startswith(magic):
            return found
    return _mpeg(body, tagged=at > 0)


def _mpeg(body: bytes, *, tagged: bool) -> Format | None:
    """Tell MPEG audio and ADTS by frame headers that chain; a lone sync word proves nothing."""
    padding = len(body) - len(body.lstrip(b"\0"))
    at = padding if tagged or padding <= 4096 else 0
    if (size := adts_frame(body[at : at + 7])) and adts_frame(body[at + size : at + size + 7]):
        return AAC
    frame = mpeg_frame(body[at : at + 4])
    if frame is None:
        return None
    following = body[at + frame.size : at + frame.size + 4]
    if len(following) < 4:  # a very short clip: one whole frame, and nothing left to contradict it
        return MP3 if at + frame.size <= len(body) else None
    return MP3 if mpeg_frame(following) is not None or following[:3] == b"TAG" else None


@dataclass(frozen=True, slots=True)
class MpegFrame:
    """One MPEG audio frame header: rate in Hz, bitrate in bit/s, size in bytes, samples per frame."""

    sample_rate: int
    channels: int
    bitrate: int
    size: int
    samples: int


_BITRATES = {
    # (is MPEG-1, layer): kbit/s by header index
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def mpeg_frame(header: bytes) -> MpegFrame | None:
    """Return what a 4-byte MPEG audio frame header says, or None when it is none (free format included)."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate_index, rate_index = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or rate_index == 3 or bitrate_index in {0, 15}:
        return None
    mpeg1 = version == 3
    rate = _RATES[version][rate_index]
    bitrate = _BITRATES[mpeg1, layer][bitrate_index] * 1000
    padding = header[2] >> 1 & 1
    if layer == 1:
        samples, size = 384, (12 * bitrate // rate + padding) * 4
    else:
        samples = 1152 if mpeg1 or layer == 2 else 576
        size = samples // 8 * bitrate // rate + padding
    channels = 1 if header[3] >> 6 == 3 else 2
    return MpegFrame(rate, channels, bitrate, size, samples)


def adts_frame(header: bytes) -> int:
    """Return the length of the ADTS (AAC) frame that starts here, or 0."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else 0


def error_page(head: bytes) -> str:
    """Return ``"html"``, ``"json"`` or ``"text"`` when the bytes are a page instead of audio, else ``""``."""
    start = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    lowered = start[:64].lower()
    if lowered.startswith((b"<!doctype", b"<html", b"<?xml", b"<error", b"<head", b"<body")):
        return "html"
    if start[:1] in {b"{", b"["}:
        return "json"
    sample = head[:1024]
    if sample and not any(byte < 9 or 13 < byte < 32 or byte > 126 for byte in sample):
        return "text"
    return ""
