"""The same coded audio in a clean container, proven to decode to the very same samples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from mediapipe.audio.decode import words_of
from mediapipe.audio.rewrap import rewrap
from mediapipe.audio.source import Source
from mediapipe.errors import Rejected

_MUXERS = {"m4a": "ipod", "flac": "flac", "ogg": "ogg", "mp4": "mp4", "webm": "webm"}


def remux(source: Source, container: str, path: Path) -> None:
    """Write the coded audio of ``source`` to a new file in ``container``.

    Raises ``Rejected`` (``not_rewrappable``) where the container cannot hold it. That the sound is the same
    is for the caller to prove.
    """
    if container in ("wav", "mp3"):
        with source.path.open("rb") as file, path.open("w+b") as out:
            rewrap(file, file.seek(0, 2), container, out)
        return
    try:
        _copy_packets(source, container, path)
    except (FFmpegError, ValueError) as error:
        raise Rejected(
            f"{source.container} audio cannot be moved into {container}: {words_of(error)}",
            code="not_rewrappable",
        ) from None


def _copy_packets(source: Source, container: str, path: Path) -> None:
    options = {"fflags": "+bitexact"}  # neither dates nor random serial numbers: equal input, equal bytes
    with source.open() as decoder, av.open(str(path), "w", format=_MUXERS[container], options=options) as out:
        stream = out.add_stream_from_template(decoder.stream)
        for packet in decoder.packets():
            packet.stream = stream
            out.mux(packet)


def sound_of(blocks: Iterable[NDArray[Any]]) -> str:
    """Return the SHA-256 of decoded samples, whatever blocks they come in."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(np.ascontiguousarray(block.T).data.cast("B"))
    return digest.hexdigest()
