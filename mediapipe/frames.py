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
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (size,) = _LENGTH.unpack(head)
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)  # noqa: S301  # written by the process at the other end


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
