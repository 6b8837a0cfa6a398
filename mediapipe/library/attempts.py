"""An upload that was begun: what the ledger keeps of it, and what the account's list says became of it. Pure.

The platform gives no receipt that could be asked for later. What tells is the list: ids that stand under the
prompt's name now and did not before the first byte left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from mediapipe.library.desired import Desired
from mediapipe.library.lockfile import Entry
from mediapipe.library.words import Listed


@dataclass(frozen=True, slots=True)
class Attempt:
    """An upload of one prompt, as it stands in the ledger before its first byte leaves.

    ``before`` are the ids that stood under its name then, ``nameless`` how many entries without id did;
    ``latest`` is when the last byte may have left, None before anything was sent. ``entry`` is what will
    stand in the lock; its id is open until the platform names one. ``accepted``: the platform clearly said
    that it has it, so whatever its size is there, it is not a part.
    """

    key: str
    entry: Entry
    before: frozenset[str] = frozenset()
    nameless: int = 0
    latest: datetime | None = None
    accepted: bool = False

    def as_detail(self) -> dict[str, str]:
        """Return it as the ledger keeps it: text by name."""
        one = self.entry
        detail = {
            "source_sha256": one.source_sha256,
            "recipe": one.recipe,
            "rendered_sha256": one.rendered_sha256,
            "bytes": str(one.bytes),
            "container": one.container,
            "file": one.file,
            "language": one.language,
            "profile": one.profile,
            "before": ",".join(sorted(self.before)),
            "nameless": str(self.nameless),
            "latest": "" if self.latest is None else self.latest.astimezone(UTC).isoformat(),
            "accepted": "yes" if self.accepted else "",
            "id": one.prompt_id,
        }
        return {name: text for name, text in detail.items() if text}


def attempt_of(key: str, detail: Mapping[str, str]) -> Attempt | None:
    """Return the attempt that a ledger row speaks of; None where it never came so far."""
    if "rendered_sha256" not in detail:
        return None
    container, file, language, profile = (
        detail.get(name, "") for name in ("container", "file", "language", "profile")
    )
    entry = Entry(
        detail.get("id", ""),
        detail.get("source_sha256", ""),
        detail.get("recipe", ""),
        detail["rendered_sha256"],
        int(detail.get("bytes", "0")),
        container,
        file,
        language,
        profile,
    )
    latest = detail.get("latest")
    return Attempt(
        key,
        entry,
        frozenset(detail.get("before", "").split(",")) - {""},
        int(detail.get("nameless", "0")),
        datetime.fromisoformat(latest) if latest else None,
        "accepted" in detail,
    )


def entry_of(wanted: Desired, *, sha256: str, size: int, container: str) -> Entry:
    """Return what the lock will say of a prompt, its id still open; hash and size are of what is sent."""
    return Entry(
        "",
        wanted.source_sha256,
        wanted.recipe,
        sha256,
        size,
        container,
        wanted.file,
        wanted.language,
        wanted.profile_name,
    )


class Sight(StrEnum):
    """What the list shows of an upload."""

    FOUND = "found"
    """Exactly one entry is new, and nothing speaks against it."""
    HALF_MADE = "half_made"
    """Exactly one is new, has less than was sent, and nobody ever said that it had come."""
    NOTHING = "nothing"
    SEVERAL = "several"
    """Which of them is ours cannot be told; nothing is deleted."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen, and the new entries."""

    sight: Sight
    entries: tuple[Listed, ...] = ()

    @property
    def ids(self) -> str:
        """The new ids, for messages."""
        return ", ".join(one.prompt_id or "without id" for one in self.entries)

    def other_size(self, attempt: Attempt) -> str:
        """Say that the one entry has not the size that was sent; "" where it has, or none is shown."""
        one, sent = self.entries[0], attempt.entry.bytes
        if one.size is None or not sent or one.size == sent:
            return ""
        return f"id {one.prompt_id or '?'} has {one.size:,} bytes, {sent:,} were sent"


def sight(attempt: Attempt, listed: Iterable[Listed], ours: Collection[str] = (), made: str = "") -> Seen:
    """Return what became of an attempt by what is listed now.

    ``ours`` are ids that the lock knows already, ``made`` is the id that the answer named, if it named one.
    """
    here = [one for one in listed if one.key == attempt.key]
    new = [one for one in here if one.prompt_id and one.prompt_id not in attempt.before]
    known = [one for one in new if one.prompt_id in ours]
    new = [one for one in new if one.prompt_id not in ours]
    nameless = [one for one in here if not one.prompt_id][attempt.nameless :]
    new += nameless
    if not new and known:
        # Its receipt was lost, not its entry in the lock: that is written first.
        return Seen(Sight.FOUND, tuple(known[-1:]))
    if not new:
        return Seen(Sight.NOTHING)
    made = made or attempt.entry.prompt_id
    named = [one for one in new if made and one.prompt_id == made]
    if len(new) > 1 and not named:
        return Seen(Sight.SEVERAL, tuple(new))
    one = (named or new)[0]
    # More than was sent is no part of it: the platform may keep audio in a form of its own.
    if one.size is None or not attempt.entry.bytes or one.size >= attempt.entry.bytes:
        return Seen(Sight.FOUND, (one,))
    if made and one.prompt_id and not named:
        return Seen(Sight.NOTHING)  # another id than ours, and other audio: somebody else's
    # Less than was sent is what the platform made of it, once it said that it has it.
    taken = attempt.accepted or bool(made)
    return Seen(Sight.FOUND if taken else Sight.HALF_MADE, (one,))


def standing_entry(attempt: Attempt, one: Listed, *, now: str) -> Entry:
    """Return the lock's entry of an attempt whose prompt was found."""
    return replace(attempt.entry, prompt_id=one.prompt_id, uploaded_at=one.uploaded or now)
