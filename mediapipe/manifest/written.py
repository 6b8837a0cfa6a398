"""CSV as this package writes manifests: every row that it writes, it reads back as it was."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as CSV, a line feed between them and none behind the last.

    Cells with a carriage return are quoted as well: ``csv`` does that for the characters of its own line
    end only, and one that is not quoted ends a row.
    """
    lines = []
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow(row)
        lines.append(line.getvalue().removesuffix("\r\n"))
    return "\n".join(lines)
