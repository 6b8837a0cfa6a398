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
from mediapipe.imports.intents import Intent, intent_of_item
from mediapipe.imports.lookup import Lookup
from mediapipe.imports.matching import Rules, may_be
from mediapipe.imports.reconciling import OPEN
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
    """Log which groups of a manifest the account does not have."""
    if not groups.checked:
        log.warning("groups were not looked up: %s", groups.why_not)
    for one in groups.unresolved:
        near = f"; did you mean {one.nearest}?" if one.nearest else ""
        log.warning("%s %r, in %d rows, is no group of the account%s", one.column, one.value, one.rows, near)


async def is_new(ledger: Ledger, scope: Scope) -> bool:
    """Tell whether a ledger knows of no upload at all."""
    counts = await ledger.counts(scope)
    return not any(counts[state] for state in OPEN | {State.DONE})


async def there_already(
    api: V3, sample: Sequence[CallRow], rules: Rules, margin: timedelta
) -> list[dict[str, str]]:
    """Return those rows of a sample that the account seems to have, each with the calls it may be.

    Raises ``PlatformDown`` when that cannot be found out.
    """
    lookup, found = Lookup(api, margin=margin), []
    for row in sample:
        if row.at is None:
            continue
        intent = Intent(row.external_id, row.at, row.fields)
        try:
            seen = await lookup.at(row.at)
        except (Transient, ItemError) as error:
            raise PlatformDown(f"whether rows are there already could not be looked up: {error}") from error
        calls = sorted(call.call_id for call in seen.calls if may_be(intent, call, rules))
        if calls:
            found.append({"external_id": row.external_id, "calls": ", ".join(calls[:5])})
    return found


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
    ear: Ear,
    originals: Originals,
    sink: Callable[[CallRow, Judged], None],
    *,
    workers: int,
    signals: bool = False,
) -> Ending:
    """Decode the audio of every row without problems, wherever it stands; ``sink`` gets what came of each."""

    async def pages() -> AsyncGenerator[Sequence[CallRow | Looked[Any]], None]:
        while page := await anyio.to_thread.run_sync(lambda: list(islice(rows, PAGE))):
            yield [row for row in page if not row.problems]

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
