"""One import per account and ledger: the second is refused, and a dead one stands in nobody's way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from mediapipe import exclusive
from mediapipe.errors import ExitCode
from mediapipe.exclusive import AlreadyRunning, alone, still_ours
from mediapipe.ledger.interface import Claim, Ledger, Scope
from mediapipe.ledger.open import open_ledger
from mediapipe.liveness import alive, new_run_id, owner_of
from mediapipe.services import release_dead

SCOPE = Scope("calls.import", "host/account", "v2")
THEIRS = Scope("calls.import.lock", SCOPE.account, SCOPE.destination)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Machine:
    """Runs on one machine, or on several, that share a ledger."""

    def __init__(self, folder: Path) -> None:
        self.runs, self.dsn = folder / "runs", f"sqlite:///{folder / 'ledger.db'}"
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Machine:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def ledger(self, owner: str = "") -> Ledger:
        return await self._stack.enter_async_context(await open_ledger(self.dsn, owner=owner or self.run()))

    def run(self) -> str:
        """Return the owner of a new run of this machine; it is dead until its lock file is held."""
        run_id = new_run_id()
        (self.runs / run_id).mkdir(parents=True)
        (self.runs / run_id / "alive.lock").touch()
        return owner_of(run_id)

    def folder(self, owner: str) -> Path:
        return self.runs / owner.rpartition("/")[2]

    def frees(self, ledger: Ledger) -> Callable[[Scope], Awaitable[int]]:
        async def free(scope: Scope) -> int:
            return await release_dead(ledger, scope, self.runs)

        return free

    @asynccontextmanager
    async def importing(self, ledger: Ledger, scope: Scope = SCOPE) -> AsyncIterator[Claim]:
        async with alone("import", ledger, scope, "run", self.frees(ledger)) as claim:
            yield claim


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with Machine(tmp_path) as opened:
        yield opened


async def test_a_second_import_is_refused_and_told_by_whom(machine: Machine) -> None:
    first, second = await machine.ledger(), await machine.ledger()
    with alive(machine.folder(first.owner)):
        async with machine.importing(first):
            with pytest.raises(AlreadyRunning, match=first.owner) as caught:
                async with machine.importing(second):
                    pytest.fail("both are at work")
            assert (caught.value.code, caught.value.exit_code) == ("import_running", ExitCode.USAGE)
            assert await first.holders(THEIRS) == {first.owner}  # who was refused took nothing away


async def test_only_one_of_many_that_begin_at_once_gets_it(machine: Machine) -> None:
    ledgers = [await machine.ledger(f"elsewhere/1/{number}") for number in range(5)]
    inside, refused, all_refused = list[str](), list[str](), anyio.Event()

    async def one(ledger: Ledger) -> None:
        try:
            async with machine.importing(ledger):
                inside.append(ledger.owner)
                await all_refused.wait()
        except AlreadyRunning:
            refused.append(ledger.owner)
            if len(refused) == 4:
                all_refused.set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for ledger in ledgers:
                tasks.start_soon(one, ledger)
    assert len(inside) == 1


async def test_it_is_free_again_when_the_import_ends_however_it_ends(machine: Machine) -> None:
    first, second = await machine.ledger("a/1/1"), await machine.ledger("b/1/1")
    async with machine.importing(first):
        pass
    async with machine.importing(second):
        pass
    with pytest.raises(ZeroDivisionError):
        async with machine.importing(first):
            _ = 1 / 0
    with anyio.CancelScope() as scope:
        async with machine.importing(first):
            scope.cancel()
            await anyio.sleep(10)
    async with machine.importing(second):
        pass


async def test_what_a_dead_run_of_this_machine_holds_is_free_at_once(machine: Machine) -> None:
    dead, living = await machine.ledger(), await machine.ledger()
    stack = AsyncExitStack()
    with alive(machine.folder(dead.owner)):
        await stack.enter_async_context(machine.importing(dead))
        with pytest.raises(AlreadyRunning):
            async with machine.importing(living):
                pytest.fail("it is alive")
    async with machine.importing(living) as claim:  # it died: its file is free, and nobody let go
        await stack.aclose()
        assert await living.holders(THEIRS) == {living.owner}, "the dead one let go of what is not its own"
        await still_ours(living, claim)


async def test_a_run_of_another_machine_counts_as_living_until_its_lease_ends(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exclusive, "LEASE", timedelta(seconds=0.3))
    there, here = await machine.ledger("elsewhere/1/20260101T000000Z-1"), await machine.ledger()
    async with machine.importing(there) as claim:
        with pytest.raises(AlreadyRunning):
            async with machine.importing(here):
                pytest.fail("it may be alive")
        await anyio.sleep(0.35)
        async with machine.importing(here):
            with pytest.raises(AlreadyRunning, match="taken over"):
                await still_ours(there, claim)


async def test_a_lock_that_is_prolonged_stays(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exclusive, "LEASE", timedelta(seconds=0.4))
    there, here = await machine.ledger("elsewhere/1/1"), await machine.ledger()
    async with machine.importing(there) as claim:
        for _ in range(3):
            await anyio.sleep(0.2)
            await still_ours(there, claim)
        with pytest.raises(AlreadyRunning):
            async with machine.importing(here):
                pytest.fail("it was prolonged")


async def test_other_accounts_and_destinations_do_not_wait(machine: Machine) -> None:
    first, second = await machine.ledger("a/1/1"), await machine.ledger("b/1/1")
    async with machine.importing(first):
        for other in (Scope(SCOPE.job, "host/other", "v2"), Scope(SCOPE.job, SCOPE.account, "v3")):
            async with machine.importing(second, other):
                pass


async def test_it_is_no_upload_of_the_account(machine: Machine) -> None:
    ledger = await machine.ledger("a/1/1")
    async with machine.importing(ledger):
        assert not any((await ledger.counts(SCOPE)).values())
