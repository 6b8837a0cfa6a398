"""The sample: the same everywhere, shaped like a business, and its sound sound."""

from __future__ import annotations

import io
import time
import wave
from datetime import UTC, date, datetime

import pytest

from mediapipe.sandbox import SandboxConfig, SandboxState
from mediapipe.sandbox.sniff import frame_at, sniff

UNTIL = date(2026, 3, 1)


@pytest.fixture(scope="module")
def state() -> SandboxState:
    return SandboxState(SandboxConfig(until=UNTIL))


def test_same_seed_same_bytes(state):
    again = SandboxState(SandboxConfig(until=UNTIL))
    assert list(again.calls) == list(state.calls)
    ids = [call.call_id for call in state.calls if call.recording][::10]
    assert [again.recording_bytes(i) for i in ids] == [state.recording_bytes(i) for i in ids]


def test_other_seed_other_calls(state):
    other = SandboxState(SandboxConfig(until=UNTIL, seed=8))
    assert [c.started_ms for c in other.calls] != [c.started_ms for c in state.calls]


def test_calls_span_the_days_before_until(state):
    end = datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000
    starts = [call.started_ms for call in state.calls]
    assert len(starts) == 300
    assert end - 28 * 86_400_000 <= starts[0] <= starts[-1] < end
    assert len({datetime.fromtimestamp(ms / 1000, UTC).date() for ms in starts}) >= 22


def test_volume_is_shaped_like_a_business_day():
    calls = SandboxState(SandboxConfig(until=UNTIL, count=5000)).calls
    moments = [datetime.fromtimestamp(call.started_ms / 1000, UTC) for call in calls]
    work = sum(moment.hour >= 14 for moment in moments)
    weekend = sum(moment.weekday() >= 5 for moment in moments)
    assert work > 0.85 * len(calls)
    assert weekend < 0.15 * len(calls)


def test_mix_of_recordings(state):
    recordings = [call.recording for call in state.calls if call.recording]
    assert 0.03 < 1 - len(recordings) / 300 < 0.14
    assert {(r.container, r.channels) for r in recordings} == {("wav", 1), ("wav", 2), ("mp3", 1), ("mp3", 2)}
    assert {call.missing_as for call in state.calls} == {"absent", "null", "empty", "no_url"}
    late = [c for c in state.calls if c.recording and c.recording.available_ms > c.ended_ms]
    assert 5 < len(late) < 30
    end = datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000
    assert sum(call.recording.available_ms > end for call in late) >= 3


def test_durations_fit(state):
    assert all(call.duration >= call.recording.seconds for call in state.calls if call.recording)


def test_audio_is_valid_unique_and_as_long_as_it_says(state):
    seen = set()
    for call in state.calls:
        if call.recording is None:
            continue
        data = state.recording_bytes(call.call_id)
        seen.add(data)
        if call.recording.container == "wav":
            with wave.open(io.BytesIO(data)) as file:
                assert file.getnchannels() == call.recording.channels
                assert (file.getframerate(), file.getsampwidth()) == (8000, 2)
                assert file.getnframes() == round(call.recording.seconds * 8000)
        else:
            sound = sniff(data)
            assert sound is not None
            assert sound.channels == call.recording.channels
            assert sound.seconds == pytest.approx(call.recording.seconds, abs=0.3)
    assert len(seen) == sum(call.recording is not None for call in state.calls)


def test_mp3_is_frames_to_the_last_byte(state):
    call = next(c for c in state.calls if c.recording and c.recording.container == "mp3")
    data, at = state.recording_bytes(call.call_id), 0
    while (frame := frame_at(data, at)) is not None:
        at += frame.size
    assert at == len(data)


def test_recordings_have_sound_on_every_channel(state):
    call = next(c for c in state.calls if c.recording and c.recording[2:4] == (2, "wav"))
    samples = memoryview(state.recording_bytes(call.call_id)[44:]).cast("h")
    assert max(samples[0::2]) > 3000
    assert max(samples[1::2]) > 3000
    assert samples[0::2].tolist() != samples[1::2].tolist()


def test_length_is_configurable():
    state = SandboxState(SandboxConfig(until=UNTIL, count=5, seconds_min=60, seconds_max=60, wav_only=True))
    call = next(call for call in state.calls if call.recording)
    assert len(state.recording_bytes(call.call_id)) == 44 + 960_000 * call.recording.channels


def test_many_calls_are_cheap():
    begin = time.process_time()
    state = SandboxState(SandboxConfig(until=UNTIL, count=100_000))
    assert len(state.calls) == 100_000
    assert len({call.call_id for call in state.calls}) == 100_000
    assert time.process_time() - begin < 10


def test_no_recording_no_bytes(state):
    call = next(call for call in state.calls if call.recording is None)
    with pytest.raises(KeyError):
        state.recording_bytes(call.call_id)


def test_unset_until_is_today():
    state = SandboxState(SandboxConfig(count=10, now=datetime(2026, 5, 4, 12, tzinfo=UTC)))
    assert state.config.until == date(2026, 5, 4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": -1},
        {"days": 0},
        {"seconds_min": 0},
        {"seconds_min": 9},
        {"mp3_only": True, "wav_only": True},
    ],
)
def test_config_is_checked(wrong):
    with pytest.raises(ValueError, match=r"must|exclude"):
        SandboxConfig(**wrong)
