"""Audio that decodes well and is useless or doubtful all the same."""

from __future__ import annotations

import numpy as np

from tests.audio.case import AS_IS, MADE_TO_FIT, Case, Maker, put
from tests.audio.cases_wav import PLAIN, SECONDS, headerless, speech
from tests.audio.handmade import fmt, wav
from tests.audio.sources import RATE, Sound, call, encode, honest, prompts, silence, tone, voice


def two(left: Sound, right: Sound) -> bytes:
    return honest(np.concatenate([left, right]))


def ringback(seconds: float) -> Sound:
    """Two seconds of the North American ringing tone, four of nothing."""
    sound = tone(seconds, 440, 480)
    return sound * ((np.arange(sound.shape[1]) / RATE % 6) < 2)


def narrowband(rate: int) -> Maker:
    """Return a maker of telephone audio in a wideband file."""
    return lambda path: encode(path, honest(voice(SECONDS)), "-ar", rate)


def whisper(seconds: float = SECONDS) -> Sound:
    """A noise that a cut wire leaves: -70 dB."""
    return np.random.default_rng(8).normal(scale=10 ** (-75 / 20), size=(1, round(seconds * RATE)))


def hours(limit: int) -> bytes:
    """Return a WAV of speech that has just over ``limit`` bytes."""
    times = limit // len(speech()) + 1
    return wav(speech() * times)


def slanted(language: str) -> Maker:
    """Return a maker that wraps the real prompt whose zero line is furthest off."""

    def offset(raw: bytes) -> float:
        bits = np.frombuffer(raw, np.uint8) ^ 0x55
        exponent, mantissa = (bits >> 4 & 7).astype(int), (bits & 15).astype(int)
        size = (
            np.where(exponent > 0, (mantissa * 2 + 33) << np.maximum(exponent - 1, 0), mantissa * 2 + 1) * 8
        )
        return abs(float(np.where(bits & 0x80, size, -size).mean())) / 32768

    def make(path: object) -> None:
        worst = max((one.read_bytes() for one in prompts(language, "alaw", 8_000)), key=offset)
        path.write_bytes(wav(worst, fmt(6, 1, RATE, 8)))  # type: ignore[attr-defined]

    return make


CHANNELS = [
    Case("dead_right_channel", "a.wav", put(lambda: two(voice(SECONDS), silence(SECONDS))), ("29",), PLAIN,
         judged=("dead_channel",)),
    Case("left_channel_of_faint_noise", "a.wav", put(lambda: two(whisper(), voice(SECONDS))), ("29",), PLAIN,
         judged=("dead_channel",)),
    Case("fake_stereo", "a.wav", put(lambda: two(voice(SECONDS), voice(SECONDS))), ("29",), PLAIN,
         judged=("fake_stereo",)),
    Case("fake_stereo_with_dither", "a.wav",
         put(lambda: two(voice(SECONDS), voice(SECONDS) + whisper() * 0.02)), ("29",), PLAIN,
         judged=("fake_stereo",)),
    Case("inverted_phase", "a.wav", put(lambda: two(voice(SECONDS), -voice(SECONDS))), ("29",), PLAIN,
         judged=("inverted_phase",)),
    Case("stereo_with_crosstalk", "a.wav", put(lambda: honest(call(SECONDS) + 0.1 * call(SECONDS)[::-1])),
         ("29",), PLAIN, plans=AS_IS),
]  # fmt: skip

SOUND = [
    Case("all_silence", "a.wav", put(lambda: honest(silence(SECONDS))), ("30",), PLAIN, judged=("silent",),
         may=("mostly_silence",)),
    Case("all_silence_stereo", "a.wav", put(lambda: two(silence(SECONDS), silence(SECONDS))), ("30",), PLAIN,
         judged=("silent",), may=("mostly_silence", "dead_channel", "fake_stereo")),
    Case("hum", "a.wav", put(lambda: honest(tone(SECONDS, 60, 120, 180))), ("30",), PLAIN,
         judged=("tone_only",)),
    Case("ringback", "a.wav", put(lambda: honest(ringback(24))), ("30",), PLAIN, 24.0, judged=("tone_only",)),
    Case("dial_tone_in_stereo", "a.wav", put(lambda: two(tone(SECONDS, 350, 440), tone(SECONDS, 350, 440,
         level=0.1))), ("30",), PLAIN, judged=("tone_only",), may=("fake_stereo",)),
    Case("clipped", "a.wav", put(lambda: honest(np.clip(voice(SECONDS) * 12, -1, 1))), ("30",), PLAIN,
         judged=("clipping",)),
    Case("clipped_float", "a.wav", put(lambda: wav(np.clip(voice(SECONDS) * 12, -1,
         1).astype("<f4").tobytes(), fmt(3, bits=32))), ("30",), "wav pcm_f32le", judged=("clipping",)),
    Case("off_by_11_percent", "a.wav", put(lambda: honest(voice(SECONDS) * 0.5 + 0.11)), ("30",), PLAIN,
         judged=("dc_offset",)),
    Case("real_offset", "a.wav", slanted("italian"), ("30",), "wav pcm_alaw", 0.0, judged=("dc_offset",),
         needs=("italian",)),
    Case("prompt_of_0_3_seconds", "a.wav", put(lambda: honest(voice(1.0)[:, 800:3200])), ("30",), PLAIN, 0.3,
         judged=("short",)),
    Case("quiet", "a.wav", put(lambda: honest(voice(SECONDS) * 10 ** (-35 / 20))), ("30",), PLAIN,
         judged=("quiet",), may=("mostly_silence", "dead_channel", "silent")),
    Case("mostly_silence", "a.wav", put(lambda: honest(np.concatenate([silence(29), voice(1.0)], axis=1))),
         ("30",), PLAIN, 30.0, judged=("mostly_silence",)),
    Case("long_silence_first", "a.wav", put(lambda: honest(np.concatenate([silence(35), voice(SECONDS)],
         axis=1))), ("30",), PLAIN, 45.0, judged=("long_silence",)),
    Case("upsampled_to_44100", "a.wav", narrowband(44_100), ("30",), PLAIN, judged=("upsampled",)),
    Case("upsampled_to_16000", "a.wav", narrowband(16_000), ("30",), PLAIN, judged=("upsampled",)),
    Case("wideband", "a.wav", put(lambda: honest(voice(SECONDS, 16_000), 16_000)), ("clean",), PLAIN,
         plans=AS_IS),
    Case("labelled_with_twice_its_rate", "a.wav", put(lambda: wav(speech(), fmt(rate=16_000))),
         ("4a: wrong rate", "26"), PLAIN, 5.0, may=("upsampled",), plans=AS_IS),
]  # fmt: skip

SIZE = [
    Case("more_than_50_mb", "a.wav", put(lambda: hours(50_100_000)), ("22", "30"), PLAIN, 3140.0,
         plans=MADE_TO_FIT),
    Case("an_hour_of_stereo_mulaw", "a.wav", put(lambda: wav(headerless("mulaw", call(SECONDS)) * 360, fmt(7,
         2, RATE, 8))), ("22",), "wav pcm_mulaw", 3600.0, plans=MADE_TO_FIT, length=False),
]  # fmt: skip

CASES = [*CHANNELS, *SOUND, *SIZE]
