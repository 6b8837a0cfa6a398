"""Claims, intents, receipts, lapses and releases of two owners, against a model of a few lines."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from anyio.from_thread import start_blocking_portal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mediapipe.ledger.interface import Claim, ClaimLost, Held, Receipt, Scope, Settled, State, Want
from mediapipe.ledger.open import open_ledger
from mediapipe.ledger.sql import SqlLedger

SCOPE = Scope("job", "host/account", "dest")
LEASE = timedelta(hours=1)

keys = st.sampled_from(["a", "b", "c"])
owners = st.sampled_from(["ann", "bob"])
states = st.sampled_from(list(State))


@dataclass
class Row:
    """What the model knows of an item; ``lease`` is alive, lapsed or off."""

    state: State
    owner: str
    fence: int = 1
    attempts: int = 1
    lease: str = "alive"

    def stands(self, claim: Claim) -> bool:
        return (self.owner, self.fence) == (claim.owner, claim.fence)


class LedgerMachine(RuleBasedStateMachine):
    """Every answer of the ledger is the model's."""

    @initialize()
    def start(self) -> None:
        self.stack = ExitStack()
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.path = str(Path(folder, "ledger.db"))
        self.portal = self.stack.enter_context(start_blocking_portal())
        self.ledgers: dict[str, SqlLedger] = {}
        for owner in ("ann", "bob"):
            ledger = self.portal.call(lambda owner=owner: open_ledger(self.path, owner=owner))
            self.stack.callback(self.portal.call, ledger.aclose)
            self.ledgers[owner] = ledger
        self.rows: dict[str, Row] = {}
        self.claims: list[Claim] = []

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    @rule(owner=owners, key=keys, takes=st.frozensets(states, max_size=6), intend=st.booleans())
    def claim(self, owner: str, key: str, takes: frozenset[State], intend: bool) -> None:
        (answer,) = self.portal.call(
            lambda: self.ledgers[owner].claim(
                SCOPE, [Want(key)], run_id="r", lease=LEASE, takes=takes, intend=intend
            )
        )
        row = self.rows.get(key)
        if row is not None and row.state not in takes | {State.NEW}:
            assert isinstance(answer, Settled)
            assert answer.state is row.state
            return
        if row is not None and row.lease == "alive" and row.owner != owner:
            assert isinstance(answer, Held)
            assert answer.owner == row.owner
            return
        assert isinstance(answer, Claim)
        if row is None:
            row = self.rows[key] = Row(State.NEW, owner, fence=0, attempts=0)
        assert answer.before is row.state
        row.owner, row.lease = owner, "alive"
        row.fence, row.attempts = row.fence + 1, row.attempts + 1
        if intend:
            row.state = State.INTENDED
        assert (answer.owner, answer.fence, answer.attempts) == (owner, row.fence, row.attempts)
        self.claims.append(answer)

    @rule(data=st.data())
    def intend(self, data: st.DataObject) -> None:
        claim = self._some_claim(data)
        if claim is None:
            return
        row = self.rows[claim.key]
        try:
            self.portal.call(self.ledgers[claim.owner].intend, claim)
        except ClaimLost:
            assert not row.stands(claim) or row.lease == "off"
        else:
            assert row.stands(claim)
            assert row.lease != "off"
            row.state = State.INTENDED

    @rule(data=st.data(), state=states, closes=st.lists(keys, max_size=2))
    def settle(self, data: st.DataObject, state: State, closes: list[str]) -> None:
        claim = self._some_claim(data)
        if claim is None:
            return
        row = self.rows[claim.key]
        receipt = Receipt(claim, state, closes=closes)
        refused = self.portal.call(lambda: self.ledgers[claim.owner].settle([receipt], run_id="r"))
        if not row.stands(claim) or (row.lease == "off" and row.state is not state):
            assert refused == [receipt]
            return
        assert refused == []
        row.state, row.lease = state, "off"
        for key in set(closes) - {claim.key}:
            if key in self.rows and self.rows[key].state is not State.CLOSED:
                self.rows[key].state, self.rows[key].lease = State.CLOSED, "off"

    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        claim = self._some_claim(data)
        if claim is None:
            return
        row = self.rows[claim.key]
        lost = self.portal.call(self.ledgers[claim.owner].renew, [claim], LEASE)
        stands = row.stands(claim) and (row.lease != "off" or row.state is not State.CLOSED)
        assert lost == ([] if stands else [claim])
        if stands and row.lease == "lapsed":
            row.lease = "alive"

    @rule(key=keys)
    def lapse(self, key: str) -> None:
        """Let time pass over a lease."""
        row = self.rows.get(key)
        if row is None or row.lease != "alive":
            return
        connection = sqlite3.connect(self.path)
        with connection:
            connection.execute("UPDATE ledger_items SET lease = 1 WHERE key = ?", (key,))
        connection.close()
        row.lease = "lapsed"

    @rule(owner=owners)
    def release(self, owner: str) -> None:
        held = [row for row in self.rows.values() if row.owner == owner and row.lease != "off"]
        other = self.ledgers["bob" if owner == "ann" else "ann"]
        assert self.portal.call(other.release, SCOPE, owner) == len(held)
        for row in held:
            row.owner, row.lease = "", "off"

    @invariant()
    def the_ledger_is_the_model(self) -> None:
        if not hasattr(self, "rows"):
            return
        ledger = self.ledgers["ann"]
        alive = {row.owner for row in self.rows.values() if row.lease == "alive"}
        assert self.portal.call(ledger.holders, SCOPE) == alive
        known = self.portal.call(ledger.peek, SCOPE, ["a", "b", "c"])
        assert known == {key: row.state for key, row in self.rows.items()}

    def _some_claim(self, data: st.DataObject) -> Claim | None:
        """Draw a claim, of today or long lost."""
        return data.draw(st.sampled_from(self.claims)) if self.claims else None


LedgerMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase
