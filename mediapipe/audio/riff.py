"""WAVE files chunk by chunk: what is really in them, and how a clean header is written.

The walk believes no size: it goes where FFmpeg 5, 8 and 9 go, and says what is there. As seen with those: of
several ``data`` chunks they decode the last, a size of 0 or beyond the file means all up to its end, chunks
behind the audio included, an RF64 file goes by ``ds64`` alone; whole numbers of 24 bits in 32 they take for
floating point. FFmpeg 8 and 9 open no WAVE behind an ID3 tag.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from mediapipe.audio.mpeg import behind_id3

PCM, FLOAT, ALAW, MULAW = 1, 3, 6, 7
MPEG_LAYER_3 = 0x55
LINEAR = frozenset({PCM, FLOAT, ALAW, MULAW})
"""Format tags of which every sample has the same bytes."""
BLOCKS = frozenset({0x0002, 0x0011, 0x0031})
"""Format tags (ADPCM of Microsoft and IMA, GSM) that say how many samples a block holds."""
RATES = range(4_000, 192_001)
CHANNELS = range(1, 9)
"""What the engine takes; the header of a stored recording may say more."""

_MOST_TRAILING = 4_096
"""So much behind the audio may be anything; more, and a tenth of a second of it, may be audio."""
_USUAL = frozenset({b"fmt ", b"data", b"fact", b"LIST"})
_MAGICS = frozenset({b"RIFF", b"RIFX", b"RF64", b"BW64"})
_EXTENSIBLE = 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_DEFAULT_MASKS = {1: 0x4, 2: 0x3}
_UNKNOWN_FROM = 0x7FFF0000
"""Programs that do not know the length (a pipe, a crash) write 0 or something near 2 or 4 GiB."""
_MOST_CHUNKS = 1_000
_MOST_FMT = 4_096
LONGEST_DATA = 0xFFFFFFFF - 64 - _MOST_FMT
"""Bytes of audio that fit a RIFF file with any format chunk."""


@dataclass(frozen=True, slots=True)
class Fmt:
    """What a ``fmt`` chunk says. Rate in Hz, ``byte_rate`` in bytes a second, ``block_align`` in bytes.

    ``tag`` is the codec's number, looked up in the sub-format of WAVE_FORMAT_EXTENSIBLE. ``bits`` are those
    that a sample takes, ``valid_bits`` those that count. ``raw`` is the chunk as it stands.
    """

    tag: int
    channels: int
    sample_rate: int
    byte_rate: int
    block_align: int
    bits: int
    valid_bits: int
    channel_mask: int
    raw: bytes

    @property
    def linear(self) -> bool:
        """Whether every sample has the same bytes, and the block is that of one sample per channel."""
        return self.tag in LINEAR and 0 < self.block_align == self.channels * self.bits // 8

    @property
    def samples_per_block(self) -> int:
        """Samples per channel in a block, 0 where the chunk does not say."""
        if self.linear:
            return 1
        return int.from_bytes(self.raw[18:20], "little") if self.tag in BLOCKS else 0

    def canonical(self) -> bytes:
        """Return the chunk's content as it should be: plain where that says it all, else extensible."""
        if not self.linear:
            return self.raw if len(self.raw) >= 18 else self.raw.ljust(18, b"\0")
        plain = self.channels <= 2 and self.valid_bits == self.bits
        plain = plain and self.channel_mask in {0, _DEFAULT_MASKS.get(self.channels)}
        content = struct.pack(
            "<HHIIHH",
            self.tag if plain else _EXTENSIBLE,
            self.channels,
            self.sample_rate,
            self.sample_rate * self.block_align,
            self.block_align,
            self.bits,
        )
        if plain:
            return content if self.tag == PCM else content + bytes(2)
        guid = struct.pack("<H", self.tag) + _GUID_TAIL
        return content + struct.pack("<HHI", 22, self.valid_bits, self.channel_mask) + guid


@dataclass(frozen=True, slots=True)
class Data:
    """A ``data`` chunk: where its bytes begin, how many are promised (0: unknown), how many are there."""

    at: int
    promised: int
    there: int


@dataclass(frozen=True, slots=True)
class Riff:
    """What is in a WAVE file. ``start`` is where it begins, ``order`` its byte order as in :mod:`struct`.

    ``fact`` is the number of samples that a ``fact`` chunk promises. ``overhead`` counts bytes that are
    neither format nor audio, ``trailing`` those of them at the end that are no chunk. ``needs`` and
    ``findings`` are stable codes: what a rewrap would repair, and what a person should know.
    """

    start: int
    order: str
    magic: bytes
    fmt: Fmt | None
    data: tuple[Data, ...]
    fact: int | None
    size_unknown: bool
    data_before_fmt: bool
    truncated: bool
    overhead: int
    trailing: int
    needs: tuple[str, ...]
    findings: tuple[str, ...]

    @property
    def audio(self) -> Data | None:
        """The chunk that is decoded: the last, where there are several."""
        return self.data[-1] if self.data else None

    @property
    def samples(self) -> int | None:
        """Samples per channel of linear audio, a block that is not whole left out; None for other codecs."""
        if self.fmt is None or not self.fmt.linear or self.audio is None:
            return None
        return self.audio.there // self.fmt.block_align


def walk(file: BinaryIO, size: int) -> Riff | None:
    """Return what is in a seekable WAVE file of ``size`` bytes, None when it is none."""
    start = behind_id3(file, size)
    head = _read(file, start, 12)
    if head[:4] not in _MAGICS or head[8:12] != b"WAVE":
        return None
    seen = _Seen(file, size, head[:4])
    cursor = seen.proper = start + 12
    for _ in range(_MOST_CHUNKS):
        header = _read(file, cursor, 8)
        if cursor > start + 12 and header[:4] not in _USUAL and _read(file, cursor - 1, 4) in _USUAL:
            # A writer that forgot the padding of an odd chunk.
            seen.unpadded, cursor = True, cursor - 1
            header = _read(file, cursor, 8)
        if len(header) < 8:
            break
        length = struct.unpack(seen.order + "I", header[4:])[0]
        following = seen.take(header[:4], cursor + 8, length)
        if following >= size:
            break
        cursor = following
    return _summary(seen, start, size)


def _read(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


@dataclass(slots=True)
class _Seen:
    """What chunks said so far. ``core`` counts bytes of format and audio, ``proper`` ends the last chunk."""

    file: BinaryIO
    size: int
    magic: bytes
    fmt: Fmt | None = None
    data: list[Data] = field(default_factory=list)
    fact: int | None = None
    ds64: int | None = None
    core: int = 12
    proper: int = 0
    size_unknown: bool = False
    data_before_fmt: bool = False
    unpadded: bool = False
    empty_data: bool = False
    joined: bool = False

    @property
    def order(self) -> str:
        return ">" if self.magic == b"RIFX" else "<"

    def take(self, name: bytes, at: int, length: int) -> int:
        """Take a chunk; return where the next one begins."""
        if name == b"data" and length == 0 and (self.data or _read(self.file, at, 4) in _USUAL):
            self.empty_data = True  # nothing is in it, and where the next chunk begins is known
        elif name == b"data":
            length = self._data(at, length)
        elif name in _MAGICS and self.data:
            self.joined = True
        elif name == b"fmt " and self.fmt is None:
            self.fmt = _fmt(_read(self.file, at, min(length, _MOST_FMT)), self.order)
        elif name == b"fact" and len(said := _read(self.file, at, min(length, 4))) == 4:
            self.fact = struct.unpack(self.order + "I", said)[0]
        elif (
            name == b"ds64" and self.ds64 is None and len(said := _read(self.file, at, min(length, 16))) == 16
        ):
            self.ds64 = struct.unpack("<8xQ", said)[0]
        end = at + length
        following = end + length % 2
        if name in {b"fmt ", b"fact", b"ds64", b"data"}:
            self.core += min(following, self.size) - at + 8
        if end <= self.size and all(0x20 <= byte < 0x7F for byte in name):
            self.proper = min(following, self.size)
        return following

    def _data(self, at: int, length: int) -> int:
        there = max(0, self.size - at)
        wide = self.ds64 if self.magic in {b"RF64", b"BW64"} and self.ds64 else 0
        if 0 < wide < 1 << 63:
            length, unknown = wide, False
        else:
            unknown = length == 0 or (length >= _UNKNOWN_FROM and length > there)
        self.data.append(Data(at, 0 if unknown else length, there if unknown else min(length, there)))
        self.size_unknown = unknown
        self.data_before_fmt = self.data_before_fmt or self.fmt is None
        return there if unknown else length


def _fmt(raw: bytes, order: str) -> Fmt | None:
    if len(raw) < 16:
        return None
    tag, channels, rate, byte_rate, block, bits = struct.unpack(order + "HHIIHH", raw[:16])
    valid, mask = bits, 0
    if tag == _EXTENSIBLE and len(raw) >= 40 and raw[28:40].endswith(_GUID_TAIL[-8:]):
        said, mask, tag = struct.unpack(order + "HIH", raw[18:26])
        if order == ">":
            tag = struct.unpack(">I", raw[24:28])[0] & 0xFFFF
        valid = said or bits
    if tag in {ALAW, MULAW}:
        bits = valid = 8
    return Fmt(tag, channels, rate, byte_rate, block, (bits + 7) // 8 * 8, valid, mask, raw)


def _summary(seen: _Seen, start: int, size: int) -> Riff:
    audio = seen.data[-1] if seen.data else None
    truncated = audio is not None and audio.promised > audio.there
    trailing = 0 if audio is None or truncated else max(0, size - seen.proper)
    return Riff(
        start,
        seen.order,
        seen.magic,
        seen.fmt,
        tuple(seen.data),
        seen.fact,
        seen.size_unknown,
        seen.data_before_fmt,
        truncated,
        max(0, size - seen.core),
        trailing,
        tuple(_needs(seen, start, trailing)),
        tuple(_findings(seen, truncated, trailing)),
    )


def _needs(seen: _Seen, start: int, trailing: int) -> Iterator[str]:
    if seen.fmt is None or not seen.data:
        return  # beyond repair
    there = seen.data[-1].there
    if seen.size_unknown and there:
        yield "size_unknown_in_header"
    if start:
        yield "id3_before_riff"
    if seen.data_before_fmt:
        yield "data_before_fmt"
    if seen.unpadded:
        yield "odd_padding"
    if seen.empty_data:
        yield "empty_data_chunk"
    if seen.magic in {b"RF64", b"BW64"} and there <= LONGEST_DATA:
        yield "rf64"
    if trailing:
        yield "trailing_garbage"


def _findings(seen: _Seen, truncated: bool, trailing: int) -> Iterator[str]:
    fmt = seen.fmt
    if fmt is None or not seen.data:
        yield "header_unreadable"
    elif fmt.sample_rate not in RATES or fmt.channels not in CHANNELS or len(fmt.raw) == _MOST_FMT:
        yield "header_absurd"
    elif fmt.linear and (fmt.valid_bits + 7) // 8 != fmt.bits // 8:
        yield "padded_samples"  # decoders go by the bits that count
    elif fmt.tag in {PCM, FLOAT} and fmt.block_align // max(1, fmt.channels) in range(fmt.bits // 8 + 1, 9):
        yield "block_size_mismatch"  # at which end of their block the bits stand is anybody's guess
    if len(seen.data) > 1 or seen.joined:
        yield "second_data_chunk"
    if fmt and trailing > max(_MOST_TRAILING, fmt.sample_rate * fmt.block_align // 10):
        yield "longer_than_header"
    if truncated:
        yield "shorter_than_header"


def wav_header(
    *, data_bytes: int, channels: int, sample_rate: int, bits: int = 16, is_float: bool = False
) -> bytes:
    """Return the header of a linear PCM or float file, up to its audio; :func:`padding` follows that.

    It is as long for every ``data_bytes``. ValueError for more than LONGEST_DATA.
    """
    block = channels * bits // 8
    tag = FLOAT if is_float else PCM
    fmt = Fmt(tag, channels, sample_rate, sample_rate * block, block, bits, bits, 0, b"")
    return header_of(fmt, data_bytes, data_bytes // block)


def header_of(fmt: Fmt, data_bytes: int, samples: int | None = None) -> bytes:
    """Return a header for audio in any codec, of ``samples`` samples per channel where that is known."""
    if not 0 <= data_bytes <= LONGEST_DATA:
        raise ValueError(f"{data_bytes:,} bytes of audio do not fit a WAVE file, at most {LONGEST_DATA:,} do")
    chunks = _chunk(b"fmt ", fmt.canonical())
    if fmt.tag != PCM and samples is not None:
        chunks += _chunk(b"fact", struct.pack("<I", samples))
    whole = 4 + len(chunks) + 8 + data_bytes + data_bytes % 2
    return b"RIFF" + struct.pack("<I", whole) + b"WAVE" + chunks + b"data" + struct.pack("<I", data_bytes)


def padding(data_bytes: int) -> bytes:
    """Return what has to follow the audio: chunks have an even length."""
    return bytes(data_bytes % 2)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + padding(len(content))
