"""The frame that opens an MP3 and says how long it is: reading it and writing it.

Sources: the Xing header, LAME's "Mp3 Info Tag rev 1", Fraunhofer's VBRI. What decoders make of the gapless
figures is what FFmpeg 5 to 9 do: they heed them only when the version begins with LAME, Lavf or Lavc.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from mediapipe.audio.magic import mpeg_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

XING_ROOM = 4 + 32 + 156
"""Bytes from a frame's start that hold a whole Xing header, whatever the version of MPEG."""
DECODER_DELAY = 528 + 1
"""Samples by which every decoder of layer III is late; it drops them together with the encoder's delay."""
ENCODER_DELAY = 576
"""Samples by which LAME is late, measured at every rate from 8 to 48 kHz."""
SHORT_CLIP = 47
"""Under this many samples at 24 kHz or less FFmpeg 5 to 8 let 529 samples too many through."""
WORDS = frozenset({b"Xing", b"Info"})
LAME = b"LAME3.100\x01" + bytes(26)
"""What LAME says of itself behind the table of contents: version, and that the bitrate is constant."""
NOT_GAPLESS = bytes(36)
"""Nothing said: decoders drop no samples."""
_HEEDED = (b"LAME", b"Lavf", b"Lavc")


@dataclass(frozen=True, slots=True)
class Xing:
    """A Xing/Info header: frames and bytes it promises (0: not said), and LAME's 36 bytes behind them.

    ``frames`` leaves out the frame it stands in, ``size`` counts it in.
    """

    variable: bool
    frames: int
    size: int
    toc: bytes
    extension: bytes

    @property
    def version(self) -> str:
        """The encoder's name for itself, such as ``LAME3.100``."""
        return self.extension[:9].rstrip(b"\0 ").decode("ascii", "replace")

    @property
    def gapless(self) -> bool:
        """Whether decoders heed delay and padding."""
        return self.extension.startswith(_HEEDED)

    @property
    def delay(self) -> int:
        """Samples that the encoder put in front."""
        return int.from_bytes(self.extension[21:24], "big") >> 12

    @property
    def padding(self) -> int:
        """Samples that the encoder put behind."""
        return int.from_bytes(self.extension[21:24], "big") & 0xFFF


@dataclass(frozen=True, slots=True)
class Vbri:
    """A VBRI header: the frames and bytes it promises."""

    frames: int
    size: int


def xing_offset(header: bytes) -> int:
    """Return where in a frame of layer III with this 4-byte header a Xing header stands."""
    mpeg1, mono = header[1] >> 3 & 3 == 3, header[3] >> 6 == 3
    return 4 + (17 if mpeg1 else 9) if mono else 4 + (32 if mpeg1 else 17)


def read_xing(frame: bytes) -> Xing | None:
    """Return the Xing/Info header of the frame that starts here (give XING_ROOM bytes), None without one."""
    if mpeg_frame(frame[:4]) is None or frame[1] >> 1 & 3 != 1:
        return None
    at = xing_offset(frame)
    if frame[at : at + 4] not in WORDS or len(frame) < at + 16:
        return None
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    cursor, frames, size, toc = at + 8, 0, 0, b""
    if flags & 1:
        frames, cursor = int.from_bytes(frame[cursor : cursor + 4], "big"), cursor + 4
    if flags & 2:
        size, cursor = int.from_bytes(frame[cursor : cursor + 4], "big"), cursor + 4
    if flags & 4:
        toc, cursor = frame[cursor : cursor + 100], cursor + 100
    cursor += 4 if flags & 8 else 0
    return Xing(
        frame[at : at + 4] == b"Xing", frames, size, toc, frame[cursor : cursor + 36].ljust(36, b"\0")
    )


def read_vbri(frame: bytes) -> Vbri | None:
    """Return the VBRI header of the frame that starts here, None when there is none of version 1."""
    if frame[36:42] != b"VBRI\0\1" or len(frame) < 54 or mpeg_frame(frame[:4]) is None:
        return None
    size, frames = struct.unpack(">II", frame[46:54])
    return Vbri(frames, size)


def gapless(samples: int, frames: int, samples_per_frame: int, lead: int = 0) -> tuple[int, int]:
    """Return (delay, padding) for what LAME made of so many samples, so that decoders give back just those.

    ``lead`` counts samples of silence that were encoded in front of them: a clip of less than SHORT_CLIP
    samples needs that many. ValueError when the encoder was not flushed, or was fed too much silence.
    """
    delay = ENCODER_DELAY + lead
    padding = frames * samples_per_frame - delay - samples
    if padding < DECODER_DELAY:
        raise ValueError(f"{DECODER_DELAY - padding} samples are still inside the encoder: flush it")
    if delay > 0xFFF or padding > 0xFFF:
        raise ValueError(f"delay {delay} and padding {padding} must both be under 4,096 samples")
    return delay, padding


def info_frame(
    first: bytes,
    *,
    frames: int,
    size: int,
    variable: bool = False,
    delay: int = 0,
    padding: int = 0,
    toc: bytes = b"",
    extension: bytes = LAME,
    music_crc: int = 0,
) -> bytes:
    """Return the frame to put in front of so many frames of ``size`` bytes that begin with header ``first``.

    ``toc`` says for each hundredth of the time at which 256th of the file it is; left out, it is a straight
    line, which fits a constant bitrate. ``extension`` is LAME's part, NOT_GAPLESS so that decoders drop
    nothing; delay, padding, length and both checksums are filled in. Sizes beyond 32 bits are not said.
    """
    at = xing_offset(first)
    header, room = _roomy(first, at + 156)
    total = size + room
    said = (frames <= 0xFFFFFFFF) | (total <= 0xFFFFFFFF) << 1
    figures = b"".join(struct.pack(">I", n) for n in (frames, total) if n <= 0xFFFFFFFF)
    table = toc or bytes(index * 256 // 100 for index in range(100))
    tag = bytearray(extension)
    tag[21:24] = (delay << 12 | padding).to_bytes(3, "big")
    tag[28:34] = struct.pack(">IH", min(total, 0xFFFFFFFF), music_crc)
    word = b"Xing" if variable else b"Info"
    frame = header + bytes(at - 4) + word + struct.pack(">I", said | 12) + figures + table + bytes(4)
    frame += bytes(tag[:34])
    return (frame + struct.pack(">H", _crc(frame))).ljust(room, b"\0")


def _roomy(first: bytes, needed: int) -> tuple[bytes, int]:
    """Return a header like ``first``, of a frame that holds ``needed`` bytes, and the size of that frame."""
    lowest = first[2] >> 4
    for index in (*range(lowest, 15), *range(lowest - 1, 0, -1)):
        header = bytes([0xFF, first[1] | 1, index << 4 | first[2] & 0x0C, first[3]])
        frame = mpeg_frame(header)
        if frame is not None and frame.size >= needed:
            return header, frame.size
    raise ValueError(f"{first.hex()} is no header of layer III")


def music_crc(blocks: Iterable[bytes]) -> int:
    """Return LAME's checksum over all frames behind the Info frame: CRC-16, polynomial 0x8005, reflected."""
    crc = 0
    for block in blocks:
        crc = _crc_wide(block, crc)
    return crc


_BYTEWISE = [0] * 256
for _value in range(256):
    _state = _value
    for _ in range(8):
        _state = _state >> 1 ^ 0xA001 * (_state & 1)
    _BYTEWISE[_value] = _state


def _crc(data: bytes, crc: int = 0) -> int:
    for byte in data:
        crc = crc >> 8 ^ _BYTEWISE[(crc ^ byte) & 0xFF]
    return crc


_LANES = 1024


def _crc_wide(data: bytes, crc: int) -> int:
    """Take 1,024 stretches of the data side by side: byte by byte, 50 MB would take five seconds."""
    steps = len(data) // 2 // _LANES
    if not steps:
        return _crc(data, crc)
    import numpy as np  # those who only read headers need not wait for it

    words = np.frombuffer(data, "<u2", steps * _LANES).reshape(_LANES, steps).T.copy()
    table, state = _advance(1), np.zeros(_LANES, np.uint16)
    for row in words:
        state = table[state ^ row]
    further = _advance(steps)
    for lane in state.tolist():
        crc = int(further[crc]) ^ lane
    return _crc(data[steps * _LANES * 2 :], crc)


@lru_cache(maxsize=32)
def _advance(words: int) -> NDArray[np.uint16]:
    """Return what becomes of each state when so many 16-bit words of zeros follow it."""
    import numpy as np

    if words == 1:
        bytewise = np.array(_BYTEWISE, np.uint16)
        state = np.arange(65_536, dtype=np.uint16)
        for _ in range(2):
            state = state >> np.uint16(8) ^ bytewise[state & np.uint16(0xFF)]
        return state
    half = _advance(words // 2)
    table = half[half]
    return _advance(1)[table] if words % 2 else table
