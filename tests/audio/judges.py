"""Who says what a file sounds like: PyAV (FFmpeg 8) and the ffmpeg of imageio. Neither is under test."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from av.error import FFmpegError

SILENCE = hashlib.sha256(b"").hexdigest()


def samples_of(raw: bytes, container: str) -> bytes | None:
    """Return what PyAV decodes, interleaved, in the format of the decoder; None when it cannot open it."""
    decoded = []
    try:
        with av.open(io.BytesIO(raw), format=container, metadata_errors="replace") as file:
            stream = file.streams.audio[0]
            for packet in file.demux(stream):
                try:
                    frames = packet.decode()
                except FFmpegError:
                    continue
                for frame in frames:
                    block = frame.to_ndarray()
                    decoded.append((block.T if frame.format.is_planar else block).tobytes())
    except (FFmpegError, IndexError, AttributeError):
        return None
    return b"".join(decoded)


def length_of(raw: bytes, container: str, sample_bytes: int = 4, channels: int = 1) -> int | None:
    """Return the number of samples per channel that PyAV decodes; it gives 4 bytes each for mp3."""
    decoded = samples_of(raw, container)
    return None if decoded is None else len(decoded) // sample_bytes // channels


def floats_of(raw: bytes, channels: int = 1) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return what PyAV decodes of an mp3, of shape (samples, channels)."""
    return np.frombuffer(samples_of(raw, "mp3") or b"", np.float32).reshape(-1, channels)


def ffmpeg_samples_of(raw: bytes, suffix: str, sample_format: str = "f64le") -> bytes:
    """Return what ffmpeg decodes from a file, which it may seek in."""
    return ffmpeg_decodes([(raw, suffix)], sample_format)[0]


def ffmpeg_decodes(files: Sequence[tuple[bytes, str]], sample_format: str = "f64le") -> list[bytes]:
    """Return what ffmpeg decodes of each file, given with its suffix; one process for all of them."""
    with tempfile.TemporaryDirectory() as folder:
        command, outputs = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"], []
        for number, (raw, suffix) in enumerate(files):
            path = Path(folder) / f"{number}.{suffix}"
            path.write_bytes(raw)
            command += ["-i", str(path)]
        for number in range(len(files)):
            outputs.append(Path(folder) / f"{number}.raw")
            command += ["-map", f"{number}:a:0", "-f", sample_format, str(outputs[-1])]
        subprocess.run(command, capture_output=True, check=False)
        return [path.read_bytes() if path.exists() else b"" for path in outputs]


def sounds_of(*files: tuple[bytes, str]) -> list[tuple[str, str]]:
    """Return, for each file given with its suffix, the SHA-256 of what PyAV and ffmpeg decode."""
    theirs = ffmpeg_decodes(files)
    return [
        (_digest(samples_of(raw, suffix) or b""), _digest(decoded))
        for (raw, suffix), decoded in zip(files, theirs, strict=True)
    ]


def _digest(decoded: bytes) -> str:
    return hashlib.sha256(decoded).hexdigest()
