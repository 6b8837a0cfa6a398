"""What comes over a connection: the heads of answers and their bodies, read as strictly as HTTP/1.1 allows.

The standard library reads heads as if they were mail, and that takes more time than to move the recording.
An answer whose end cannot be told is none: a guess could end in the middle of another call's recording.
"""

from __future__ import annotations

import http.client
import math
import re
import socket
import time
from dataclasses import dataclass

MOST_HEAD = 65_536
"""Bytes of one head, and of one line between chunks."""
MOST_FIELDS = 200
"""Headers of one head, and of what may come behind a body in chunks."""
MOST_INTERIM = 20
"""Interim answers (1xx) before the one that counts."""

_BLANK = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"HTTP/(1\.[01]) +([1-9][0-9]{2})(?: .*)?")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*)")
_LINE = re.compile(r"\r?\n")
_DIGITS = re.compile(r"[0-9]{1,19}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r?\n", re.DOTALL)


class Incoming:
    """A connection's reading side, a little of it read ahead.

    An error in the middle of a body looks like an end, and is kept in ``failed``: what came before it is
    not lost. ``deadline`` is a moment of ``time.monotonic``.
    """

    def __init__(self, wire: socket.socket, timeout: float, deadline: float = math.inf) -> None:
        self._wire, self._timeout, self._deadline = wire, timeout, deadline
        self._ahead = b""
        self.began = False
        self.failed: OSError | None = None

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing was read ahead."""
        return not self._ahead

    def unread(self, heard: bytes) -> None:
        """Put back what was read ahead."""
        self._ahead, self.began = heard + self._ahead, self.began or bool(heard)

    def head(self) -> str:
        """Return the next head without its blank line; raises ``OSError`` and ``HTTPException``."""
        heard, searched = self._ahead, 0
        while (end := _BLANK.search(heard, searched)) is None:
            if len(heard) > MOST_HEAD:
                raise http.client.HTTPException("a head without an end")
            searched = max(0, len(heard) - 3)
            heard += self._more(heard)
        if end.start() > MOST_HEAD:
            raise http.client.HTTPException("a head that is too long")
        self._ahead = heard[end.end() :]
        return heard[: end.start()].decode("latin-1")

    def line(self) -> bytes:
        """Return the next line with its end; raises ``OSError`` and ``HTTPException``."""
        heard = self._ahead
        while (end := heard.find(b"\n") + 1) == 0:
            if len(heard) > MOST_HEAD:
                raise http.client.HTTPException("a line without an end")
            heard += self._more(heard)
        self._ahead = heard[end:]
        return heard[:end]

    def _more(self, heard: bytes) -> bytes:
        """Return what comes next; raises for an end that comes too soon."""
        self._check_deadline()
        more = self._wire.recv(MOST_HEAD)
        if not more:
            if not heard and not self.began:
                raise http.client.RemoteDisconnected("it closed the connection without an answer")
            raise http.client.IncompleteRead(heard)
        self.began = True
        return more

    def readinto(self, view: memoryview) -> int:
        """Fill the view with what was read ahead, or from the socket; 0 at an end, or for an error."""
        if self._ahead:
            count = min(len(view), len(self._ahead))
            view[:count], self._ahead = self._ahead[:count], self._ahead[count:]
            return count
        if self.failed is not None:
            return 0
        try:
            self._check_deadline()
            return self._wire.recv_into(view)
        except OSError as error:
            self.failed = error
            return 0

    def _check_deadline(self) -> None:
        if self._deadline == math.inf:
            return
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("it took longer than it may take")
        if left < self._timeout:
            self._wire.settimeout(left)


@dataclass(slots=True)
class Answer:
    """One answer, its body unread. ``length`` is what is left of the body; None where that was not said.

    ``will_close``: the far side closes the connection behind it, or it has to be closed.
    """

    status: int
    headers: list[tuple[str, str]]
    length: int | None
    will_close: bool
    incoming: Incoming
    _chunked: bool = False
    _in_chunk: int = 0
    _behind: bool = False
    _ended: bool = False

    @property
    def whole(self) -> bool:
        """Tell whether the body was read to its end."""
        return self._ended if self.length is None else self.length == 0

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` as far as the body goes, one of unsaid length with what there is; 0 at its end.

        Of a body that breaks off, first what did arrive is returned, then ``OSError`` or
        ``HTTPException`` is raised.
        """
        if self._chunked:
            return self._of_chunk(view)
        if self.length is None:
            count = self.incoming.readinto(view)
            if not count and len(view):
                self._check_failed()
                self._ended = True
            return count
        filled, wanted = 0, min(len(view), self.length)
        while filled < wanted:
            count = self.incoming.readinto(view[filled:wanted])
            if not count:
                break
            filled += count
        self.length -= filled
        if not filled and wanted:
            self._check_failed()
            raise http.client.IncompleteRead(b"", self.length)
        return filled

    def _of_chunk(self, view: memoryview) -> int:
        if self._ended or not len(view):
            return 0
        if not self._in_chunk:
            self._check_failed()
            if self._behind and self.incoming.line().strip(b"\r\n"):
                raise http.client.HTTPException("a chunk that does not end where it says")
            self._behind = True
            size = _CHUNK.fullmatch(self.incoming.line())
            if size is None:
                raise http.client.HTTPException("a chunk whose size cannot be read")
            self._in_chunk = int(size[1], 16)
            if not self._in_chunk:
                self._trailers()
                return 0
        count = self.incoming.readinto(view[: self._in_chunk])
        if not count:
            self._check_failed()
            raise http.client.IncompleteRead(b"", self._in_chunk)
        self._in_chunk -= count
        return count

    def _trailers(self) -> None:
        for _ in range(MOST_FIELDS):
            if not self.incoming.line().strip(b"\r\n"):
                self._ended = True
                return
        raise http.client.HTTPException("trailers without an end")

    def _check_failed(self) -> None:
        if self.incoming.failed is not None:
            raise self.incoming.failed

    def read(self) -> bytes:
        """Return the rest of the body; raises as ``readinto`` does."""
        if self.length == 0:
            return b""
        pieces = []
        buffer = bytearray(min(MOST_HEAD if self.length is None else self.length, 1 << 20))
        with memoryview(buffer) as view:
            while not self.whole:
                if count := self.readinto(view):
                    pieces.append(bytes(view[:count]))
        return b"".join(pieces)


def read_answer(incoming: Incoming, method: str) -> Answer:
    """Return the answer that counts; raises ``OSError``, and ``HTTPException`` for what is no answer."""
    for _ in range(MOST_INTERIM):
        first, *lines = _LINE.split(incoming.head())
        said = _STATUS.fullmatch(first)
        if said is None:
            raise http.client.BadStatusLine("no HTTP/1.1 status line")
        status = int(said[2])
        if not 100 <= status < 200 or status == 101:
            return _framed(incoming, method, said[1], status, _fields(lines))
    raise http.client.HTTPException("nothing but interim answers")


def _fields(lines: list[str]) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    if len(lines) > MOST_FIELDS:
        raise http.client.HTTPException("a head of too many lines")
    for line in lines:
        if line[:1] in {" ", "\t"} and fields:  # a line that goes on, as very old servers write
            name, value = fields[-1]
            fields[-1] = (name, f"{value} {line.strip()}")
            continue
        found = _FIELD.fullmatch(line)
        if found is None:
            raise http.client.HTTPException("a header that cannot be read")
        fields.append((found[1], found[2].rstrip(" \t")))
    return fields


def _framed(
    incoming: Incoming, method: str, version: str, status: int, headers: list[tuple[str, str]]
) -> Answer:
    """Return the answer with what tells its end."""
    encodings, lengths, connection = [], set[str](), ""
    for name, value in headers:
        match name.lower():
            case "transfer-encoding":
                encodings.append(value.lower())
            case "content-length":
                lengths.update(one.strip() for one in value.split(","))
            case "connection":
                connection = f"{connection},{value.lower()}"
    if encodings and encodings != ["chunked"]:
        raise http.client.HTTPException("a Transfer-Encoding that is not known")
    if len(lengths) > 1 or not all(_DIGITS.fullmatch(one) for one in lengths):
        raise http.client.HTTPException("a Content-Length that cannot be read")
    words = {word.strip() for word in connection.split(",")}
    will_close = "close" in words or status == 101 or (version == "1.0" and "keep-alive" not in words)
    if method == "HEAD" or status in {204, 304} or status < 200:
        return Answer(status, headers, 0, will_close, incoming)
    if encodings:
        return Answer(status, headers, None, will_close or bool(lengths), incoming, _chunked=True)
    length = int(lengths.pop()) if lengths else None
    return Answer(status, headers, length, will_close or length is None, incoming)
