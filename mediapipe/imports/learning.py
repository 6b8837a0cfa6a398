"""Whether an upload is listed with the time of the upload in ``call_created``, or with the call's own.

No source says it, and much hangs on it: if it does, a call that was created earlier is another call; if it
does not, all uploads look so. It is found out from uploads that the platform itself accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from mediapipe.errors import ItemError, Transient
from mediapipe.imports.intents import Intent
from mediapipe.imports.lookup import Lookup
from mediapipe.imports.matching import Created, Rules, fits, is_earlier, may_be

FACT = "created_is_upload_time"
SAMPLE = 8
ENOUGH = 3
"""So many uploads that all look earlier, and none that does not: then all of them do."""
_OLD = timedelta(hours=1)
"""Of a call that was uploaded sooner after it was made, the two times cannot be told apart."""


async def learn(accepted: Sequence[Intent], lookup: Lookup, rules: Rules) -> Created:
    """Return what accepted uploads show; one that shows its own time settles it, as no call of old could."""
    earlier = 0
    for intent in accepted:
        if intent.begun is None or intent.begun - intent.at < _OLD:
            continue
        try:
            seen = await lookup.of(intent)
        except (Transient, ItemError):
            continue
        calls = [call for call in seen.calls if may_be(intent, call, rules) and fits(intent, call)]
        if len(calls) != 1 or calls[0].created is None:
            continue
        if not is_earlier(intent, calls[0]):
            return Created.COUNTS
        earlier += not seen.why_not  # else its own call may be the one that was not seen
    return Created.IGNORED if earlier >= ENOUGH else Created.UNKNOWN
