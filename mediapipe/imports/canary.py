"""A few uploads ahead of the others, to see whether they show up as they were meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import anyio

from mediapipe.convirza.v3 import V3
from mediapipe.errors import ItemError, Transient
from mediapipe.imports.intents import Intent
from mediapipe.imports.lookup import Lookup
from mediapipe.imports.matching import Ambiguous, Created, Listed, Matched, Rules, digits, is_earlier, match


@dataclass(frozen=True, slots=True)
class Sighting:
    """One canary: the call it became, and what is not as it was meant. Fine without complaints."""

    key: str
    call_id: str
    complaints: tuple[str, ...]

    @property
    def fine(self) -> bool:
        """Whether it shows up as meant."""
        return bool(self.call_id) and not self.complaints

    def as_json(self) -> dict[str, object]:
        """Return it for the report."""
        return {"key": self.key, "call_id": self.call_id, "complaints": list(self.complaints)}


def compare(intent: Intent, call: Listed, created: Created) -> list[str]:
    """Say what a listed call shows otherwise than it was sent."""
    sent, found = intent.fields, []
    pairs = (
        ("group_id", sent.get("group_id"), call.group),
        ("disposition", sent.get("disposition"), call.disposition),
    )
    numbers = (
        ("tracking_number", sent.get("tracking_number"), call.tracking),
        ("ring_to", sent.get("ring_to"), call.ring_to),
    )
    found += [f"{name} {was} shows as {now}" for name, was, now in pairs if was and now and was != now]
    found += [
        f"{name} {was} shows as {now or 'nothing'}"
        for name, was, now in numbers
        if was and digits(was) != digits(now)
    ]
    if not call.recorded:
        found.append("it has no recording")
    if intent.marker and intent.marker not in call.sources:
        found.append("its marker does not show (imports.marker_slot)")
    if created is Created.COUNTS and is_earlier(intent, call):
        found.append("it shows as created before it was sent: set imports.created_is_upload_time = false")
    return found


async def sight(
    api: V3, intents: Sequence[Intent], rules: Rules, *, margin: timedelta, patience: timedelta
) -> list[Sighting]:
    """Look for canaries until all show up as meant, or ``patience`` has passed."""
    ends = anyio.current_time() + patience.total_seconds()
    pause = 0.5
    while True:
        seen = await _look(api, intents, rules, margin)
        if all(one.fine for one in seen) or anyio.current_time() >= ends:
            return seen
        await anyio.sleep(min(pause, max(0.05, ends - anyio.current_time())))
        pause = min(2 * pause, 15.0)


async def _look(api: V3, intents: Sequence[Intent], rules: Rules, margin: timedelta) -> list[Sighting]:
    lookup = Lookup(api, margin=margin)
    calls: dict[str, Listed] = {}
    trouble = ""
    try:
        for intent in intents:
            calls.update((call.call_id, call) for call in (await lookup.of(intent)).calls)
    except (Transient, ItemError) as error:
        trouble = str(error)
    # Whether a call's creation tells when it was uploaded is one of the things to be found out.
    found = match(intents, (), list(calls.values()), replace(rules, created=Created.IGNORED))
    sightings = []
    for intent in intents:
        result = found.get(intent.key)
        match result:
            case Matched(call=call):
                complaints = compare(intent, call, rules.created)
                sightings.append(Sighting(intent.key, call.call_id, tuple(complaints)))
            case Ambiguous(why=why, call_ids=ids):
                sightings.append(Sighting(intent.key, "", (f"{why}: call {', '.join(ids[:5])}",)))
            case _:
                sightings.append(Sighting(intent.key, "", (trouble or "it is not listed",)))
    return sightings
