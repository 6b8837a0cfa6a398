"""What a write asks for, as data: prepared and checked by the caller, executed by ``batch``.

A row is a plain dict because it goes into one JSON parameter; its names are those of ``statements``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection

from mediapipe.ledger.interface import Claim, Receipt, State, Want
from mediapipe.ledger.values import checked_key, clean_text, dump_detail, to_micros_or_none

Row: TypeAlias = dict[str, Any]
RowKey: TypeAlias = tuple[int, str]
"""Number of the scope, key."""


@dataclass(frozen=True, slots=True)
class ClaimItems:
    """Claim rows; answers two dicts by key: the rows won, and the others as they stand."""

    rows: Sequence[Row]
    takes: frozenset[State]
    intend: bool


@dataclass(frozen=True, slots=True)
class IntendItem:
    """Set claimed rows to INTENDED; answers the positions of those that stood."""

    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class SettleItems:
    """Record receipts; answers the positions of those that stood. ``closes[i]`` belongs to ``rows[i]``."""

    rows: Sequence[Row]
    closes: Sequence[Sequence[Row]]


@dataclass(frozen=True, slots=True)
class RenewClaims:
    """Prolong leases; answers the positions of those that stood."""

    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Other:
    """Anything rarer: a function of the connection, run inside the batch's transaction."""

    run: Callable[[Connection], Any]


Operation: TypeAlias = ClaimItems | IntendItem | SettleItems | RenewClaims | Other


def claim_rows(scope_id: int, wants: Sequence[Want], *, owner: str, run_id: str, lease: int) -> list[Row]:
    """Return one row per distinct key, in the order of keys.

    One order for all keeps two processes that claim the same items from waiting for each other.
    """
    distinct: dict[str, Row] = {}
    for want in wants:
        if want.key not in distinct:
            distinct[want.key] = {
                "scope": scope_id,
                "key": checked_key(want.key),
                "subject": clean_text(want.subject),
                "at": to_micros_or_none(want.at),
                "owner": owner,
                "run": run_id,
                "lease": lease,
            }
    return [distinct[key] for key in sorted(distinct)]


def _claimed_row(scope_id: int, claim: Claim) -> Row:
    return {"scope": scope_id, "key": checked_key(claim.key), "owner": claim.owner, "fence": claim.fence}


def intend_row(scope_id: int, claim: Claim, detail: Mapping[str, str] | None) -> Row:
    """Return the row for :class:`IntendItem`."""
    return _claimed_row(scope_id, claim) | {"detail": None if detail is None else dump_detail(detail)}


def renew_row(scope_id: int, claim: Claim, lease: int) -> Row:
    """Return the row for :class:`RenewClaims`."""
    return _claimed_row(scope_id, claim) | {"lease": lease}


def settle_row(scope_id: int, receipt: Receipt, run_id: str) -> Row:
    """Return the row for :class:`SettleItems`."""
    return _claimed_row(scope_id, receipt.claim) | {
        "state": receipt.state.value,
        "reason": clean_text(receipt.reason),
        "message": clean_text(receipt.message),
        "detail": None if receipt.detail is None else dump_detail(receipt.detail),
        "run": run_id,
    }


def close_rows(scope_id: int, receipt: Receipt, run_id: str) -> list[Row]:
    """Return the rows that a receipt replaces."""
    return [
        {"scope": scope_id, "key": checked_key(key), "run": run_id}
        for key in receipt.closes
        if key != receipt.claim.key
    ]
