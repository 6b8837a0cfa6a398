from __future__ import annotations

import time

import anyio
import pytest
from anyio.lowlevel import checkpoint

from mediapipe.convirza.grants import Grants
from mediapipe.convirza.models import Call, Grant
from mediapipe.errors import Failed, Transient

WEEK = 604_800.0


def call(call_id: str = "1", *, left: float = WEEK, life: float = WEEK, skew: float = 0.0) -> Call:
    """A call whose grant has ``left`` seconds to live on a platform whose clock is ``skew`` ahead."""
    now = time.time() + skew
    return Call(call_id, None, "r", None, {}, Grant(f"https://x/{call_id}", now + left, now + left - life))


def just_listed(call_id: str = "1", *, life: float = WEEK, skew: float = 0.0) -> Call:
    return call(call_id, left=life, life=life, skew=skew)


class Platform:
    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.asked: list[str] = []
        self.at_once = self.most = 0

    async def fetch(self, call_id: str) -> Call | None:
        self.asked.append(call_id)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await anyio.sleep(0.01)
            if self.faults:
                raise self.faults.pop(0)
            return just_listed(call_id)
        finally:
            self.at_once -= 1


def test_a_fresh_grant_is_taken_without_a_request_and_only_once() -> None:
    platform = Platform()

    async def main() -> None:
        grants = Grants(platform.fetch, margin=3600)
        offered = just_listed()
        grants.offer(offered)
        assert grants.recall("1") is offered
        assert await grants.take("1") is offered
        assert platform.asked == []
        assert grants.recall("1") is None
        assert await grants.take("1") is not offered
        assert grants.refetches == 1

    anyio.run(main)
    assert platform.asked == ["1"]


def test_a_stale_or_unknown_grant_is_fetched_again() -> None:
    platform = Platform()

    async def main() -> None:
        grants = Grants(platform.fetch, margin=3600)
        grants.offer(just_listed("other"))  # tells the clock
        grants._shelf["1"] = call("1", left=60)
        assert await grants.take("1") is not None
        assert await grants.take("2") is not None

    anyio.run(main)
    assert platform.asked == ["1", "2"]


@pytest.mark.parametrize("skew", [-86_400.0, 86_400.0])
def test_freshness_is_judged_on_the_platforms_clock(skew: float) -> None:
    platform = Platform()

    async def main() -> None:
        grants = Grants(platform.fetch, margin=60)
        grants.offer(just_listed("1", life=3600, skew=skew))
        assert await grants.take("1") is not None

    anyio.run(main)
    assert platform.asked == []


def test_a_short_lifetime_does_not_make_every_grant_stale() -> None:
    platform = Platform()

    async def main() -> None:
        grants = Grants(platform.fetch, margin=3600)
        grants.offer(just_listed("1", life=30))
        assert await grants.take("1") is not None

    anyio.run(main)
    assert platform.asked == []


def test_many_who_ask_at_once_share_one_request() -> None:
    platform = Platform()

    async def main() -> None:
        grants = Grants(platform.fetch, margin=1)
        got: list[Call | None] = []

        async def ask() -> None:
            got.append(await grants.renew("1"))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(ask)
        assert len({id(item) for item in got}) == 1
        assert len(got) == 20
        assert grants.refetches == 1
        assert not grants._flights

    anyio.run(main)
    assert platform.asked == ["1"]


def test_when_the_fetch_fails_the_waiters_try_themselves_one_at_a_time() -> None:
    platform = Platform(Transient("first"), Failed("second"))

    async def main() -> None:
        grants = Grants(platform.fetch, margin=1)
        ends: list[str] = []

        async def ask() -> None:
            try:
                await grants.renew("1")
            except (Transient, Failed) as error:
                ends.append(error.message)
            else:
                ends.append("ok")

        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                for _ in range(6):
                    group.start_soon(ask)
        assert sorted(ends) == ["first", "ok", "ok", "ok", "ok", "second"]

    anyio.run(main)
    assert len(platform.asked) == 3
    assert platform.most == 1


def test_cancelling_the_one_who_asks_does_not_hang_those_who_wait() -> None:
    platform = Platform()

    async def main() -> None:
        grants = Grants(platform.fetch, margin=1)
        got: list[Call | None] = []

        async def follow() -> None:
            got.append(await grants.renew("1"))

        async with anyio.create_task_group() as group:
            leader = anyio.CancelScope()

            async def lead() -> None:
                with leader:
                    await grants.renew("1")

            group.start_soon(lead)
            await checkpoint()
            for _ in range(3):
                group.start_soon(follow)
            await checkpoint()
            leader.cancel()
            with anyio.fail_after(5):
                while len(got) < 3:  # noqa: ASYNC110
                    await anyio.sleep(0.005)
        assert not grants._flights

    anyio.run(main)
    assert len(platform.asked) == 2


def test_cancelling_one_who_waits_leaves_the_request_alone() -> None:
    platform = Platform()

    async def main() -> None:
        grants = Grants(platform.fetch, margin=1)

        async def give_up() -> None:
            with anyio.move_on_after(0.001):
                await grants.renew("1")

        async with anyio.create_task_group() as group:
            group.start_soon(grants.renew, "1")
            await checkpoint()
            group.start_soon(give_up)

    anyio.run(main)
    assert platform.asked == ["1"]


def test_calls_are_fetched_side_by_side() -> None:
    platform = Platform()

    async def main() -> None:
        grants = Grants(platform.fetch, margin=1)
        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(grants.renew, str(number))

    anyio.run(main)
    assert platform.most == 5


def test_the_shelf_is_bounded_and_drops_the_oldest() -> None:
    grants = Grants(Platform().fetch, margin=1, capacity=3)
    for number in (1, 2, 3, 1, 4):
        grants.offer(just_listed(str(number)))
    assert [grants.recall(str(number)) is not None for number in (1, 2, 3, 4)] == [True, False, True, True]


def test_a_call_without_a_recording_is_not_kept() -> None:
    grants = Grants(Platform().fetch, margin=1)
    grants.offer(Call("1", None, None, None, {}))
    assert grants.recall("1") is None


def test_a_call_that_is_gone_is_none() -> None:
    async def gone(_: str) -> None:
        return None

    async def main() -> None:
        assert await Grants(gone, margin=1).take("1") is None

    anyio.run(main)
