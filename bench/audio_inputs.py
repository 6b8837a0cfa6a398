"""Audio to measure with: real prompts as they ship, and calls put together from them.

The same seed gives the same files.

    python -m bench.audio_inputs FOLDER [--prompts 500] [--calls 10] [--seed 1]

Needs Debian's ffmpeg, asterisk-core-sounds-en-{wav,gsm,g722} and asterisk-prompt-it-menardi-alaw.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import wave
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

SOUNDS = Path("/usr/share/asterisk/sounds")
ENGLISH, ITALIAN = SOUNDS / "en_US_f_Allison", SOUNDS / "it_IT_f_Menardi"
FFMPEG = "/usr/bin/ffmpeg"
STATIC = imageio_ffmpeg.get_ffmpeg_exe()
RATE = 8000

_PROMPTS = {
    # suffix: folder, bytes a second, what tells ffmpeg how to read it
    "wav": (ENGLISH, 16_000, ()),
    "gsm": (ENGLISH, 1_650, ("-f", "gsm")),
    "g722": (ENGLISH, 8_000, ("-f", "g722")),
    "alaw": (ITALIAN, 8_000, ("-f", "alaw", "-ar", "8000")),
}
_CALLS = (
    # name, channels, encoder
    ("mulaw.wav", 1, ("-c:a", "pcm_mulaw")),
    ("alaw.wav", 2, ("-c:a", "pcm_alaw")),
    ("gsm.wav", 1, ("-c:a", "libgsm_ms")),
    ("pcm.wav", 2, ("-c:a", "pcm_s16le")),
    ("ima.wav", 2, ("-c:a", "adpcm_ima_wav")),
    ("mulaw.wav", 2, ("-c:a", "pcm_mulaw")),
    ("g722.g722", 1, ("-ar", "16000", "-c:a", "g722")),
    ("pcm.wav", 1, ("-c:a", "pcm_s16le")),
    ("g726.wav", 1, ("-c:a", "g726", "-b:a", "32k")),
    ("alaw.wav", 1, ("-c:a", "pcm_alaw")),
)
Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Input:
    """One file to work on; ``before`` tells ffmpeg what it is, ``seconds`` is what a full decode counted."""

    path: Path
    before: tuple[str, ...]
    channels: int
    seconds: float


def decoded_seconds(path: Path, *before: str) -> float:
    """Return how long a full decode by the static ffmpeg is; 0 when it decodes nothing."""
    command = [
        STATIC,
        "-hide_banner",
        "-nostdin",
        *before,
        "-i",
        str(path),
        "-map",
        "0:a:0",
        "-f",
        "s16le",
        "-",
    ]
    done = subprocess.run(command, capture_output=True)
    written = done.stderr.decode(errors="replace").rpartition("Output #0")[2]
    said = re.search(r"Audio: pcm_s16le[^,]*, (\d+) Hz, (mono|stereo)", written)
    if said is None:
        return 0.0
    return len(done.stdout) / (int(said[1]) * (2 if said[2] == "mono" else 4))


def prompts(folder: Path, count: int, seed: int) -> list[Input]:
    """Copy ``count`` real prompts of 1.5 to 20 s to ``folder``, of all four formats alike."""
    chance, taken = random.Random(seed), []
    each = -(-count // len(_PROMPTS))
    for suffix, (home, speed, before) in _PROMPTS.items():
        fitting = [
            path for path in sorted(home.rglob(f"*.{suffix}")) if 1.5 <= path.stat().st_size / speed <= 20
        ]
        if len(fitting) < each:
            raise SystemExit(f"only {len(fitting)} {suffix} prompts of 1.5 to 20 s in {home}")
        for path in chance.sample(fitting, each):
            target = folder / f"{len(taken):04d}-{path.name}"
            shutil.copy(path, target)
            taken.append((target, before, 1))
    chance.shuffle(taken)
    return _measured(taken[:count])


def calls(folder: Path, count: int, seed: int, shortest: float = 600, longest: float = 2400) -> list[Input]:
    """Write calls of ``shortest`` to ``longest`` seconds to ``folder``: two real people who take turns."""
    chance = random.Random(seed)
    agent = [_pcm(path) for path in sorted(ENGLISH.rglob("*.wav")) if path.stat().st_size > 20_000]
    caller = [_alaw(path) for path in sorted(ITALIAN.rglob("*.alaw")) if path.stat().st_size > 10_000]
    made = []
    for number in range(count):
        name, channels, encoder = _CALLS[number % len(_CALLS)]
        sides = conversation(chance, agent, caller, chance.uniform(shortest, longest))
        sound = sides if channels == 2 else sides.sum(axis=1, dtype=np.int16)[:, None]
        target = folder / f"{number:02d}-{'stereo' if channels == 2 else 'mono'}-{name}"
        plain = target.with_suffix(".tmp")
        with wave.open(str(plain), "wb") as writer:
            writer.setparams((channels, 2, RATE, 0, "NONE", ""))
            writer.writeframes(np.ascontiguousarray(sound).tobytes())
        subprocess.run([FFMPEG, "-v", "error", "-y", "-f", "wav", "-i", plain, *encoder, target], check=True)
        plain.unlink()
        made.append((target, ("-f", "g722") if target.suffix == ".g722" else (), channels))
    return _measured(made)


def conversation(
    chance: random.Random, agent: list[Samples], caller: list[Samples], seconds: float
) -> Samples:
    """Return two channels on which the parties take turns, with a breath between and noise below."""
    count, at, side = round(seconds * RATE), RATE, 0
    noise = np.random.default_rng(chance.randrange(1 << 30))
    out = noise.normal(scale=12, size=(count, 2)).astype(np.int16)
    while at < count:
        for _ in range(chance.randint(1, 3)):
            said = chance.choice((agent, caller)[side]) // 2
            room = max(0, min(len(said), count - at))
            out[at : at + room, side] += said[:room]
            at += len(said) + round(chance.uniform(0.05, 0.4) * RATE)
        at, side = at + round(chance.uniform(0.1, 1.2) * RATE), 1 - side
    return out


def _pcm(path: Path) -> Samples:
    with wave.open(str(path)) as reader:
        return np.frombuffer(reader.readframes(reader.getnframes()), "<i2")


def _alaw(path: Path) -> Samples:
    bits = np.frombuffer(path.read_bytes(), np.uint8).astype(np.int32) ^ 0x55
    exponent, mantissa = bits >> 4 & 7, (bits & 15) * 16 + 8
    size = np.where(exponent == 0, mantissa, (mantissa + 256) << np.maximum(exponent - 1, 0))
    return np.where(bits & 0x80, size, -size).astype(np.int16)


def _measured(files: list[tuple[Path, tuple[str, ...], int]]) -> list[Input]:
    with ThreadPoolExecutor(2) as pool:
        lengths = list(pool.map(lambda one: decoded_seconds(one[0], *one[1]), files))
    return [Input(*one, seconds) for one, seconds in zip(files, lengths, strict=True)]


def build(folder: Path, kind: str, count: int, seed: int) -> list[Input]:
    """Return the inputs of one kind below ``folder``, made now or by an earlier run with the same figures."""
    home = folder / f"{kind}-{count}-{seed}"
    note = home / "inputs.json"
    if not note.exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        made = (prompts if kind == "prompts" else calls)(home, count, seed)
        note.write_text(json.dumps([{**asdict(one), "path": one.path.name} for one in made]))
    return [
        Input(home / one["path"], tuple(one["before"]), one["channels"], one["seconds"])
        for one in json.loads(note.read_text())
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for kind in ("prompts", "calls"):
        made = build(options.folder, kind, getattr(options, kind), options.seed)
        size, hours = sum(one.path.stat().st_size for one in made), sum(one.seconds for one in made) / 3600
        print(f"{kind:8} {len(made):>4} files  {hours:.2f} h  {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
