"""Coverage: which spans of time were walked completely, and how far without a gap.

Spans are half-open, ``[start, end)``, in microseconds. They are kept merged, so a year of nightly
runs is one row.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from mediapipe.ledger.schema import anchors, coverage, scopes
from mediapipe.ledger.writes import insert_new


def anchor(connection: Connection, number: int, at: int) -> int:
    """Set where contiguous coverage starts unless it is set; return the one in force."""
    insert_new(connection, anchors, ["scope_id"], {"scope_id": number, "at": at})
    found: int = connection.execute(select(anchors.c.at).where(anchors.c.scope_id == number)).scalar_one()
    return found


def cover(connection: Connection, number: int, start: int, end: int) -> int | None:
    """Add a span, merged with those it overlaps or touches; return the watermark."""
    if start < end:
        # Two processes must not both merge with what they saw before the other wrote. (SQLite has one
        # writer anyway and leaves FOR UPDATE out.)
        connection.execute(select(scopes.c.id).where(scopes.c.id == number).with_for_update())
        near = (coverage.c.scope_id == number) & (coverage.c.start <= end) & (coverage.c.end >= start)
        found = connection.execute(select(coverage.c.start, coverage.c.end).where(near)).all()
        first = min([start, *(row.start for row in found)])
        last = max([end, *(row.end for row in found)])
        connection.execute(delete(coverage).where(near))
        connection.execute(insert(coverage).values(scope_id=number, start=first, end=last))
    return watermark(connection, number)


def spans(connection: Connection, number: int) -> list[tuple[int, int]]:
    """Return the covered spans, merged and in order."""
    query = select(coverage.c.start, coverage.c.end).where(coverage.c.scope_id == number)
    return [(start, end) for start, end in connection.execute(query.order_by(coverage.c.start))]


def watermark(connection: Connection, number: int) -> int | None:
    """Return the end of the span that holds the anchor, the anchor without one, None without anchor."""
    at: int | None = connection.scalar(select(anchors.c.at).where(anchors.c.scope_id == number))
    if at is None:
        return None
    end: int | None = connection.scalar(
        select(coverage.c.end).where(
            coverage.c.scope_id == number, coverage.c.start <= at, coverage.c.end > at
        )
    )
    return at if end is None else end
