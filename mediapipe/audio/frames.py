"""From frame to frame through MPEG audio: the walk that FFmpeg's parser takes, without decoding.

It takes the next header that is valid and asks for no second one, so here and there a header in garbage is
taken for a frame, as decoders do too. A decoder throws a frame away when anything but zeros stands between it
and the frame before. FFmpeg 5, 8 and 9 were seen to do the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import BinaryIO

from mediapipe.audio.magic import mpeg_frame
from mediapipe.audio.xing import WORDS, xing_offset

_BLOCK = 1 << 20
_ROOM = 64
"""Bytes from a frame's start that the walk looks at."""
_NEAR = 65_536
"""So far FFmpeg looks for two frames that follow one another."""
_LARGEST_FRAME = 4_608
_MOST_GAPS = 1_000
_MOST_HEADERS = 4_096
_MOST_MARKS = 800
_SAME = 0xFFFE0CCF
"""The bits of a header in which two frames of one stream agree."""
_RATES = bytes(byte for byte in range(256) if byte >> 4 not in {0, 15} and byte >> 2 & 3 != 3)
_HEADER = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][" + re.escape(_RATES) + rb"].", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Run:
    """The frames that decoders decode, and what lies between them. Positions and lengths in bytes.

    ``first`` is the header of the first, ``count`` their number, ``length`` their bytes, ``end`` the end of
    the last; ``cut`` says that it is not all there. ``spans`` are the stretches of file they fill. ``lost``
    are the numbers of those that garbage spoils, counted with the others, ``packets`` all together; spans and
    lost are None when there are over 1,000. ``inner`` counts Xing, Info and VBRI frames behind the first.
    ``marks`` are the offsets of every ``mark_every``-th frame, were all to stand side by side.
    """

    first: bytes
    count: int
    packets: int
    length: int
    end: int
    cut: bool
    spans: tuple[tuple[int, int], ...] | None
    lost: tuple[int, ...] | None
    inner: int
    variable: bool
    mixed: bool
    marks: tuple[int, ...]
    mark_every: int


def run_from(file: BinaryIO, size: int, at: int) -> Run:
    """Walk over all frames between ``at`` and ``size``; about half a microsecond each."""
    walk = _Walk(file, size)
    walk.go(at)
    return walk.run()


def two_in_a_row(file: BinaryIO, size: int, at: int) -> int | None:
    """Return where the first frame is that another one like it follows, ``at`` when there is none near.

    None when the file ends before: decoders will not open it.
    """
    file.seek(at)
    block = file.read(max(0, min(_NEAR + 2 * _LARGEST_FRAME, size - at)))
    found = _HEADER.search(block)
    while found and found.start() < _NEAR:
        here = found.start()
        frame = mpeg_frame(found.group())
        following = block[here + frame.size : here + frame.size + 4] if frame else b""
        if mpeg_frame(following) and not (_bits(found.group()) ^ _bits(following)) & _SAME:
            return at + here
        found = _HEADER.search(block, here + 1)
    return at if len(block) > _NEAR + 3 else None


def _bits(header: bytes) -> int:
    return int.from_bytes(header, "big")


@dataclass(slots=True)
class _Walk:
    """The walk itself: from frame to frame, and over what lies between."""

    file: BinaryIO
    size: int
    block: bytes = b""
    base: int = 0
    first: bytes = b""
    end: int = 0
    packets: int = 0
    count: int = 0
    length: int = 0
    inner: int = 0
    cut: bool = False
    spans: list[tuple[int, int]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    kinds: set[tuple[int, int, int]] = field(default_factory=set)
    bitrates: set[int] = field(default_factory=set)
    known: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    marks: list[int] = field(default_factory=list)
    mark_every: int = 1

    def go(self, at: int) -> None:
        while at < self.size:
            began, at = at, self._over_frames(at)
            if at > began:
                self._note(began, at)
            if at < self.size:
                at = self._over_junk(at)

    def _load(self, at: int) -> int:
        """See to it that the block holds some bytes from ``at`` on; return where in the block they are."""
        here = at - self.base
        if here + _ROOM > len(self.block) and self.base + len(self.block) < self.size:
            self.base, self.block, here = at, self._read(at), 0
        return here

    def _read(self, at: int) -> bytes:
        self.file.seek(at)
        return self.file.read(max(0, min(_BLOCK, self.size - at)))

    def _over_frames(self, at: int) -> int:
        """Return where the frames end that stand side by side from here on, beyond the file if it is cut."""
        known, marks, every, shift = self.known, self.marks, self.mark_every, at - self.length
        here, count = self._load(at), self.count
        block = self.block
        while True:
            if here + _ROOM > len(block):
                here = self._load(self.base + here)
                block = self.block
            header = block[here : here + 4]
            step = known.get(header) or self._learn(header)
            if step is None:
                break
            length, xing = step
            if block[here + xing : here + xing + 4] in WORDS or block[here + 36 : here + 40] == b"VBRI":
                self.inner += count > 0
            if not count % every:
                marks.append(self.base + here - shift)
                if len(marks) == _MOST_MARKS:
                    del marks[1::2]
                    every *= 2
            count += 1
            here += length
        self.packets += count - self.count
        self.count, self.mark_every = count, every
        return self.base + here

    def _learn(self, header: bytes) -> tuple[int, int] | None:
        """Return size and place of a Xing header in frames with this header; None when it is no header."""
        frame = mpeg_frame(header)
        if frame is None:
            return None
        layer = 4 - (header[1] >> 1 & 3)
        self.first = self.first or header
        self.kinds.add((layer, frame.sample_rate, frame.channels))
        self.bitrates.add(frame.bitrate)
        if len(self.known) >= _MOST_HEADERS:
            self.known.clear()
        self.known[header] = frame.size, xing_offset(header)
        return self.known[header]

    def _note(self, began: int, end: int) -> None:
        self.end, self.cut = min(end, self.size), end > self.size
        self.length += self.end - began
        if len(self.spans) <= _MOST_GAPS:
            self.spans.append((began, self.end))

    def _over_junk(self, at: int) -> int:
        """Return where the frames go on. One that stands behind anything but zeros is lost: step over it."""
        zeros = True
        while True:
            here = self._load(at)
            found = _HEADER.search(self.block, here)
            until = found.start() if found else max(here, len(self.block) - 3)
            zeros = zeros and not self.block[here:until].strip(b"\0")
            at = self.base + until
            if found or self.base + len(self.block) >= self.size or until == here:
                break
        frame = mpeg_frame(found.group()) if found else None
        if found is None or frame is None:
            return self.size
        if zeros:
            return at
        here, xing = self._load(at), xing_offset(found.group())
        self.inner += self.block[here + xing : here + xing + 4] in WORDS
        if len(self.lost) <= _MOST_GAPS:
            self.lost.append(self.packets)
        self.packets += 1
        return at + frame.size

    def run(self) -> Run:
        """Return what was seen."""
        few = len(self.spans) <= _MOST_GAPS and len(self.lost) <= _MOST_GAPS
        return Run(
            self.first,
            self.count,
            self.packets,
            self.length,
            self.end,
            self.cut,
            tuple(self.spans) if few else None,
            tuple(self.lost) if few else None,
            self.inner,
            len(self.bitrates) > 1,
            len(self.kinds) > 1,
            tuple(self.marks),
            self.mark_every,
        )
