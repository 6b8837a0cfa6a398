"""Lost answers, deaths, late lists, changed rows, in any order: a call is never made twice or forgotten."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mediapipe.imports.matching import Created
from mediapipe.items import Verdict
from tests.crash.import_world import DEADLINE, LAG, PATIENCE, ImportWorld, Ran
from tests.crash.world import Death
from tests.import_runs import row

QUICKEST = "/dev/shm" if Path("/dev/shm").is_dir() else None

WAYS = ("taken", "throttled", "throttled, then taken", "refused", "dropped", "lost", "hangs", "breaks")
KINDS = ("peek", "claim", "intend", "post", "settle", "list_calls", "items", "release", "end")

ways = st.lists(st.sampled_from(WAYS), min_size=4, max_size=4)
deaths = st.builds(Death, st.sampled_from(KINDS), st.sampled_from([0, 0, 1, 2, 5]), st.booleans())
deaths_near = st.builds(
    Death,
    st.sampled_from(["intend", "post", "post"]),
    st.sampled_from([0, 1]),
    st.sampled_from([False, False, True]),
)
lates = st.sampled_from([timedelta(0), timedelta(0), LAG / 2, LAG])


class ImportMachine(RuleBasedStateMachine):
    """Whatever happens, every row has one call at the most, and is reported for what it is."""

    @initialize(marked=st.booleans(), created=st.sampled_from([Created.UNKNOWN, Created.COUNTS]))
    def start(self, marked: bool, created: Created) -> None:
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir=QUICKEST)))
        self.portal = self.stack.enter_context(start_blocking_portal())
        self.world = ImportWorld(folder, [row(number) for number in range(3)], 5 if marked else None, created)
        self.world.rows.append(row(2, external_id="twin"))
        self.serial = 3

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    # ── what the platform does ──────────────────────────────────────────────────────────────────

    def _plan(self, how: list[str], late: timedelta) -> None:
        keys = [one["external_id"] for one in self.world.rows[-4:]]
        self.world.account.ways = dict(zip(keys, how, strict=True))
        self.world.account.late = late

    @rule(time=st.sampled_from([LAG / 2, LAG, DEADLINE, PATIENCE]))
    def time_passes(self, time: timedelta) -> None:
        self.world.account.passes(time)

    # ── what people do ──────────────────────────────────────────────────────────────────────────

    @rule()
    def a_row_is_added(self) -> None:
        if len(self.world.rows) < 7:
            self.world.rows.append(row(self.serial))
            self.serial += 1

    @rule(data=st.data(), caller=st.sampled_from(["18015559999", "18015551002"]))
    def a_row_is_changed(self, data: st.DataObject, caller: str) -> None:
        at = data.draw(st.integers(0, len(self.world.rows) - 1))
        self.world.rows[at] = self.world.rows[at] | {"caller_id": caller}

    @rule(how=ways, late=lates, resend=st.booleans())
    def an_import(self, how: list[str], late: timedelta, resend: bool) -> None:
        self._plan(how, late)
        ran = self.portal.call(lambda: self.world.run(resend=resend))
        assert ran is not None
        self.world.check_told(ran)

    @rule(how=ways, late=lates, resend=st.booleans(), death=deaths, arrives=st.booleans())
    def an_import_dies(
        self, how: list[str], late: timedelta, resend: bool, death: Death, arrives: bool
    ) -> None:
        self._plan(how, late)
        ran = self.portal.call(lambda: self.world.run(resend=resend, death=death, arrives=arrives))
        if ran is not None:
            self.world.check_told(ran)

    @rule(how=ways, late=st.sampled_from([LAG / 2, LAG]), death=deaths_near)
    def one_is_sent_again_as_soon_as_it_may_be(self, how: list[str], late: timedelta, death: Death) -> None:
        self.a_row_is_added()
        self.an_import_dies(["taken"] * 4, late, False, death, arrives=True)
        self.time_passes(PATIENCE - timedelta(seconds=20))
        for _ in range(2):
            self.an_import(how, late, resend=True)
            self.time_passes(timedelta(seconds=30))

    @rule()
    def a_reconciliation(self) -> None:
        posts = self.world.account.posts
        ran: Ran | None = self.portal.call(self.world.reconcile)
        assert ran is not None
        assert self.world.account.posts == posts
        assert ran.of(Verdict.DONE) <= set(self.world.account.times())

    @rule(death=deaths)
    def a_reconciliation_dies(self, death: Death) -> None:
        self.portal.call(lambda: self.world.reconcile(death=death))

    # ── what always holds ───────────────────────────────────────────────────────────────────────

    @invariant()
    def no_call_is_made_twice_or_forgotten(self) -> None:
        if hasattr(self, "world"):
            self.world.check()


QUICK = settings(
    max_examples=25,
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    print_blob=True,
)
ImportMachine.TestCase.settings = QUICK
TestImportMachine = ImportMachine.TestCase


class LongImportMachine(ImportMachine):
    """The same, for longer."""


LongImportMachine.TestCase.settings = settings(QUICK, max_examples=600, stateful_step_count=40)


@pytest.mark.soak
@pytest.mark.timeout(3600)
class TestImportMachineForLong(LongImportMachine.TestCase):
    """Selected with ``-m soak``."""
