"""How a list of calls goes wrong: twists of one page in the making.

Each takes the sandbox, the switch that fired and the listing, and changes the listing (or the sandbox) so
that the page is what a restless server would give.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from mediapipe.sandbox.scenario import Switch

if TYPE_CHECKING:
    from mediapipe.sandbox.listing import Listing
    from mediapipe.sandbox.state import SandboxState

Twist: TypeAlias = "Callable[[SandboxState, Switch, Listing], None]"

_DEFAULT_CAP = 50
_DEFAULT_INSERTS = 3


def unstable_order(state: SandboxState, switch: Switch, listing: Listing) -> None:
    """Every page is cut from another order: calls repeat on some pages and are missing from others."""
    switch.dice.shuffle(listing.matched)


def duplicates(state: SandboxState, switch: Switch, listing: Listing) -> None:
    """Every page but the first begins with the last call of the page before; none is missing."""
    if listing.offset:
        listing.offset -= 1


def drifting_total(state: SandboxState, switch: Switch, listing: Listing) -> None:
    """Give a total that is off by up to three either way, otherwise on every page."""
    listing.total = max(0, listing.total + switch.dice.choice((-3, -2, -1, 1, 2, 3)))


def ignores_offset(state: SandboxState, switch: Switch, listing: Listing) -> None:
    """Every page is the first page."""
    listing.offset = 0


def page_cap(state: SandboxState, switch: Switch, listing: Listing) -> None:
    """Fewer calls than asked for, without a word; ``amount`` is the most a page holds."""
    listing.limit = min(listing.limit, switch.rule.amount or _DEFAULT_CAP)


def insert_mid_walk(state: SandboxState, switch: Switch, listing: Listing) -> None:
    """Let a call arrive at the front of the window while it is walked; ``amount`` arrive in all."""
    inserted = switch.counts.get("", 0)
    limit = _DEFAULT_INSERTS if switch.rule.amount is None else switch.rule.amount
    if not listing.offset or inserted >= limit:
        return
    switch.counts[""] = inserted + 1
    newest = listing.matched[0].started_ms + 1 if listing.matched else listing.start_ms
    listing.matched.insert(0, state.insert_call(min(newest, listing.end_ms - 1)))
    listing.total += 1


def never_settles(state: SandboxState, switch: Switch, listing: Listing) -> None:
    """Another call is missing on every walk of a window, and the total promises one more than there are."""
    if not listing.offset:
        switch.counts[listing.key] = switch.counts.get(listing.key, -1) + 1
    missing = switch.counts.get(listing.key, 0) % (len(listing.matched) + 1)
    del listing.matched[missing : missing + 1]
    listing.total += 1
