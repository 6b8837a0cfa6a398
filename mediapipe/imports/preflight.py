"""What is found out before the first upload: whether anything may be sent, and what is there already."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import anyio.to_thread

from mediapipe.convirza.v3 import V3
from mediapipe.errors import ItemError, PlatformDown, Transient
from mediapipe.groups import Resolution
from mediapipe.imports.feed import FRESH
from mediapipe.imports.intents import Intent, intent_of_item
from mediapipe.imports.lookup import Lookup
from mediapipe.imports.matching import Listed, Rules, may_be
from mediapipe.imports.reconciling import OPEN, caller_of, places_of, uploads_at
from mediapipe.items import Verdict
from mediapipe.ledger.interface import Ledger, Scope, State
from mediapipe.line import Ending
from mediapipe.listening import Ear
from mediapipe.manifest.calls import CallRow
from mediapipe.originals import Originals
from mediapipe.survey import Looked, Survey, survey
from mediapipe.verdicts import Judged, about

log = logging.getLogger(__name__)

PAGE = 256


def tell_groups(groups: Resolution) -> None:
    """Log which groups of a manifest rows cannot go to."""
    if not groups.checked:
        log.warning("groups were not looked up: %s", groups.why_not)
    for one in groups.unresolved:
        log.warning("%s", one)


async def unknown(ledger: Ledger, scope: Scope, rows: Sequence[CallRow]) -> list[CallRow]:
    """Return those rows of which a ledger knows no call."""
    states = await ledger.peek(scope, [row.external_id for row in rows])
    return [row for row in rows if states.get(row.external_id, State.NEW) in FRESH]


async def there_already(
    api: V3, ledger: Ledger, scope: Scope, sample: Sequence[CallRow], rules: Rules, margin: timedelta
) -> list[dict[str, str]]:
    """Return those rows of a sample that the account seems to have although the ledger knows nothing of them.

    A call that one of the ledger's own uploads may have made is held against nobody. Raises ``PlatformDown``
    when it cannot be found out.
    """
    lookup, found, why_not = Lookup(api, margin=margin), list[tuple[Intent, list[Listed]]](), ""
    for row in sample:
        if row.at is None:
            continue
        intent = Intent(row.external_id, row.at, row.fields)
        try:
            seen = await lookup.at(row.at)
        except (Transient, ItemError) as error:
            raise PlatformDown(f"whether rows are there already could not be looked up: {error}") from error
        why_not = why_not or seen.why_not
        if calls := [call for call in seen.calls if may_be(intent, call, rules)]:
            found.append((intent, calls))
    places = places_of([intent for intent, _ in found], rules.time_slack)
    near = await uploads_at(ledger, scope, places)
    there = []
    for intent, calls in found:
        made = near.get(caller_of(intent), ())
        owners = sum(any(may_be(one, call, rules) for call in calls) for one in made)
        if len(calls) > owners:
            named = ", ".join(sorted(call.call_id for call in calls)[:5])
            there.append({"external_id": intent.key, "calls": named})
    if why_not and not there:
        raise PlatformDown(f"whether rows are there already could not be looked up: {why_not}")
    return there


async def sent_today(ledger: Ledger, scope: Scope) -> int:
    """Return how many uploads the ledger knows of that began today (UTC)."""
    today, sent = datetime.now(UTC).date(), 0
    async for page in ledger.items(scope, states=OPEN | {State.DONE}):
        for item in page:
            intent = intent_of_item(item)
            sent += intent is not None and intent.latest is not None and intent.latest.date() == today
    return sent


async def listen_to_all(
    rows: Iterator[CallRow],
    ledger: Ledger,
    scope: Scope,
    ear: Ear,
    originals: Originals,
    sink: Callable[[CallRow, Judged], None],
    *,
    workers: int,
    signals: bool = False,
) -> Ending:
    """Decode the audio of all rows that would be sent, wherever it stands; ``sink`` gets the bad ones."""

    async def pages() -> AsyncGenerator[Sequence[CallRow | Looked[Any]], None]:
        while page := await anyio.to_thread.run_sync(lambda: list(islice(rows, PAGE))):
            yield await unknown(ledger, scope, [row for row in page if not row.problems])

    async def look(row: CallRow) -> Looked[tuple[CallRow, Judged]]:
        async with AsyncExitStack() as stack:
            path = Path(row.file)
            if row.remote:
                path = (await stack.enter_async_context(originals.fetched(row.remote))).path
            judged = await ear.listen(row, path)
        return Looked(judged.outcome, (row, judged))

    by_key: dict[str, CallRow] = {}

    def named(row: CallRow) -> Any:
        by_key[row.external_id] = row
        return about(row)

    def take(seen: Sequence[Looked[tuple[CallRow, Judged]]]) -> None:
        for one in seen:
            row = by_key.pop(one.outcome.key)
            if one.outcome.verdict is not Verdict.DONE:
                sink(row, Judged(one.outcome))

    return await survey(Survey("listen", pages, look, named, take, workers), signals=signals)
