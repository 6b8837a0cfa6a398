"""Crash anywhere, let the list drift and the URLs expire: no recording is missed, doubled or wrong.

The engine, the listing and the job as they are, on a real ledger; see ``world.py`` for what a crash is.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mediapipe.errors import ExitCode
from mediapipe.jobs.archive_recordings import Ask
from mediapipe.ledger.interface import State
from tests.crash.world import KINDS, Death, World
from tests.platform import BEGIN, DAY

MINUTE = timedelta(minutes=1)
SETTLE = timedelta(minutes=15)
LAST_DAY = 5

days = st.sampled_from([0, 0, 1, 1, 2, 2, 3, 4])
"""The first ones have been by from the beginning."""
minutes = st.sampled_from([0, 720, 1439])
"""Around midnight, where two windows meet, and noon."""

AROUND_THE_EFFECT = (
    "claim",
    "fetch",
    "put recording",
    "put recording",
    "put sidecar",
    "put sidecar",
    "settle",
)
EVENTS = ("nothing", "a call comes", "a call goes", "the urls expire")

deaths = st.builds(Death, st.sampled_from(KINDS), st.sampled_from([0, 0, 1, 2, 5]), st.booleans())
deaths_near = st.builds(
    Death, st.sampled_from(AROUND_THE_EFFECT), st.sampled_from([0, 0, 1, 2]), st.booleans()
)


class EngineMachine(RuleBasedStateMachine):
    """Whatever happens, running again leads to a complete and right archive."""

    @initialize(workers=st.sampled_from([1, 3]), lookback=st.sampled_from([0, 1, 9]))
    def start(self, workers: int, lookback: int) -> None:
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.portal = self.stack.enter_context(start_blocking_portal())
        self.world = World(folder, workers, lookback * DAY)
        self.serial = 0
        self.now = BEGIN + 3 * DAY
        self.mark: datetime | None = None

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    # ── what the platform does ──────────────────────────────────────────────────────────────────

    def _add(self, day: int, minute: int, recorded: bool, delay: int = 0) -> None:
        self.serial += 1
        started = BEGIN + day * DAY + minute * MINUTE
        stamp = started + delay * MINUTE
        self.world.platform.add(f"{self.serial}", started, "1" if recorded else None, stamp=stamp)

    @rule(day=days, minute=minutes, recorded=st.booleans(), delay=st.sampled_from([0, 8]))
    def a_call_appears(self, day: int, minute: int, recorded: bool, delay: int) -> None:
        """Of today or back-dated, and listed by its start or by a later time."""
        self._add(day, minute, recorded, delay)

    @rule(day=days, several=st.integers(4, 9))
    def many_calls_appear(self, day: int, several: int) -> None:
        """More than one page; one of them has no recording."""
        for number in range(several):
            self._add(day, 600 + 7 * number, number != 2)

    @rule(data=st.data())
    def a_recording_appears(self, data: st.DataObject) -> None:
        waiting = [call for call in self.world.platform.calls.values() if call.recording_id is None]
        if waiting:
            data.draw(st.sampled_from(waiting)).recording_id = "1"

    @rule(day=days, what=st.sampled_from(EVENTS), minute=minutes, pages=st.integers(1, 3))
    def something_happens_while_that_day_is_walked(
        self, day: int, what: str, minute: int, pages: int
    ) -> None:
        """Once, before the so-many-th page of the next run over it is answered."""
        platform = self.world.platform
        left = pages

        def happen(start: datetime, end: datetime, offset: int) -> None:
            nonlocal left
            left -= start < BEGIN + day * DAY + DAY / 2 < end
            if left == 0:
                left = -1
                self._happen(what, start, end, day, minute)

        platform.on_page = happen

    def _happen(self, what: str, start: datetime, end: datetime, day: int, minute: int) -> None:
        platform = self.world.platform
        if what == "a call comes":
            self._add(day, minute, recorded=True)
        elif what == "the urls expire":
            platform.expired = platform.issued
        elif there := sorted(
            (call.stamp, key) for key, call in platform.calls.items() if start <= call.stamp <= end
        ):
            del platform.calls[there[0][1]]  # everything behind it moves up

    @precondition(lambda self: self.now < BEGIN + LAST_DAY * DAY)
    @rule(hours=st.sampled_from([6, 24]))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    # ── what is run ─────────────────────────────────────────────────────────────────────────────

    @rule(death=deaths, nightly=st.booleans())
    def a_run_dies(self, death: Death, nightly: bool) -> None:
        ask = Ask(self.now) if nightly and self._nights_work else Ask(self.now, BEGIN, self.now)
        self.portal.call(lambda: self.world.run(ask, death=death))
        self._after()

    @rule(death=deaths_near, fresh=st.sampled_from([1, 2, 5]), day=st.sampled_from([0, 2]))
    def a_run_dies_with_something_in_hand(self, death: Death, fresh: int, day: int) -> None:
        for number in range(fresh):
            self._add(day, 300 + number, recorded=True)
        self.a_run_dies(death, nightly=False)

    @rule(day=st.sampled_from([0, 2]), what=st.sampled_from(EVENTS), pages=st.sampled_from([1, 2, 2, 3]))
    def a_run_meets_events(self, day: int, what: str, pages: int) -> None:
        self.many_calls_appear(day, 5)
        self._add(day - 1 if day else 0, 1439, recorded=True, delay=8)
        self.something_happens_while_that_day_is_walked(day, what, 720, pages)
        self.a_run_over_everything()

    @rule()
    def a_run_over_everything(self) -> None:
        ran = self.portal.call(self.world.run, Ask(self.now, BEGIN, self.now))
        assert ran is not None
        assert ran.result.exit_code is ExitCode.OK, (ran.result.findings, ran.outcomes)
        assert len(ran.verdicts) == len(ran.outcomes)
        self.world.check_complete(BEGIN, self.now - SETTLE)
        self._after()
        assert self.mark == self.now - SETTLE or (self.mark is not None and self.mark > self.now - SETTLE)

    @property
    def _nights_work(self) -> bool:
        """Whether a run without a span has anywhere to go."""
        return self.mark is not None and self.mark - self.world.lookback < self.now - SETTLE

    @precondition(lambda self: self._nights_work)
    @rule()
    def a_nightly_run(self) -> None:
        assert self.mark is not None
        begin = self.mark - self.world.lookback
        before = self.world.rows()
        ran = self.portal.call(self.world.run, Ask(self.now))
        assert ran is not None
        assert ran.result.exit_code is ExitCode.OK, (ran.result.findings, ran.outcomes)
        self.world.check_complete(begin, self.now - SETTLE)
        self._after()
        # What earlier runs left open was asked for, wherever it lies.
        rows = self.world.rows()
        for call in self.world.platform.calls.values():
            if self.world.known.get(call.call_id) and before.get(call.call_id) is State.PENDING:
                assert rows[f"{call.call_id}-1"] is State.DONE

    def _after(self) -> None:
        self.world.platform.on_page = None
        mark = self.portal.call(self.world.watermark)
        assert self.mark is None or (mark is not None and mark >= self.mark), "the watermark went back"
        self.mark = mark

    # ── what always holds ───────────────────────────────────────────────────────────────────────

    @invariant()
    def the_archive_is_right(self) -> None:
        if hasattr(self, "world"):
            self.world.check()


QUICK = settings(
    max_examples=30,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    print_blob=True,
)
EngineMachine.TestCase.settings = QUICK
TestEngineMachine = EngineMachine.TestCase


class LongEngineMachine(EngineMachine):
    """The same, for longer."""


LongEngineMachine.TestCase.settings = settings(QUICK, max_examples=600, stateful_step_count=40)


@pytest.mark.soak
@pytest.mark.timeout(3600)
class TestEngineMachineForLong(LongEngineMachine.TestCase):
    """Selected with ``-m soak``."""
