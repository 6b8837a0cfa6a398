"""The sound of a sample call: a ring, the call's id as telephone tones, then two voices taking turns.

Voices are slices of a bank of formant synthesis that is made once per process, so that a recording costs
little more than its copy. Every call's bytes differ: its id is in the tones, and the turns follow the id.
"""

from __future__ import annotations

import struct
from functools import lru_cache

import lameenc
import numpy as np
from numpy.typing import NDArray

from mediapipe.sandbox.calls import SAMPLE_RATE, Call
from mediapipe.sandbox.sample import draws

_SYLLABLE = SAMPLE_RATE // 4
_BANK_SYLLABLES = 40
_MP3_KBITS = 24
_LOW = (697, 770, 852, 941)
_HIGH = (1209, 1336, 1477)
_KEYS = {str(digit): divmod(digit - 1, 3) for digit in range(1, 10)} | {"0": (3, 1)}
_VOICES = (  # pitch in Hz, stretch of the vocal tract
    (112.0, 1.00),
    (196.0, 1.17),
    (134.0, 0.94),
    (221.0, 1.22),
)
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480))

_Pcm = NDArray[np.int16]


def synthesise(call: Call) -> bytes:
    """Return the call's recording as a WAV or MP3 file, the same bytes each time."""
    recording = call.recording
    if recording is None:
        raise ValueError(f"call {call.call_id} has no recording")
    pcm = _conversation(call.call_id, round(recording.seconds * SAMPLE_RATE), recording.channels)
    return _mp3(pcm, recording.channels) if recording.container == "mp3" else wav(pcm, recording.channels)


def conversation(number: int, seconds: float) -> bytes:
    """Return a made-up call of two parties as a stereo WAV file: the same bytes for the same number."""
    return wav(_conversation(number, round(seconds * SAMPLE_RATE), 2), 2)


def wav(pcm: _Pcm, channels: int) -> bytes:
    """Return interleaved samples as a PCM16 WAV file at 8 kHz."""
    data = pcm.astype("<i2", copy=False).tobytes()
    rate, width = SAMPLE_RATE, 2 * channels
    chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * width, width, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE") + chunk + b"data" + _u32(len(data)) + data


def _u32(value: int) -> bytes:
    return struct.pack("<I", value)


def _mp3(pcm: _Pcm, channels: int) -> bytes:
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_channels(channels)
    encoder.set_in_sample_rate(SAMPLE_RATE)
    encoder.set_bit_rate(_MP3_KBITS * channels)
    encoder.set_quality(7)
    return bytes(encoder.encode(pcm.tobytes())) + bytes(encoder.flush())


def _conversation(call_id: int, length: int, channels: int) -> _Pcm:
    """Return interleaved samples: agent on the first channel, caller on the second, or both in one."""
    intro = np.concatenate([_ring(), *(_key(digit) for digit in str(call_id))])
    sides = np.zeros((2, max(length, len(intro))), dtype=np.int16)
    sides[:, : len(intro)] = intro
    dice = draws(call_id, "turns", 3 * 64)
    voices = (2 * (call_id % 2), 2 * (call_id // 2 % 2) + 1)
    at, turn = len(intro) + 400, 0
    while at < length:
        long, start, pause = dice[3 * (turn % 64) : 3 * (turn % 64) + 3]
        side = turn % 2
        syllables = 3 + int(long * 9)
        first = int(start * (_BANK_SYLLABLES - syllables)) * _SYLLABLE
        speech = _bank()[voices[side], first : first + min(syllables * _SYLLABLE, length - at)]
        sides[side, at : at + len(speech)] = speech
        at += len(speech) + 400 + int(pause * 2400)
        turn += 1
    sides = sides[:, :length]
    return sides.T.reshape(-1) if channels == 2 else sides[0] // 2 + sides[1] // 2


def _times(samples: int) -> NDArray[np.float64]:
    return np.arange(samples) / SAMPLE_RATE


@lru_cache(maxsize=1)
def _ring() -> _Pcm:
    """Return a short ringback: 440 and 480 Hz."""
    t = _times(SAMPLE_RATE * 3 // 10)
    tones = np.sin(2 * np.pi * 440 * t) + np.sin(2 * np.pi * 480 * t)
    fade = np.minimum(1, np.minimum(t, t[::-1]) * 100)
    return _whole(4000 * fade * tones)


@lru_cache(maxsize=10)
def _key(digit: str) -> _Pcm:
    """Return a telephone key's two tones for 60 ms, and 20 ms of silence."""
    row, column = _KEYS[digit]
    t = _times(SAMPLE_RATE * 6 // 100)
    tone = np.sin(2 * np.pi * _LOW[row] * t) + np.sin(2 * np.pi * _HIGH[column] * t)
    return _whole(np.concatenate([6000 * tone, np.zeros(SAMPLE_RATE // 50)]))


@lru_cache(maxsize=1)
def _bank() -> _Pcm:
    """Ten seconds of each voice, cut so that every syllable begins and ends in silence."""
    return np.stack([_voice(number, pitch, stretch) for number, (pitch, stretch) in enumerate(_VOICES)])


def _voice(number: int, pitch: float, stretch: float) -> _Pcm:
    samples = _BANK_SYLLABLES * _SYLLABLE
    t = _times(samples)
    contour = pitch * (1 + 0.08 * np.sin(2 * np.pi * 0.31 * t + number) + 0.04 * np.sin(2 * np.pi * 1.3 * t))
    phase = 2 * np.pi * np.cumsum(contour) / SAMPLE_RATE
    vowel = (draws(number, "vowels", _BANK_SYLLABLES) * len(_VOWELS)).astype(np.int64)
    # One syllable in six is a breath, which makes words of the syllables.
    loud = np.where(draws(number, "words", _BANK_SYLLABLES) < 1 / 6, 0.0, 1.0)
    formants = np.asarray(_VOWELS, dtype=np.float64) * stretch
    sound = np.zeros(samples)
    for harmonic in range(1, int(3400 / pitch)):
        distance = (harmonic * pitch - formants) / (90 + 0.05 * formants)
        gain = (np.array([1.0, 0.6, 0.3]) / (1 + distance**2)).sum(axis=1) + 0.02
        sound += np.sin(harmonic * phase) * np.repeat(gain[vowel], _SYLLABLE)
    swell = np.sin(np.pi * (np.arange(samples) % _SYLLABLE) / _SYLLABLE) ** 0.6
    sound *= swell * np.repeat(loud, _SYLLABLE)
    return _whole(sound * (14_000 / np.abs(sound).max()))


def _whole(sound: NDArray[np.float64]) -> _Pcm:
    return sound.astype(np.int16)
