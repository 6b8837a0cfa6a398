"""Values between the processes of one run, over sockets of their own: a length, then a pickle."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from typing import IO, Any

_LENGTH = struct.Struct(">I")


def packed(value: object) -> bytes:
    """Return a value as it is sent."""
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data


def read_frame(file: IO[bytes]) -> Any:
    """Read one value from a file of our own; raises ``EOFError`` at its end."""
    (size,) = _LENGTH.unpack(_whole(file, _LENGTH.size))
    return pickle.loads(_whole(file, size))  # noqa: S301  # written by the process at the other end


def _whole(file: IO[bytes], size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = file.read(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


class Frames:
    """Values out of bytes that come in pieces."""

    def __init__(self) -> None:
        self._heard = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield each value that is whole now."""
        self._heard += data
        at = 0
        while len(self._heard) - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._heard, at)
            end = at + _LENGTH.size + size
            if len(self._heard) < end:
                break
            value = pickle.loads(memoryview(self._heard)[at + _LENGTH.size : end])  # noqa: S301  # as above
            at = end
            yield value
        if at:
            del self._heard[:at]
