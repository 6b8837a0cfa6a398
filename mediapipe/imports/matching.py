"""Which listed call belongs to which upload. Pure: a wrong match loses a call, a wrong miss doubles one.

* A call *may* be that of an upload when the digits of its numbers agree (a leading 1 is optional), it starts
  at the upload's time, and it was not there before the upload began. It *fits* when its length agrees too.
* A marker decides alone: the call that carries it is the upload's, and nobody else's.
* Without one, calls and uploads are matched one to one, against **all** uploads that the calls may belong
  to, the accepted ones as well: a call that belongs to another row proves nothing. Only as many calls as
  uploads, all of which fit, settle anything. More, or fewer, is ambiguous and left to a person.
* No call that may be the upload's: missing. What that means depends on how long ago it was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias

from mediapipe.imports.intents import MARK, Intent

CREATED_SLACK = timedelta(minutes=2)
"""How far the clocks may be apart when a call's creation is compared with the upload's beginning."""

LENGTH_SLACK_S = 2.0
LENGTH_SLACK_RATIO = 0.02


@dataclass(frozen=True, slots=True)
class Listed:
    """A call as the platform lists it. ``lengths`` in seconds: it names several, and they may disagree."""

    call_id: str
    started: datetime | None
    created: datetime | None
    caller: str
    tracking: str = ""
    ring_to: str = ""
    lengths: tuple[float, ...] = ()
    sources: tuple[str, ...] = ()
    recorded: bool = False
    group: str = ""
    disposition: str = ""


class Created(Enum):
    """What it means that a call shows as created before an upload began. Undocumented: see ``learning``."""

    COUNTS = "it is another call"
    IGNORED = "nothing: uploads show as created when the call was"
    UNKNOWN = "it proves neither one nor the other"


@dataclass(frozen=True, slots=True)
class Rules:
    """How far a call's start may be from what was sent, and what its creation says."""

    time_slack: timedelta
    created: Created = Created.UNKNOWN


@dataclass(frozen=True, slots=True)
class Matched:
    """The upload made this call: proven ``by_marker``, else only likely."""

    call: Listed
    by_marker: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """No listed call may be the upload's."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """These calls may be, and which cannot be told."""

    call_ids: tuple[str, ...]
    why: str


Result: TypeAlias = Matched | Missing | Ambiguous


def digits(number: str) -> str:
    """Return a number as it is compared: its digits, without a North American country code."""
    plain = "".join(char for char in number if char in "0123456789")
    return plain[1:] if len(plain) == 11 and plain.startswith("1") else plain


def may_be(intent: Intent, call: Listed, rules: Rules) -> bool:
    """Tell whether a call may be that of an upload, whatever its length and whenever it was created."""
    if call.started is None or abs(call.started - intent.at) > rules.time_slack:
        return False
    theirs = [name for name in call.sources if name.startswith(MARK)]
    if theirs and intent.marker not in theirs:
        return False
    pairs = (("caller_id", call.caller), ("tracking_number", call.tracking), ("ring_to", call.ring_to))
    return all(
        digits(sent) == digits(shown)
        for name, shown in pairs
        if (sent := intent.fields.get(name)) and (shown or name == "caller_id")
    )


def is_earlier(intent: Intent, call: Listed) -> bool:
    """Tell whether a call shows as created before the upload began, by more than clocks may differ."""
    known = call.created is not None and intent.begun is not None
    return known and call.created < intent.begun - CREATED_SLACK  # type: ignore[operator]


def _is_candidate(intent: Intent, call: Listed, rules: Rules) -> bool:
    early = rules.created is not Created.IGNORED and is_earlier(intent, call)
    return not early and may_be(intent, call, rules)


def fits(intent: Intent, call: Listed) -> bool:
    """Tell whether one of a call's lengths is that of what was sent, where both are known."""
    if intent.duration_s is None or not call.lengths:
        return True
    slack = max(LENGTH_SLACK_S, LENGTH_SLACK_RATIO * intent.duration_s)
    return any(abs(length - intent.duration_s) <= slack for length in call.lengths)


def match(
    wanted: Sequence[Intent], others: Sequence[Intent], calls: Sequence[Listed], rules: Rules
) -> Mapping[str, Result]:
    """Return what is known of each wanted upload, by its key.

    ``others`` are the uploads that are accepted or uncertain besides; ``calls`` may hold any, once each.
    """
    found: dict[str, Result] = {}
    free = {call.call_id: call for call in calls}
    left = []
    for intent in wanted:
        own = _own(intent, calls)
        if len(own) == 1:
            found[intent.key] = Matched(own[0], by_marker=intent.marker in own[0].sources)
        elif own:
            found[intent.key] = Ambiguous(_ids(own), "several calls carry its marker")
        else:
            left.append(intent)
    rest = [intent for intent in others if not intent.call_id and not _own(intent, calls)]
    for intent in (*wanted, *others):
        for call in _own(intent, calls):
            free.pop(call.call_id, None)
    open_keys = {intent.key for intent in left}
    for intents, members in _groups([*left, *rest], list(free.values()), rules):
        open_ones = [intent for intent in intents if intent.key in open_keys]
        found.update(_settled(open_ones, intents, members, rules))
    if rules.created is Created.UNKNOWN:
        found.update(_doubted(left, found, list(free.values()), rules))
    return found


def _doubted(
    wanted: Sequence[Intent], found: Mapping[str, Result], calls: Sequence[Listed], rules: Rules
) -> dict[str, Result]:
    """Return doubts about uploads that seem missing although calls of their kind were there before."""
    why = "it shows as created before it was sent, and whether uploads do is not known"
    return {
        intent.key: Ambiguous(_ids(early), why)
        for intent in wanted
        if isinstance(found[intent.key], Missing)
        and (early := [call for call in calls if may_be(intent, call, rules)])
    }


def _own(intent: Intent, calls: Iterable[Listed]) -> list[Listed]:
    """Return the calls that are an upload's beyond doubt: found before, or carrying its marker."""
    return [
        call
        for call in calls
        if (intent.call_id and call.call_id == intent.call_id)
        or (intent.marker and intent.marker in call.sources)
    ]


def _ids(calls: Iterable[Listed]) -> tuple[str, ...]:
    return tuple(sorted(call.call_id for call in calls))


def _groups(
    intents: Sequence[Intent], calls: Sequence[Listed], rules: Rules
) -> list[tuple[list[Intent], list[Listed]]]:
    """Return uploads and calls that hang together because one may be the other's."""
    groups: list[tuple[list[Intent], list[Listed]]] = []
    todo = list(range(len(intents)))
    while todo:
        members, queue, mine = [], [todo.pop(0)], dict[str, Listed]()
        while queue:
            members.append(queue.pop())
            for call in calls:
                if call.call_id in mine or not _is_candidate(intents[members[-1]], call, rules):
                    continue
                mine[call.call_id] = call
                reached = [at for at in todo if _is_candidate(intents[at], call, rules)]
                queue += reached
                todo = [at for at in todo if at not in reached]
        groups.append(([intents[at] for at in members], list(mine.values())))
    return groups


def _settled(
    wanted: Sequence[Intent], intents: Sequence[Intent], calls: Sequence[Listed], rules: Rules
) -> dict[str, Result]:
    """Return the results of one group's wanted uploads."""
    if not calls:
        return {intent.key: Missing() for intent in wanted}
    ids = _ids(calls)
    if len(calls) > len(intents):
        why = f"{len(calls)} calls may be it" if len(intents) == 1 else "more calls than uploads may be it"
        return {intent.key: Ambiguous(ids, why) for intent in wanted}
    if len(calls) < len(intents):
        why = f"{len(intents)} uploads may have made {len(calls)} listed calls"
        return {intent.key: Ambiguous(ids, why) for intent in wanted}
    pairs = _paired(intents, calls, rules)
    if pairs is None:
        return {intent.key: Ambiguous(ids, "the lengths do not agree") for intent in wanted}
    return {intent.key: Matched(pairs[intent.key], by_marker=False) for intent in wanted}


def _paired(intents: Sequence[Intent], calls: Sequence[Listed], rules: Rules) -> Mapping[str, Listed] | None:
    """Return a call for every upload, one to one, all fitting; None when there is no such pairing."""
    ordered = sorted(calls, key=lambda call: call.call_id)
    owner: dict[int, Intent] = {}

    def place(intent: Intent, tried: set[int]) -> bool:
        for at, call in enumerate(ordered):
            if at in tried or not (_is_candidate(intent, call, rules) and fits(intent, call)):
                continue
            tried.add(at)
            if at not in owner or place(owner[at], tried):
                owner[at] = intent
                return True
        return False

    if not all(place(intent, set()) for intent in sorted(intents, key=lambda one: one.key)):
        return None
    return {intent.key: ordered[at] for at, intent in owner.items()}
