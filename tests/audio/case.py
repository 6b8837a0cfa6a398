"""One nasty file of the corpus: how it is made, and what must be said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mediapipe.audio.targets import AsIs, Reject, Rewrap, Split, Transcode

AS_IS, REWRAP, TRANSCODE, REJECT = (AsIs,), (Rewrap,), (Transcode,), (Reject,)
SENT = (AsIs, Rewrap)
CLEANED = (Rewrap, Transcode)
MADE_TO_FIT = (Transcode, Split)
ANY = (AsIs, Rewrap, Transcode, Split, Reject)

Maker = Callable[[Path], object]
"""Writes the file at the path it is given."""


@dataclass(frozen=True, slots=True)
class Case:
    """A named file and its verdict.

    ``notes`` are the known lies (``4a: …``) and nasty inputs (``16`` … ``30``) that it stands for. A file is
    either refused by the probe with ``code``, or it is ``what`` ("container codec") with exactly these
    ``findings``, the rules' ``judged`` (every rule set to warn) and one of ``plans`` for call/upload.
    Alternatives are written ``a|b``; ``may`` names codes of either kind that are right to say and right to
    leave out. ``seconds`` is the true length by construction, roughly; ``before`` tells the judge's ffmpeg
    what a headerless file is; ``length`` is off where no decoder can be the judge. ``twin`` is a case that
    must sound the same to the last bit. ``needs`` are Debian's tools without which it cannot be made.
    """

    name: str
    file: str
    make: Maker
    notes: tuple[str, ...]
    what: str = ""
    seconds: float = 10.0
    findings: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    plans: tuple[type, ...] = ANY
    code: str = ""
    raw_format: str | None = None
    before: tuple[str, ...] = ()
    length: bool = True
    twin: str = ""
    needs: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Tell whether the probe must give facts."""
        return not self.code


def put(content: bytes | Callable[[], bytes]) -> Maker:
    """Return a maker that writes these bytes; a function is asked for them when the file is made."""
    return lambda path: path.write_bytes(content() if callable(content) else content)
