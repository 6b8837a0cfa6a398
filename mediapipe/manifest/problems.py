"""What is wrong with a row or a header, as data that says what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

QUOTED = 80
"""Characters of a value that a message shows."""


def quoted(value: str, limit: int = QUOTED) -> str:
    """Return a value fit to stand in a message: in quotes, on one line, cut where it is long."""
    cut = value if len(value) <= limit else value[:limit] + "…"
    return "'" + "".join(char if char.isprintable() else repr(char)[1:-1] for char in cut) + "'"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong: a stable ``code``, what it is, in which column, with which value, and what to do.

    ``value`` is None where none stands behind it. ``passing`` says that it may be gone when looked at
    again: a file that could not be read just now.
    """

    code: str
    what: str
    column: str = ""
    value: str | None = None
    hint: str = ""
    passing: bool = False

    def __str__(self) -> str:
        value = "" if self.value is None else quoted(self.value)
        where = " ".join(part for part in (self.column, value) if part)
        said = f"{where}: {self.what}" if where else self.what
        return f"{said} ({self.hint})" if self.hint else said
