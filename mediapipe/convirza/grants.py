"""Signed URLs, just in time: asked for and used in the same breath, never queued, never stored.

The lister offers what it has seen; the fetcher takes it while it is fresh enough, else the call is
fetched again by id (one request per call however many ask). The shelf is bounded: what falls off is
simply fetched again.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import anyio

from mediapipe.convirza.models import Call

Fetch = Callable[[str], Awaitable[Call | None]]


class Grants:
    """Calls with live grants, by call id.

    ``margin`` is in seconds; ``refetches`` counts the extra requests that renewal cost.
    """

    def __init__(self, fetch: Fetch, *, margin: float, capacity: int = 1024) -> None:
        self._fetch = fetch
        self._margin = margin
        self._capacity = capacity
        self._shelf: OrderedDict[str, Call] = OrderedDict()
        self._flights: dict[str, _Flight] = {}
        self._skew = 0.0
        self.refetches = 0

    def offer(self, call: Call) -> None:
        """Keep a call that was just listed, until it is taken or falls off."""
        if call.grant is None:
            return
        # expires_at is in the platform's clock; ours may be wrong by minutes.
        self._skew = call.grant.granted_at - time.time()
        self._shelf[call.call_id] = call
        self._shelf.move_to_end(call.call_id)
        while len(self._shelf) > self._capacity:
            self._shelf.popitem(last=False)

    def recall(self, call_id: str) -> Call | None:
        """Return a shelved call without using its grant up, or None."""
        return self._shelf.get(call_id)

    async def take(self, call_id: str) -> Call | None:
        """Return the call with a grant fresh enough to start a download, fetching it again if need be.

        The result may lack a grant (the recording is gone) or be None (the call is gone).
        """
        call = self._shelf.pop(call_id, None)
        if call and call.grant and call.grant.fresh(self._margin, time.time() + self._skew):
            return call
        return await self.renew(call_id)

    async def renew(self, call_id: str) -> Call | None:
        """Return the call fetched again; callers that ask at the same time share one request."""
        flight = self._flights.get(call_id)
        if flight is not None:
            await flight.landed.wait()
            if flight.ok:
                return flight.call
            return await self.renew(call_id)
        flight = self._flights[call_id] = _Flight()
        try:
            self.refetches += 1
            flight.call = await self._fetch(call_id)
            flight.ok = True
            return flight.call
        finally:
            del self._flights[call_id]
            flight.landed.set()


class _Flight:
    """One request under way."""

    def __init__(self) -> None:
        self.landed = anyio.Event()
        self.call: Call | None = None
        self.ok = False
