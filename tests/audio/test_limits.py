from __future__ import annotations

import io

import av
import lameenc
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio import limits
from mediapipe.audio.targets import DEFAULT_LIMIT

HOUR = 3600.0
rates = st.sampled_from(limits.MP3_RATES)
lengths = st.floats(0.001, 7 * 24 * HOUR)
amounts = st.integers(0, 10**10)


# ── what is to be had for 50 MB ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("hours", "at_8k", "at_16k"),
    [
        (1, 64, 96),
        (2, 48, 48),
        (3, 32, 32),
        (4, 24, 24),
        (6, 16, 16),
        (8, 8, 8),
        (12, 8, 8),
        (14, None, None),
    ],
)
def test_the_highest_bitrate_that_fits(hours: int, at_8k: int | None, at_16k: int | None) -> None:
    assert limits.highest_bitrate(8_000, hours * HOUR, DEFAULT_LIMIT) == at_8k
    assert limits.highest_bitrate(16_000, hours * HOUR, DEFAULT_LIMIT) == at_16k


def test_mpeg_1_has_nothing_under_32_kbit() -> None:
    assert limits.highest_bitrate(48_000, 3 * HOUR, DEFAULT_LIMIT) == 32
    assert limits.highest_bitrate(48_000, 4 * HOUR, DEFAULT_LIMIT) is None
    assert limits.highest_bitrate(48_000, 60.0, DEFAULT_LIMIT) == 320
    assert limits.highest_bitrate(16_000, 60.0, DEFAULT_LIMIT) == 160


@pytest.mark.parametrize(("bitrate", "hours"), [(64, 1.74), (32, 3.47), (24, 4.63), (16, 6.94), (8, 13.9)])
def test_what_50_mb_hold_of_mp3(bitrate: int, hours: float) -> None:
    assert limits.mp3_bytes((hours - 0.02) * HOUR, 8_000, bitrate) < DEFAULT_LIMIT
    assert limits.mp3_bytes((hours + 0.02) * HOUR, 8_000, bitrate) > DEFAULT_LIMIT


@pytest.mark.parametrize(("channels", "width", "minutes"), [(1, 2, 52), (2, 2, 26), (1, 1, 104), (2, 1, 52)])
def test_what_50_mb_hold_of_wav(channels: int, width: int, minutes: int) -> None:
    fits = limits.samples_of_wav(channels, width, DEFAULT_LIMIT)
    assert minutes == fits // (60 * 8_000)


@pytest.mark.parametrize(("bitrate", "megabytes"), [(64, 28.8), (32, 14.4), (24, 10.8), (16, 7.2), (8, 3.6)])
def test_what_an_hour_of_mp3_is(bitrate: int, megabytes: float) -> None:
    audio = limits.mp3_bytes(HOUR, 8_000, bitrate) - limits.TAG_BYTES
    assert audio == pytest.approx(megabytes * 1e6, rel=0.002)


def test_an_hour_of_pcm() -> None:
    assert limits.wav_bytes(3600 * 8_000, 1, 2) == pytest.approx(57.6e6, rel=0.001)
    assert limits.wav_bytes(3600 * 8_000, 2, 2) == pytest.approx(115.2e6, rel=0.001)


def test_no_wav_reaches_four_gibibytes() -> None:
    samples = limits.samples_of_wav(2, 2, 10**12)
    assert limits.wav_bytes(samples, 2, 2) <= 0xFFFF_FFFF < limits.wav_bytes(samples + 1, 2, 2)


# ── against what encoders really write ──────────────────────────────────────────────────────


def noise(seconds: float, rate: int, channels: int) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    made = np.random.default_rng(7).normal(0, 6_000, (round(seconds * rate), channels))
    return made.clip(-32_768, 32_767).astype(np.int16)


def lame(samples: np.ndarray[tuple[int, int], np.dtype[np.int16]], rate: int, bitrate: int) -> int:
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_bit_rate(bitrate)
    encoder.set_in_sample_rate(rate)
    encoder.set_out_sample_rate(rate)
    encoder.set_channels(samples.shape[1])
    return len(encoder.encode(samples.tobytes()) + encoder.flush())


@pytest.mark.parametrize("rate", limits.MP3_RATES)
@pytest.mark.parametrize("seconds", [0.01, 1.0, 7.0])
def test_lame_keeps_to_the_estimate_and_to_the_bitrate(rate: int, seconds: float) -> None:
    samples = noise(seconds, rate, 2)
    legal = limits.mp3_bitrates(rate)
    sizes = [lame(samples, rate, bitrate) for bitrate in (legal[0], legal[-1])]
    for bitrate, size in zip((legal[0], legal[-1]), sizes, strict=True):
        estimate = limits.mp3_bytes(seconds, rate, bitrate)
        assert size <= estimate - limits.TAG_BYTES
        assert estimate - size < limits.TAG_BYTES + 6 * 1_440  # a few frames too many, and no more
    # LAME took the bitrate it was given: the sizes are in the ratio of the two.
    assert sizes[1] / sizes[0] == pytest.approx(legal[-1] / legal[0], rel=0.02)


def written(
    codec: str, container: str, rate: int, layout: str, *, bitrate: int = 0, seconds: float = 3.0
) -> int:
    """Return the size of what FFmpeg writes, tags and Xing header included."""
    channels = av.AudioLayout(layout).nb_channels
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        file.metadata["title"] = "A call of some length"
        stream = file.add_stream(codec, rate=rate, layout=layout)
        if bitrate:
            stream.bit_rate = bitrate * 1_000
        packed = np.ascontiguousarray(noise(seconds, rate, channels)).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    return len(out.getbuffer())


@pytest.mark.parametrize(("rate", "bitrate"), [(8_000, 8), (8_000, 64), (16_000, 32), (44_100, 320)])
def test_an_mp3_with_its_tags_keeps_to_the_estimate(rate: int, bitrate: int) -> None:
    size = written("libmp3lame", "mp3", rate, "stereo", bitrate=bitrate)
    assert size <= limits.mp3_bytes(3.0, rate, bitrate)


@pytest.mark.parametrize(("codec", "width"), [("pcm_s16le", 2), ("pcm_s24le", 3), ("pcm_f32le", 4)])
@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("7.1", 8)])
def test_a_wav_with_its_tags_keeps_to_the_estimate(
    codec: str, width: int, layout: str, channels: int
) -> None:
    size = written(codec, "wav", 8_000, layout, seconds=0.5)
    assert size - limits.TAG_BYTES < 4_000 * channels * width <= size
    assert size <= limits.wav_bytes(4_000, channels, width)


# ── for any figures ─────────────────────────────────────────────────────────────────────────


@given(st.integers(1, 400_000))
def test_the_mp3_rate_is_the_nearest_that_loses_nothing(rate: int) -> None:
    chosen = limits.mp3_rate(rate)
    assert chosen in limits.MP3_RATES
    assert chosen == rate or rate not in limits.MP3_RATES
    assert chosen >= min(rate, 48_000)
    assert not [one for one in limits.MP3_RATES if rate <= one < chosen]


@given(rates)
def test_bitrates_are_what_the_standard_has(rate: int) -> None:
    legal = limits.mp3_bitrates(rate)
    assert list(legal) == sorted(set(legal))
    assert legal[0] == (8 if rate < 32_000 else 32)
    assert legal[-1] == (64 if rate < 16_000 else 160 if rate < 32_000 else 320)


@given(rates, lengths, amounts)
def test_the_chosen_bitrate_fits_by_formula_and_by_estimate_and_the_next_does_not(
    rate: int, seconds: float, limit: int
) -> None:
    chosen = limits.highest_bitrate(rate, seconds, limit)
    most = (limit * 0.97 - 65_536 - limits.TAG_BYTES) * 8 / seconds / 1_000
    for bitrate in limits.mp3_bitrates(rate):
        if chosen is None or bitrate > chosen:
            assert bitrate > most * (1 - 1e-6) - 1e-6
    if chosen is not None:
        assert chosen <= most * (1 + 1e-6)
        assert limits.mp3_bytes(seconds, rate, chosen) <= limit


@given(rates, amounts, st.data())
def test_what_lasts_as_long_as_a_limit_allows_fits(rate: int, limit: int, data: st.DataObject) -> None:
    bitrate = data.draw(st.sampled_from(limits.mp3_bitrates(rate)))
    seconds = limits.seconds_of_mp3(bitrate, limit)
    assert seconds >= 0
    if seconds:
        assert limits.mp3_bytes(seconds, rate, bitrate) <= limit
        assert abs(limits.limit_for_mp3(seconds, bitrate) - limit) <= 1


@given(st.integers(1, 64), st.sampled_from([1, 2, 3, 4]), amounts)
def test_the_samples_of_a_wav_fill_the_limit_and_no_more(channels: int, width: int, limit: int) -> None:
    samples = limits.samples_of_wav(channels, width, limit)
    room = min(limit, limits.WAV_MOST)
    assert samples == 0 or limits.wav_bytes(samples, channels, width) <= room
    assert limits.wav_bytes(samples + 1, channels, width) > room


@settings(deadline=None)
@given(st.integers(-1, 10**12), st.integers(-1, 10**10))
def test_parts_cover_all_samples_evenly(samples: int, most: int) -> None:
    cut = limits.parts_of(samples, most)
    if cut is None:
        assert samples <= 0 or most <= 0 or samples > most * limits.MOST_PARTS
        return
    parts, each = cut
    last = samples - (parts - 1) * each
    assert 0 < last <= each <= most
    assert parts == 1 or (parts - 1) * most < samples  # fewer would not do
    assert each - last < parts  # the last is no stub
