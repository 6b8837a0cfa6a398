"""``preview.html``: a set of prompts to be heard before it is sent; one file that asks nobody for anything.

The audio stands in the page as text, in blocks that no browser runs, shows or decodes until somebody presses
play: hundreds of prompts cost nothing until then. It is written block by block, so that neither this program
nor anybody's memory has to hold all of it, and put in its place when it is whole.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import BinaryIO, Literal

from mediapipe.errors import DiskFull, Fatal, UsageError
from mediapipe.report.page import page_template
from mediapipe.report.rundir import FULL
from mediapipe.report.small_waves import Evenness, Waves

MARK = b'<meta name="generator" content="mediapipe prompts preview">'
"""Stands near the beginning of every preview: only a file that has it is written over."""
_MARKED_WITHIN = 500
_END = "</body>\n</html>\n"

Kind = Literal["source", "rendered", "heard"]


@dataclass(frozen=True, slots=True)
class Card:
    """What the page says of one prompt. Levels in dBFS or dB, times in seconds; None is not known.

    ``number`` names it in the page, ``change`` is what became of it since the last release, in a word or
    two, and ``why`` that in a sentence. ``blocked`` says why it cannot be sent, "" where it can;
    ``outlying`` in which way it stands out from its set; ``remarks`` what else a person should look at.
    """

    number: int
    type: str
    name: str
    change: str
    changed: bool
    language: str = ""
    profile: str = ""
    file: str = ""
    row: int | None = None
    why: str = ""
    blocked: str = ""
    outlying: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    seconds: float | None = None
    level_before: float | None = None
    level_after: float | None = None
    gain: float | None = None
    limited: float | None = None
    true_peak: float | None = None
    head_cut: float | None = None
    tail_cut: float | None = None
    pace: float | None = None
    waves: Waves | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """A row or a prompt that cannot be sent, and why; ``number`` is its card's where it has one."""

    key: str
    why: str
    file: str = ""
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """All that the page says, but for the audio.

    ``compared`` says what the set was compared with; ``counts`` are how many prompts there are by change.
    ``lacking`` names, for each prompt, which of ``languages`` it is not there in; ``gone`` are prompts that
    were there in the last release; ``left_out`` how many unchanged ones have no card.
    """

    manifest: str
    made: str
    compared: str
    counts: Mapping[str, int]
    cards: Sequence[Card]
    troubles: Sequence[Trouble] = ()
    lacking: Mapping[str, Sequence[str]] = field(default_factory=dict)
    languages: Sequence[str] = ()
    gone: Sequence[str] = ()
    notes: Sequence[str] = ()
    evenness: Evenness | None = None
    left_out: int = 0


def render_preview(preview: Preview) -> str:
    """Return the page's beginning, all but audio and end. Everything that came from outside is escaped."""
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    types = sorted({card.type for card in preview.cards})
    return page_template("preview.html.j2").render(
        preview=preview,
        mark=MARK.decode(),
        script=script,
        script_digest=digest,
        types=types,
    )


@cache
def _script() -> str:
    return (resources.files(__package__) / "preview.js").read_text("utf-8")


def check_place(path: Path) -> None:
    """Raise ``UsageError`` where a preview cannot be written, or would replace what is none of ours."""
    hint = "name another file, or move that one away"
    try:
        with path.open("rb") as file:
            ours = MARK in file.read(_MARKED_WITHIN)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise UsageError(f"--out {path}: there is no folder {path.parent}") from None
        return
    except OSError as error:
        raise UsageError(f"--out {path}: cannot be written: {error.strerror or error}", hint=hint) from None
    if not ours:
        raise UsageError(f"--out {path}: is there already and is no preview", hint=hint)


class PreviewFile:
    """A preview that is being written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.wanted = True
        """False once it is given up."""

    def text(self, text: str) -> None:
        """Write a piece of the page."""
        self._file.write(text.encode("utf-8", "backslashreplace"))

    def audio(self, number: int, kind: Kind, data: bytes, media_type: str) -> None:
        """Write one of a card's sounds; the page shows a button for it."""
        # A media type is one of our own words, and base64 has no sign that a page would mind.
        self.text(f'<script type="text/plain" id="audio-{number}-{kind}" data-type="{media_type}">')
        self._file.write(base64.b64encode(data))
        self.text("</script>\n")

    def give_up(self) -> None:
        """Leave what stands in its place as it is: this one will not be whole."""
        self.wanted = False


@contextmanager
def writing(path: Path, preview: Preview) -> Iterator[PreviewFile]:
    """Write a preview; its sounds are written in the body. It is in its place only once it is whole.

    Raises ``UsageError`` as :func:`check_place` does, ``DiskFull`` or ``Fatal``.
    """
    check_place(path)
    target = path.resolve()
    partial = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        try:
            with partial.open("xb") as file:
                page = PreviewFile(file)
                page.text(render_preview(preview))
                yield page
                page.text(_END)
            if page.wanted:
                with suppress(FileNotFoundError):
                    partial.chmod(target.stat().st_mode & 0o777)
                partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(f"no room left to write {path}") from None
        raise Fatal(f"{path} cannot be written: {error.strerror or error}", code="preview") from None
