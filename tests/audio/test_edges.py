from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.edges import CHUNK_MS, Edges, faded, find_edges
from tests.audio.sources import silence, tone


def whole(signal: np.ndarray) -> np.ndarray:
    return np.round(np.atleast_2d(signal) * 32_767).astype(np.int16)


def edges(signal: np.ndarray, rate: int = 8000, head_ms: int = 50, tail_ms: int = 100) -> Edges:
    return find_edges(whole(signal), rate, silence_db=-60.0, head_ms=head_ms, tail_ms=tail_ms)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000])
def test_silence_is_cut_and_the_pads_are_kept(rate: int) -> None:
    sound = tone(0.5, 400, rate=rate, level=0.1)
    found = edges(np.hstack([silence(0.4, rate), sound, silence(0.7, rate)]), rate)
    assert found.start / rate == pytest.approx(0.35, abs=CHUNK_MS / 1000)
    assert found.stop / rate == pytest.approx(1.0, abs=CHUNK_MS / 1000)
    assert found.start <= 0.4 * rate  # nothing of the sound is lost
    assert found.stop >= 0.9 * rate


def test_pads_are_never_made_up() -> None:
    assert edges(tone(0.5, 400)) == Edges(0, 4000)
    short = np.hstack([silence(0.02), tone(0.5, 400), silence(0.03)])
    assert edges(short) == Edges(0, short.shape[1])


def test_a_pause_in_the_middle_is_nobody_s_edge() -> None:
    signal = np.hstack([tone(0.2, 400), silence(3), tone(0.2, 400)])
    assert edges(signal) == Edges(0, signal.shape[1])


def test_where_nothing_is_sound_everything_is_kept() -> None:
    assert edges(silence(1)) == Edges(0, 8000)
    assert edges(np.zeros((1, 1))) == Edges(0, 1)


def test_either_of_two_channels_is_sound() -> None:
    early = np.hstack([silence(0.2), tone(0.2, 400), silence(0.6)])
    late = np.hstack([silence(0.6), tone(0.2, 400), silence(0.2)])
    found = edges(np.vstack([early, late]))
    assert found.start == pytest.approx(0.15 * 8000, abs=80)
    assert found.stop == pytest.approx(0.9 * 8000, abs=80)


@settings(deadline=None, max_examples=80)
@given(
    st.integers(1, 5_000),
    st.integers(1, 2),
    st.sampled_from([8_000, 11_025, 16_000, 44_100]),
    st.integers(0, 100),
    st.integers(0, 100),
    st.integers(0, 2**32 - 1),
)
def test_fades_keep_length_and_middle_and_make_nothing_louder(
    count: int, channels: int, rate: int, into: int, out_of: int, seed: int
) -> None:
    samples = np.random.default_rng(seed).integers(-32_768, 32_768, (channels, count)).astype(np.int16)
    done = faded(samples, rate, fade_in_ms=into, fade_out_ms=out_of)
    assert (done.shape, done.dtype) == (samples.shape, samples.dtype)
    assert (np.abs(done.astype(int)) <= np.abs(samples.astype(int)) + 1).all()
    first, last = into * (rate // 1000) + rate // 1000, count - out_of * (rate // 1000) - rate // 1000
    if first < last:
        np.testing.assert_array_equal(done[:, first:last], samples[:, first:last])
    # The same the other way round: the end is the beginning of its mirror image.
    mirrored = faded(samples[:, ::-1], rate, fade_in_ms=out_of, fade_out_ms=into)[:, ::-1]
    apart = into + out_of <= 2 * (count // (rate // 1000) // 4)
    if apart:
        np.testing.assert_array_equal(mirrored, done)


def test_a_fade_begins_and_ends_with_next_to_nothing_and_rises_evenly() -> None:
    samples = np.full((1, 803), 30_000, np.int16)  # no whole number of milliseconds
    done = faded(samples, 8000, fade_in_ms=5, fade_out_ms=10)[0].astype(int)
    assert (abs(done[0]), abs(done[-1])) == (0, 0)
    assert (np.diff(done[:41]) > 0).all()
    assert (np.diff(done[-81:]) < 0).all()
    assert np.diff(done[:41]).max() - np.diff(done[:41]).min() <= 2
    assert set(done[41:-81]) == {30_000}


def test_importing_it_prints_and_warns_nothing() -> None:
    command = [sys.executable, "-W", "always", "-c", "import mediapipe.audio.edges"]
    done = subprocess.run(command, capture_output=True, timeout=60, env={"PATH": "/nowhere"}, cwd=".")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"pydub" not in done.stderr
    assert b"ffmpeg" not in done.stderr
