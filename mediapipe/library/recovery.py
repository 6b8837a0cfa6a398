"""What became of uploads that an earlier run began and did not see end; looked up before anything else."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import anyio

from mediapipe.errors import ItemError, Transient
from mediapipe.exclusive import LEASE
from mediapipe.ledger.interface import Claim, Receipt, State, Want
from mediapipe.library.attempts import Attempt, Seen, Sight, attempt_of, sight, standing_entry
from mediapipe.library.lockfile import LibraryLock
from mediapipe.library.publishing import Tools
from mediapipe.library.words import Listed

log = logging.getLogger(__name__)

OPEN = frozenset({State.INTENDED, State.UNCERTAIN})
PAGE = 500
"""Attempts that are claimed, and settled, in one statement."""
SECOND_LOOK_S = 2.0
"""Seconds between two readings of a list that lacks something."""


@dataclass(slots=True)
class Recovered:
    """What was found: the account's list and the lock as they are then.

    ``unclear`` says by key why nothing may be uploaded; ``half_made`` are entries of which only a part came;
    ``notes`` are for people.
    """

    listed: list[Listed]
    lock: LibraryLock
    unclear: dict[str, str] = field(default_factory=dict)
    half_made: list[Listed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


async def open_attempts(tools: Tools) -> list[Attempt]:
    """Return the uploads whose end is not known."""
    found = []
    async for page in tools.ledger.items(tools.scope, states=OPEN):
        attempts = (attempt_of(item.key, item.detail) for item in page)
        found += [one for one in attempts if one is not None]
    return found


async def read_library(tools: Tools) -> list[Listed]:
    """Return the account's list; one that lacks something of ours is read again before it is believed."""
    listed = await tools.api.list_prompts()
    ours = {entry.prompt_id for entry in tools.keeper.lock.prompts.values()} - {""}
    if ours <= {one.prompt_id for one in listed}:
        return listed
    await anyio.sleep(min(tools.lag.total_seconds(), SECOND_LOOK_S))
    return await tools.api.list_prompts()


async def foresee(tools: Tools) -> Recovered:
    """Return what a recovery would find; changes nothing anywhere, and waits for nothing."""
    listed = await read_library(tools)
    result = Recovered(listed, tools.keeper.lock)
    here = _by_key(listed)
    attempts = await open_attempts(tools)
    living = bool(attempts) and bool(await tools.ledger.holders(tools.scope) - {tools.ledger.owner})
    gone: set[str] = set()
    for attempt in attempts:
        seen = sight(attempt, here.get(attempt.key, ()), result.lock.ids)
        _note(result, attempt, seen, _may_come(attempt, tools.lag, living))
        if seen.sight is Sight.FOUND:
            result.lock = _standing(result.lock, attempt, seen, tools.now())
        elif seen.sight is Sight.HALF_MADE:
            if _deletable(tools, seen):
                gone.add(seen.entries[0].prompt_id)
            else:
                result.unclear[attempt.key] = _left(seen, "it cannot be deleted here")
    result.listed = [one for one in listed if one.prompt_id not in gone]
    return result


def _by_key(listed: Sequence[Listed]) -> dict[str, list[Listed]]:
    found: dict[str, list[Listed]] = {}
    for one in listed:
        found.setdefault(one.key, []).append(one)
    return found


def _may_come(attempt: Attempt, lag: timedelta, living: bool) -> str:
    """Say in words why an upload that is not listed may be listed yet; "" when that is over."""
    if living:
        return "a run is at work that may be sending it"
    if attempt.latest is not None and attempt.latest + lag > datetime.now(UTC):
        return "it was sent just now"
    return ""


def _standing(lock: LibraryLock, attempt: Attempt, seen: Seen, now: str) -> LibraryLock:
    """Return the lock with what was found; what it knows of an id already is newer than the attempt."""
    one = seen.entries[0]
    if one.prompt_id and one.prompt_id in lock.ids:
        return lock
    return lock.standing(attempt.key, standing_entry(attempt, one, now=now), now=now)


def _deletable(tools: Tools, seen: Seen) -> bool:
    return tools.api.deletes and bool(seen.entries[0].prompt_id)


def _left(seen: Seen, why: str) -> str:
    said = f"only a part of an earlier upload came, as id {seen.ids}, and {why}"
    return f"{said}; delete it by hand and run again"


async def recover(tools: Tools, run_id: str) -> Recovered:
    """Settle every upload whose end is not known, as far as the list tells; return list and lock after that.

    What may still be on its way is waited for. Half-made prompts are deleted, for they are ours for certain.
    """
    attempts = await open_attempts(tools)
    await _wait_for(attempts, tools.lag)
    listed = await read_library(tools)
    result = Recovered(listed, tools.keeper.lock)
    if not attempts:
        return result
    here = _by_key(listed)
    for at in range(0, len(attempts), PAGE):
        await _settle(tools, result, here, attempts[at : at + PAGE], run_id)
    if result.half_made:
        # What was deleted may go on being listed for a while.
        gone = {one.prompt_id for one in result.half_made}
        result.listed = [one for one in await tools.api.list_prompts() if one.prompt_id not in gone]
    result.lock = tools.keeper.lock
    return result


async def _wait_for(attempts: Sequence[Attempt], lag: timedelta) -> None:
    """Wait until the youngest upload would be listed."""
    latest = max((one.latest for one in attempts if one.latest is not None), default=None)
    if latest is None:
        return
    left = (latest + lag - datetime.now(UTC)).total_seconds()
    if left > 0:
        log.info("an upload of an earlier run may still turn up: waiting %.0f s", left)
        await anyio.sleep(min(left, lag.total_seconds()))


async def _settle(
    tools: Tools,
    result: Recovered,
    here: Mapping[str, Sequence[Listed]],
    attempts: Sequence[Attempt],
    run_id: str,
) -> None:
    """Settle a page of attempts: one claim, one write of the lock, and one of the receipts after that."""
    answers = await tools.ledger.claim(
        tools.scope, [Want(one.key) for one in attempts], run_id=run_id, lease=LEASE, takes=OPEN
    )
    receipts: list[Receipt] = []
    found: list[tuple[Attempt, Seen]] = []
    ours = tools.keeper.lock.ids
    for attempt, claim in zip(attempts, answers, strict=True):
        if not isinstance(claim, Claim):
            result.unclear[attempt.key] = "another run is working on it"
            continue
        seen = sight(attempt, here.get(attempt.key, ()), ours)
        _note(result, attempt, seen)
        if seen.sight is Sight.FOUND:
            found.append((attempt, seen))
        receipts.append(await _receipt(tools, result, claim, seen))
    if found:
        await tools.keeper.change(lambda lock: _all_standing(lock, found, tools.now()))
    await tools.ledger.settle(receipts, run_id=run_id)


def _all_standing(lock: LibraryLock, found: Iterable[tuple[Attempt, Seen]], now: str) -> LibraryLock:
    for attempt, seen in found:
        lock = _standing(lock, attempt, seen, now)
    return lock


async def _receipt(tools: Tools, result: Recovered, claim: Claim, seen: Seen) -> Receipt:
    match seen.sight:
        case Sight.FOUND:
            return Receipt(claim, State.DONE)
        case Sight.HALF_MADE:
            return await _half_made(tools, result, claim, seen)
        case Sight.NOTHING:
            return Receipt(claim, State.FAILED, "not_there", "nothing came of it")
        case _:
            return Receipt(claim, State.UNCERTAIN, "several", result.unclear.get(claim.key, ""))


async def _half_made(tools: Tools, result: Recovered, claim: Claim, seen: Seen) -> Receipt:
    """Delete what only came in part; where that cannot be done, nothing more is uploaded for it."""
    why = "it cannot be deleted here"
    if _deletable(tools, seen):
        try:
            await tools.api.delete(seen.entries[0].prompt_id)
        except (Transient, ItemError) as error:
            why = f"it could not be deleted: {error}"
        else:
            result.half_made.append(seen.entries[0])
            return Receipt(claim, State.FAILED, "half_made", "only a part had come; it was deleted")
    result.unclear[claim.key] = said = _left(seen, why)
    return Receipt(claim, State.UNCERTAIN, "half_made", said)


def _note(result: Recovered, attempt: Attempt, seen: Seen, may_come: str = "") -> None:
    said = f"{attempt.key}: an earlier run did not see its upload end"
    match seen.sight:
        case Sight.FOUND:
            size = seen.other_size(attempt)
            result.notes.append(f"{said}; it is there as id {seen.ids}{f' ({size})' if size else ''}")
        case Sight.NOTHING if may_come:
            result.notes.append(f"{said}; it is not listed, and may still turn up: {may_come}")
        case Sight.NOTHING:
            result.notes.append(f"{said}; nothing came of it")
        case Sight.HALF_MADE:
            result.notes.append(f"{said}; only a part of it came, as id {seen.ids}")
        case Sight.SEVERAL:
            result.unclear[attempt.key] = (
                f"an earlier upload is open, and {len(seen.entries)} new entries have its name ({seen.ids});"
                " delete what is not wanted by hand and run again"
            )
