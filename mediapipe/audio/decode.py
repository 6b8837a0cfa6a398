"""Decoding, the owner of PyAV's reading side: from bytes to blocks of samples, within bounds.

The container is told, never guessed: libavformat's own guess would follow a playlist that calls itself a
recording to other files and hosts. Every figure from a header is checked before anything hangs on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.packet import Packet
from numpy.typing import NDArray

from mediapipe.audio.raw import RawFormat
from mediapipe.errors import Rejected

RATES = range(4_000, 192_001)
CHANNELS = range(1, 9)
_LARGEST_FRAME = 8_192
_LOUDEST = 4.0
"""Floats over full scale that are taken for audio; 12 dB are more than any codec overshoots."""
MOST_ERRORS = 1_000
"""Packets that cannot be decoded before the rest is not even tried."""

_DEMUXERS: Mapping[str, str] = {
    "wav": "wav", "mp3": "mp3", "ogg": "ogg", "flac": "flac", "m4a": "mov", "mp4": "mov", "webm": "matroska",
    "aac": "aac", "amr": "amr", "aiff": "aiff", "au": "au", "caf": "caf", "asf": "asf", "w64": "w64",
}  # fmt: skip
_LARGE_PACKETS = {"max_size": "16384"}
"""Packets of linear audio; the default of 1 kB costs three times as much, a larger one is slower again."""
_BOUNDS = {
    "probesize": "1000000",
    "analyzeduration": "2000000",
    "max_streams": "16",
    "protocol_whitelist": "file",
}
_PLAIN_WAV = {"probesize": "32"}
"""A WAV header says all there is to know: reading on to find it out costs more than a prompt's decode."""
Samples = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Coding:
    """How a stream is coded: FFmpeg's codec name, rate in Hz, channels and their layout.

    ``bits`` is the size of a stored sample, 0 where the codec has none. ``full_scale`` is the sample value of
    0 dB in what is decoded, ``ceiling`` the one at which the source clips.
    """

    codec: str
    sample_rate: int
    channels: int
    layout: str
    bits: int
    full_scale: float
    ceiling: float


@dataclass(frozen=True, slots=True)
class Opening:
    """How a file is to be opened, where more is known than its container.

    ``raw`` is the format of headerless bytes. ``skip`` bytes in front are passed over, and after ``samples``
    the audio ends, whatever follows. ``plain`` says that the header alone tells all there is to know.
    ``codec`` is what the container calls its codec, for messages.
    """

    raw: RawFormat | None = None
    skip: int = 0
    samples: int | None = None
    plain: bool = False
    codec: str = ""

    def options(self, container: str) -> dict[str, str]:
        """Return FFmpeg's options for it."""
        options = {**_BOUNDS, **(_PLAIN_WAV if self.plain else {})}
        if self.raw is not None:
            options |= self.raw.options
        elif container == "wav":
            options |= _LARGE_PACKETS
        if self.skip:
            options["skip_initial_bytes"] = str(self.skip)
        return options


AS_IT_IS = Opening()


class Decoder:
    """An audio file open for reading; a context manager.

    ``container`` is a name of :mod:`mediapipe.audio.magic`. Raises ``Rejected`` with a stable code where
    there is nothing to decode.
    """

    def __init__(
        self,
        source: Path | BinaryIO,
        container: str,
        opening: Opening = AS_IT_IS,
    ) -> None:
        demuxer = opening.raw.demuxer if opening.raw else _DEMUXERS[container]
        self.errors = 0
        """Packets that could not be decoded."""
        self.encrypted = False
        """What could not be decoded was encrypted, as a file under digital rights management is."""
        self.mixed = False
        """Rate or channels changed midway; what came after is not decoded."""
        self._most = opening.samples
        self._fills_last_frame = demuxer == "mov"
        self._surplus = 0
        """Samples at the end that only fill the last frame; an MP4 says so by its last packet's length."""
        try:
            self._container = av.open(
                str(source) if isinstance(source, Path) else source, "r", format=demuxer,
                options=opening.options(container), metadata_errors="replace",
            )  # fmt: skip
        except (FFmpegError, ValueError, OverflowError) as error:
            raise Rejected(
                f"the {container} container cannot be read: {words_of(error)}", code="decode_failed"
            ) from None
        try:
            self.stream = self._audio_stream(container)
            self._form, self._coding = _claimed(self.stream, opening.codec)
        except BaseException:
            self._container.close()
            raise
        self._batches = self._frames()
        self._first: list[AudioFrame] | None = None

    def _audio_stream(self, container: str) -> AudioStream:
        streams = self._container.streams
        self.audio_streams, self.video_streams = len(streams.audio), 0
        for stream in streams.video:
            # Cover art is a picture, not a film.
            self.video_streams += not stream.disposition & stream.disposition.attached_pic
        if not streams.audio:
            raise Rejected(f"the {container} file holds no audio", code="no_audio_stream")
        return streams.audio[0]

    @property
    def declared_s(self) -> float | None:
        """The length that the container declares, None where it declares none."""
        length = self._container.duration
        return length / av.time_base if length and length > 0 else None

    @property
    def coding(self) -> Coding:
        """How the stream is coded: as its first frame shows, which headers do not always say."""
        if self._first is None:
            self._first = next(self._batches, [])
            if self._first:
                frame = self._first[0]
                self._form, self._coding = _shown(self._coding, frame)
        return self._coding

    def blocks(self, size: int) -> Iterator[Samples]:
        """Yield samples of shape (channels, size), the last block maybe shorter; int16, int32 or float.

        Floats are finite and not far over full scale, whatever the file holds. Errors of single packets are
        counted and passed over, as players do. To be called once.
        """
        left = self._most
        for block in self._all_blocks(size):
            kept = block if left is None else block[:, :left]
            if kept.shape[1]:
                yield kept
            if left is not None:
                left -= kept.shape[1]
                if not left:
                    return

    def _all_blocks(self, size: int) -> Iterator[Samples]:
        coding = self.coding
        hold = _LARGEST_FRAME if self._fills_last_frame else 0
        gather = _Gather(size, self._form, coding.channels, hold)
        shape = self._form, coding.sample_rate, coding.channels
        for frames in chain([self._first] if self._first else [], self._batches):
            first = frames[0]
            if (first.format.name, first.sample_rate, first.layout.nb_channels) != shape:
                self.mixed = True
                break
            gather.add(frames)
            if gather.samples >= size + hold:
                yield from gather.full()
        yield from gather.rest(self._surplus)

    def _frames(self) -> Iterator[list[AudioFrame]]:
        """Yield the frames of each packet that has any. A packet's frames are all of one shape."""
        for packet in self.packets():
            try:
                frames = packet.decode()
            except FFmpegError:
                self.errors += 1
                self.encrypted = self.encrypted or packet.has_sidedata("encryption_info")
                if self.errors >= MOST_ERRORS:
                    return
            else:
                if frames and self._fills_last_frame:
                    lasts = float((packet.duration or 0) * (packet.time_base or 0))
                    wanted = round(lasts * frames[0].sample_rate) or frames[0].samples
                    self._surplus = max(0, sum(frame.samples for frame in frames) - wanted)
                if frames:
                    yield frames

    def packets(self) -> Iterator[Packet[AudioStream]]:
        """Yield coded packets, and an empty one at the end that fetches what the decoder still holds."""
        packets = self._container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError:  # the container itself is damaged from here on
                self.errors += 1
                return
            yield packet

    def close(self) -> None:
        """Close the file; idempotent."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Gather:
    """Joins frames into blocks: a call per block instead of many per frame."""

    def __init__(self, size: int, form: str, channels: int, hold: int) -> None:
        self._size, self._kind, self._channels, self._hold = size, _DTYPES[form], channels, hold
        self._planar = form.endswith("p") and channels > 1
        self.samples = 0
        self._pieces: list[Samples] = []

    def add(self, frames: list[AudioFrame]) -> None:
        """Take frames. Their memory is looked at, not copied; the view keeps it alive."""
        # Some codecs have fifty frames a second: what is done for each is the cost of decoding them.
        kind, pieces, width = self._kind, self._pieces, 1 if self._planar else self._channels
        for frame in frames:
            count = frame.samples
            planes: tuple[Any, ...] = frame.planes  # buffers, though their type does not say so
            if self._planar:
                pieces.append(np.stack([np.frombuffer(plane, kind, count) for plane in planes]))
            else:
                pieces.append(np.frombuffer(planes[0], kind, count * width))
            self.samples += count

    def full(self) -> Iterator[Samples]:
        """Yield the blocks that are full and keep what is over, ``hold`` samples at least."""
        joined = self._joined()
        free = joined.shape[1] - self._hold
        whole = free - free % self._size
        for at in range(0, whole, self._size):
            yield _plain(joined[:, at : at + self._size])
        left = joined[:, whole:]
        self._pieces[:] = [left if self._planar else left.T.ravel()]
        self.samples = left.shape[1]

    def rest(self, surplus: int) -> Iterator[Samples]:
        """Yield what is left but for ``surplus`` samples."""
        if not self.samples:
            return
        joined = self._joined()[:, : max(0, self.samples - surplus)]
        for at in range(0, joined.shape[1], self._size):
            yield _plain(joined[:, at : at + self._size])

    def _joined(self) -> Samples:
        if self._planar:
            return np.concatenate(self._pieces, axis=1)
        return np.concatenate(self._pieces).reshape(-1, self._channels).T


def _plain(block: Samples) -> Samples:
    """Return samples that can be reckoned with: 8 bits made 16, and floats that are finite numbers."""
    if block.dtype == np.uint8:
        return (block.astype(np.int16) - 128) * np.int16(256)
    if block.dtype.kind == "f":
        return np.nan_to_num(np.clip(block, -_LOUDEST, _LOUDEST), nan=0.0)  # type: ignore[no-any-return]
    return block


_DTYPES: Mapping[str, Any] = {
    name + planar: kind
    for name, kind in (("u8", np.uint8), ("s16", np.int16), ("s32", np.int32), ("flt", np.float32),
                       ("dbl", np.float64))
    for planar in ("", "p")
}  # fmt: skip
_SCALES: Mapping[str, float] = {"u8": 2.0**15, "s16": 2.0**15, "s32": 2.0**31, "flt": 1.0, "dbl": 1.0}
_COMPANDED: Mapping[str, float] = {"pcm_mulaw": 32_124.0, "pcm_alaw": 32_256.0}
"""The largest value these codes have."""
_ALMOST = 0.99
"""What came through a lossy codec swings around the level at which it was clipped."""


def _claimed(stream: AudioStream, codec: str) -> tuple[str, Coding]:
    """Return sample format and coding as the header has them. Raises ``Rejected`` where they are absurd."""
    context: AudioCodecContext | None = stream.codec_context
    if context is None:  # its type does not say so, but a codec that nobody here decodes has none
        raise Rejected(f"there is no decoder for its codec{codec and f' {codec}'}", code="no_decoder")
    form = context.format.name if context.format else ""
    return _checked(context.codec.canonical_name, form, context.sample_rate, context.layout)


def _shown(claimed: Coding, frame: AudioFrame) -> tuple[str, Coding]:
    """Return sample format and coding as the first frame has them."""
    return _checked(claimed.codec, frame.format.name, frame.sample_rate, frame.layout)


def _checked(codec: str, form: str, rate: int, layout: AudioLayout) -> tuple[str, Coding]:
    channels = layout.nb_channels
    if rate not in RATES or channels not in CHANNELS:
        problem = f"the header says {rate:,} Hz and {channels:,} channels"
        hint = f"{RATES[0]:,} to {RATES[-1]:,} Hz and at most {CHANNELS[-1]} channels are taken"
        raise Rejected(problem, code="header_absurd", hint=hint)
    if form not in _DTYPES:
        raise Rejected(f"codec {codec} decodes to {form or 'nothing'}", code="no_decoder")
    scale = _SCALES[form.removesuffix("p")]
    bits = _stored_bits(codec, form)
    # A WAV header of the plain kind names no layout; one and two channels are what everybody means by them.
    name = {1: "mono", 2: "stereo"}.get(channels, layout.name)
    return form, Coding(codec, rate, channels, name, bits, scale, _ceiling(codec, scale, bits))


def _stored_bits(codec: str, form: str) -> int:
    width = re.fullmatch(r"pcm_[suf](\d+)(?:le|be)?", codec)
    if width:
        return int(width[1])
    if codec in ("pcm_mulaw", "pcm_alaw"):
        return 8
    return (16 if form.startswith("s16") else 24) if codec in ("flac", "alac") else 0


def _ceiling(codec: str, scale: float, bits: int) -> float:
    if codec in _COMPANDED:
        return _COMPANDED[codec]
    if not bits or scale == 1.0:
        return scale * _ALMOST
    return scale * (1 - 2.0 ** (1 - min(bits, 24)))


def words_of(error: BaseException) -> str:
    """Return libav's word for an error, without the path it adds."""
    return str(getattr(error, "strerror", "") or type(error).__name__)
