"""Where the audio of the tests comes from, and who judges it: tools, real prompts, made-up speech.

The judge of every length and figure is an ffmpeg that the engine does not use: the static one inside
``imageio-ffmpeg`` (``STATIC``), or Debian's for what that build cannot write (GSM). Nothing is committed:
sound is computed, encoded or found on the machine at test time.
"""

from __future__ import annotations

import io
import re
import subprocess
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

from tests.lacking import lacking

Sound = npt.NDArray[np.float64]
"""Samples from -1 to 1, one row for each channel."""

RATE = 8000
STATIC = imageio_ffmpeg.get_ffmpeg_exe()
PROMPTS = Path("/usr/share/asterisk/sounds")
DEBIAN = {
    "ffmpeg": "/usr/bin/ffmpeg",
    "sox": "/usr/bin/sox",
    "english": str(PROMPTS / "en_US_f_Allison"),
    "italian": str(PROMPTS / "it_IT_f_Menardi"),
}
"""What Debian's packages bring and pip does not: ffmpeg, sox, asterisk-core-sounds-en-{wav,gsm,g722} and
asterisk-prompt-it-menardi-alaw."""


def debian(name: str) -> str:
    """Return the path of one of Debian's tools or prompt sets; without it the test does not run."""
    if not Path(DEBIAN[name]).exists():
        lacking(f"{DEBIAN[name]} is not on this machine")
    return DEBIAN[name]


def prompts(language: str, suffix: str, at_least: int = 0) -> list[Path]:
    """Return the real prompts of one language and format, sorted; ``at_least`` is in bytes."""
    found = sorted(Path(debian(language)).rglob(f"*.{suffix}"))
    return [path for path in found if path.parent.name != "silence" and path.stat().st_size >= at_least]


# ── made-up sound ───────────────────────────────────────────────────────────────────────────


@cache
def voice(seconds: float, rate: int = RATE, seed: int = 1, widest: float = 1.0) -> Sound:
    """Return something with the rhythm, pitch and spectrum of speech, at about -20 dBFS RMS.

    Syllables of gliding harmonics under formants, hissing between some, a pause after each phrase.
    ``widest`` bounds the spectrum as a share of what the rate allows.
    """
    chance = np.random.default_rng(seed)
    out = np.zeros(round(seconds * rate))
    limit = min(8000.0, rate / 2 * 0.97) * widest
    at, left = 0.05, int(chance.integers(5, 12))
    while at < seconds:
        length = chance.uniform(0.14, 0.3)
        _add(out, round(at * rate), _syllable(chance, round(length * rate), rate, limit))
        at, left = at + length * 0.85, left - 1
        if not left:
            at, left = at + chance.uniform(0.25, 0.7), int(chance.integers(5, 12))
    return np.clip(out * (0.1 / (np.sqrt(np.mean(out**2)) or 1)), -0.9, 0.9)[None, :]


def _add(out: npt.NDArray[np.float64], at: int, piece: npt.NDArray[np.float64]) -> None:
    room = max(0, len(out) - at)
    out[at : at + len(piece)] += piece[:room]


def _syllable(chance: np.random.Generator, count: int, rate: int, limit: float) -> npt.NDArray[np.float64]:
    pitch = chance.uniform(95, 230) * np.linspace(1, chance.uniform(0.75, 1.25), count)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    formants = chance.uniform((300, 900, 2200), (800, 2100, 3000))
    sung = np.zeros(count)
    for number in range(1, int(min(limit, 3600) / pitch.max()) + 1):
        middle = number * pitch.mean()
        strength = sum(np.exp(-(((middle - formant) / 220) ** 2)) for formant in formants) + 0.03
        sung += strength / np.sqrt(number) * np.sin(number * phase + chance.uniform(0, 6))
    spectrum = np.fft.rfft(chance.normal(size=count))
    spectrum[np.fft.rfftfreq(count, 1 / rate) > limit] = 0
    hiss = np.fft.irfft(spectrum, count) * chance.choice([0.02, 0.4])
    return (sung + hiss) * np.hanning(count) * chance.uniform(0.5, 1)


@cache
def call(seconds: float, rate: int = RATE) -> Sound:
    """Return two parties on two channels who take turns of some seconds."""
    left, right = voice(seconds, rate, 11)[0].copy(), voice(seconds, rate, 12)[0].copy()
    turn = (np.arange(len(left)) / rate % 5) < 2.6
    hiss = np.random.default_rng(3).normal(scale=0.0004, size=(2, len(left)))
    return np.stack([left * turn, right * ~turn]) + hiss


def tone(seconds: float, *hertz: float, rate: int = RATE, level: float = 0.3) -> Sound:
    """Return steady tones, mono."""
    time = np.arange(round(seconds * rate)) / rate
    return np.sum([level / len(hertz) * np.sin(2 * np.pi * one * time) for one in hertz], axis=0)[None, :]


def silence(seconds: float, rate: int = RATE) -> Sound:
    """Return nothing, mono."""
    return np.zeros((1, round(seconds * rate)))


def pcm16(sound: Sound) -> bytes:
    """Return the samples as 16-bit little-endian, channels interleaved."""
    return np.round(np.clip(sound, -1, 32767 / 32768) * 32768).astype("<i2").T.tobytes()


def honest(sound: Sound, rate: int = RATE) -> bytes:
    """Return a plain WAV of 16-bit PCM."""
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(len(sound))
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(pcm16(sound))
    return out.getvalue()


# ── tools ───────────────────────────────────────────────────────────────────────────────────


def run(*command: object, stdin: bytes | None = None) -> bytes:
    """Run a program and return its stdout; its own words on failure."""
    done = subprocess.run(
        [str(word) for word in command], input=stdin or b"", capture_output=True, timeout=120
    )
    assert done.returncode == 0, (command, done.stderr[-2000:].decode(errors="replace"))
    return done.stdout


def encode(target: Path, source: bytes | Path, *arguments: object, ffmpeg: str = STATIC) -> Path:
    """Let ffmpeg write ``target`` from a WAV (bytes or file); the same input gives the same bytes."""
    given = "-" if isinstance(source, bytes) else source
    exact = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact")
    run(
        *(ffmpeg, "-v", "error", "-y", "-i", given, *arguments, *exact, target),
        stdin=source if isinstance(source, bytes) else None,
    )
    return target


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a judge's full decode found: Hz, channels, samples per channel."""

    rate: int
    channels: int
    samples: int

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


def decode(path: Path, *before: str, ffmpeg: str = STATIC) -> Decoded | None:
    """Count every sample that ffmpeg decodes of the first audio stream, gapless tags honoured.

    ``before`` says what a headerless file is (``-f mulaw -ar 8000``). None when it decodes nothing.
    """
    command = [ffmpeg, "-hide_banner", "-nostdin", *before, "-i", str(path)]
    command += ["-map", "0:a:0", "-f", "s16le", "-c:a", "pcm_s16le", "-"]
    done = subprocess.run(command, capture_output=True, timeout=300)  # its exit code proves nothing
    written = done.stderr.rpartition(b"Output #0")[2]
    said = re.search(rb"Audio: pcm_s16le[^,]*, (\d+) Hz, ([^,\n]+)", written)
    if not done.stdout or said is None:
        return None
    rate, channels = int(said[1]), channels_of(said[2].decode())
    return Decoded(rate, channels, len(done.stdout) // (2 * channels))


def channels_of(layout: str) -> int:
    """Return how many channels ffmpeg's word for a layout means."""
    named = {"mono": 1, "stereo": 2, "3.0": 3, "quad": 4, "4.0": 4, "5.0": 5, "5.1": 6, "6.1": 7, "7.1": 8}
    if layout in named:
        return named[layout]
    if (counted := re.match(r"(\d+) channels", layout)) is not None:
        return int(counted[1])
    return named[layout.partition("(")[0].strip()]


@dataclass(frozen=True, slots=True)
class Levels:
    """What ffmpeg's astats says of one channel: dB relative to full scale, DC as a share of it."""

    rms_db: float
    peak_db: float
    dc: float


def astats(path: Path, *before: str, ffmpeg: str = STATIC) -> list[Levels]:
    """Return each channel's levels as ffmpeg measures them."""
    words = _filtered(path, before, "astats", ffmpeg)
    found = []
    for part in words.split("Channel:")[1:]:
        part = part.partition("Overall")[0]
        value = {
            name: float(number)
            for name, number in re.findall(r"(DC offset|Peak level dB|RMS level dB): (\S+)", part)
        }
        found.append(Levels(value["RMS level dB"], value["Peak level dB"], value["DC offset"]))
    return found


def ebur128(path: Path, *before: str, ffmpeg: str = STATIC) -> float:
    """Return the integrated loudness in LUFS as ffmpeg measures it."""
    words = _filtered(path, before, "ebur128=framelog=verbose", ffmpeg)
    return float(re.findall(r"I:\s+(-?[\d.]+|-?inf|nan) LUFS", words)[-1])


def _filtered(path: Path, before: tuple[str, ...], graph: str, ffmpeg: str) -> str:
    command = [ffmpeg, "-hide_banner", "-nostdin", *before, "-i", str(path), "-map", "0:a:0"]
    done = subprocess.run([*command, "-af", graph, "-f", "null", "-"], capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr.decode(errors="replace")


def sox_stats(path: Path, *before: str) -> list[Levels]:
    """Return each channel's levels as sox measures them."""
    done = subprocess.run(
        [debian("sox"), *before, str(path), "-n", "stats"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    rows = {}
    for line in done.stderr.splitlines():
        if named := re.match(r"(DC offset|Pk lev dB|RMS lev dB)\s+(.*)", line):
            values = [float(word) for word in named[2].split()]
            rows[named[1]] = values[1:] if len(values) > 1 else values
    return [
        Levels(*each) for each in zip(rows["RMS lev dB"], rows["Pk lev dB"], rows["DC offset"], strict=True)
    ]
