"""Cells that a spreadsheet would run as formulas: made harmless on the way out, restored on the way in."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_HARMLESS = re.compile(r"'+[=+\-@\t\r]")


def neutralise(cell: str) -> str:
    """Return a cell that a spreadsheet takes for text: one more ``'`` before what might be a formula.

    A cell that has such marks already gets another, so that :func:`restore` gives every cell back.
    """
    return "'" + cell if _FORMULA.match(cell) else cell


def restore(cell: str) -> str:
    """Return the cell that :func:`neutralise` made this one of."""
    return cell[1:] if _HARMLESS.match(cell) else cell
