from __future__ import annotations

import io
import time
from functools import cache

from mediapipe.audio.frames import Run, run_from, two_in_a_row
from mediapipe.audio.magic import mpeg_frame
from tests.audio.test_magic import mp3


@cache
def frames() -> tuple[bytes, ...]:
    """One second at 8 kHz, frame by frame."""
    raw, found, at = mp3(), [], 0
    while frame := mpeg_frame(raw[at : at + 4]):
        found.append(raw[at : at + frame.size])
        at += frame.size
    return tuple(found)


def run(raw: bytes, at: int = 0, size: int | None = None) -> Run:
    return run_from(io.BytesIO(raw), len(raw) if size is None else size, at)


def test_every_frame_is_counted() -> None:
    raw = b"".join(frames())
    found = run(raw)
    assert found.first == raw[:4]
    assert (found.count, found.packets, found.length, found.end) == (16, 16, len(raw), len(raw))
    assert (found.cut, found.variable, found.mixed, found.inner) == (False, False, False, 0)
    assert (found.spans, found.lost) == (((0, len(raw)),), ())
    assert run(b"x" * 50 + raw, 50).spans == ((50, 50 + len(raw)),)


def test_zeros_are_stepped_over_and_garbage_takes_a_frame_with_it() -> None:
    head, tail = b"".join(frames()[:5]), b"".join(frames()[5:])
    found = run(head + bytes(100) + tail)
    assert (found.count, found.lost) == (16, ())
    assert found.spans == ((0, len(head)), (len(head) + 100, len(head + tail) + 100))
    found = run(head + b"x" + tail)
    assert (found.count, found.packets, found.lost) == (15, 16, (5,))
    after = len(head) + 1 + len(frames()[5])
    assert found.spans == ((0, len(head)), (after, len(head + tail) + 1))
    assert found.length == len(head + tail) - len(frames()[5])


def test_the_end_is_the_end_of_the_last_frame() -> None:
    raw = b"".join(frames())
    for behind in (b"TAG" + bytes(125), b"junk", bytes(5000), b"\xff" * 70_000, b"\xff\xfb"):
        found = run(raw + behind)
        assert (found.end, found.count, found.cut) == (len(raw), 16, False)


def test_a_file_that_ends_inside_a_frame_is_cut() -> None:
    raw = b"".join(frames())
    for missing in (1, 20, len(frames()[-1]) - 4):
        found = run(raw[:-missing])
        assert (found.count, found.cut, found.end) == (16, True, len(raw) - missing)
    found = run(raw[: 3 - len(frames()[-1])])
    assert (found.count, found.cut) == (15, False)


def test_a_file_shorter_than_was_said_ends_the_walk() -> None:
    raw = b"".join(frames())
    assert run(raw, size=10 * len(raw)).count == 16
    assert run(raw, size=1 << 40).count == 16
    assert run(raw, at=10 * len(raw), size=1 << 40).count == 0


def test_frames_across_blocks_are_whole_frames() -> None:
    """Blocks end at every place inside a frame."""
    raw = b"".join(frames())
    for lead in range(0, len(frames()[0]) + 1, 5):
        long = bytes(lead) + raw * 800
        found = run(long, lead)
        assert (found.count, found.cut, found.lost) == (16 * 800, False, ())
        assert found.spans == ((lead, len(long)),)


def test_garbage_across_blocks_is_garbage() -> None:
    raw = b"".join(frames())
    for junk, lost in ((b"x" * (1 << 20), 1), (bytes(1 << 20), 0), (bytes((1 << 21) - 3) + b"x", 1)):
        found = run(raw + junk + raw)
        assert (found.count + lost, len(found.lost or ())) == (32, lost)


def test_marks_stand_at_even_distances_however_long_it_is() -> None:
    for seconds in (1, 50, 51, 400):
        raw = b"".join(frames()) * seconds
        found = run(raw)
        assert len(found.marks) < 800
        assert len(found.marks) == -(-found.count // found.mark_every)
        size = len(frames()[0])
        assert found.marks == tuple(range(0, len(raw), size * found.mark_every))
    both = b"".join(frames())
    assert run(both + bytes(77) + both).marks == run(both + both).marks


def test_too_many_gaps_are_not_listed() -> None:
    found = run((frames()[0] + b"x") * 4000)
    assert found.spans is None
    assert found.lost is None
    assert (found.count, found.packets) == (1, 4000)
    found = run((frames()[0] + b"\0") * 4000)
    assert (found.count, found.spans) == (4000, None)


def test_other_rates_channels_and_layers_are_a_mixture() -> None:
    raw = b"".join(frames())
    header = raw[:4]
    for other in (
        header[:2] + bytes([header[2] ^ 0x08]) + header[3:],
        header[:3] + bytes([header[3] & 0x3F]),
        bytes([0xFF, header[1] ^ 0x06]) + header[2:],
    ):
        frame = mpeg_frame(other)
        assert frame is not None
        assert run(raw + (other + bytes(frame.size - 4)) * 2).mixed
    louder = header[:2] + bytes([header[2] + 0x10]) + header[3:]
    frame = mpeg_frame(louder)
    assert frame is not None
    assert run(raw + louder + bytes(frame.size - 4)).variable
    assert not run(raw + louder + bytes(frame.size - 4)).mixed


def test_headers_of_every_kind_are_frames() -> None:
    """More kinds than are kept in mind."""
    kinds = [
        bytes([0xFF, 0xF3, bitrate << 4 | private, last])
        for bitrate in range(1, 15)
        for private in (0, 1)
        for last in range(256)
    ]
    sizes = [frame.size for frame in map(mpeg_frame, kinds) if frame]
    raw = b"".join(header.ljust(size, b"\0") for header, size in zip(kinds, sizes, strict=True))
    found = run(raw)
    assert (found.count, found.length, found.lost) == (len(kinds), len(raw), ())
    assert len(kinds) > 7000
    assert found.variable


def test_the_first_frame_is_one_that_another_follows() -> None:
    raw = b"".join(frames())

    def first(raw: bytes, at: int = 0) -> int | None:
        return two_in_a_row(io.BytesIO(raw), len(raw), at)

    assert first(raw) == 0
    assert first(b"x" * 100 + raw) == 100
    assert first(b"x" * 100 + raw, 50) == 100
    assert first(raw[:4] + b"x" * 500 + raw) == 504
    assert first(b"x" * 65_535 + raw) == 65_535
    assert first(b"x" * 65_536 + raw) == 0
    assert first(frames()[0]) is None
    assert first(b"") is None
    assert first(b"x" * 100) is None


def test_a_frame_costs_about_a_microsecond() -> None:
    raw = io.BytesIO(b"".join(frames()) * 3125)
    size = len(raw.getvalue())
    best = 9.0
    for _ in range(3):
        began = time.perf_counter()
        assert run_from(raw, size, 0).count == 50_000
        best = min(best, time.perf_counter() - began)
    assert best < 0.5, "0.03 s on a quiet machine"


def test_no_file_makes_it_slow() -> None:
    """Bytes that look like frames at every step, or are gaps all over."""
    smallest = b"\xff\xf3\x14\xc4" + bytes(20)  # 24 bytes: 8 kbit/s at 24 kHz
    assert mpeg_frame(smallest) is not None
    for raw in (b"\xff" * 5_000_000, b"\xff\xfb" * 2_000_000, smallest * 40_000, (smallest + b"x") * 40_000):
        began = time.perf_counter()
        run(raw)
        two_in_a_row(io.BytesIO(raw), len(raw), 0)
        assert time.perf_counter() - began < 5
