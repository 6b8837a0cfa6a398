from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import anyio
import pytest

from mediapipe.errors import Transient
from mediapipe.existing import FOLDERS_KEPT, Existing
from mediapipe.layout import Layout
from mediapipe.pacing import RetryPolicy
from mediapipe.stores.interface import Listed, Store

DAY = datetime(2026, 3, 1, tzinfo=UTC)
FOLDER = "recordings/year=2026/month=03/day=01/"
QUICK = RetryPolicy(attempts=3, wait_initial=0.001, wait_max=0.002, total=5.0)


class Shelf:
    """A store that can only list, and counts how often it is asked."""

    def __init__(self, *keys: str, failures: int = 0) -> None:
        self.keys = keys
        self.asked: list[str] = []
        self.failures = failures

    async def list(self, prefix: str) -> AsyncIterator[Listed]:
        self.asked.append(prefix)
        await anyio.sleep(0.001)
        for number, key in enumerate(sorted(key for key in self.keys if key.startswith(prefix))):
            if self.failures and number:
                self.failures -= 1
                raise Transient("dropped in the middle")
            yield Listed(key, 1)


def looker(shelf: Shelf, template: str | None = None) -> Existing:
    layout = Layout(template) if template else Layout()
    return Existing(cast(Store, cast(Any, shelf)), layout, QUICK)


def test_a_folder_is_listed_once_however_many_ask() -> None:
    shelf = Shelf(FOLDER + "1-2.wav", FOLDER + "1-2.json", FOLDER + "3-4.mp3")

    async def main() -> None:
        existing = looker(shelf)
        found: dict[str, tuple[str, ...]] = {}

        async def ask(call: str, recording: str) -> None:
            found[call] = await existing.of(call, recording, DAY)

        async with anyio.create_task_group() as group:
            for call, recording in (("1", "2"), ("3", "4"), ("5", "6")):
                group.start_soon(ask, call, recording)
        assert sorted(found["1"]) == [FOLDER + "1-2.json", FOLDER + "1-2.wav"]
        assert found["3"] == (FOLDER + "3-4.mp3",)
        assert found["5"] == ()

    anyio.run(main)
    assert shelf.asked == [FOLDER]


def test_ids_with_dots_and_common_starts_are_told_apart() -> None:
    shelf = Shelf(
        FOLDER + "1-2.wav", FOLDER + "1-2.wav.mp3", FOLDER + "1-22.wav", FOLDER + "1-2.json", FOLDER + "odd"
    )

    async def main() -> None:
        for template in (None, "recordings/year={year}/month={month}/day={day}/{call_id}-{recording_id}"):
            existing = looker(shelf, template)
            assert set(await existing.of("1", "2", DAY)) == {FOLDER + "1-2.wav", FOLDER + "1-2.json"}
            assert await existing.of("1", "2.wav", DAY) == (FOLDER + "1-2.wav.mp3",)

    anyio.run(main)


def test_without_the_day_only_the_stem_is_listed() -> None:
    shelf = Shelf("all/1-2.wav", "all/1-2.wav.mp3", "all/9-9.wav")

    async def main() -> None:
        existing = looker(shelf, "all/{call_id}-{recording_id}")
        assert await existing.of("1", "2", DAY) == ("all/1-2.wav",)

    anyio.run(main)
    assert shelf.asked == ["all/1-2."]


def test_a_listing_that_broke_off_is_made_again_from_the_start() -> None:
    shelf = Shelf(FOLDER + "1-2.json", FOLDER + "1-2.wav", failures=1)

    async def main() -> None:
        assert len(await looker(shelf).of("1", "2", DAY)) == 2

    anyio.run(main)
    assert len(shelf.asked) == 2


def test_a_listing_that_stays_broken_raises_for_everybody_and_is_tried_again_later() -> None:
    shelf = Shelf(FOLDER + "1-2.json", FOLDER + "1-2.wav", failures=QUICK.attempts)

    async def main() -> None:
        existing = looker(shelf)
        with pytest.raises(Transient):
            await existing.of("1", "2", DAY)
        assert len(await existing.of("1", "2", DAY)) == 2

    anyio.run(main)


def test_many_folders_at_once_stay_bounded_and_right() -> None:
    keys = [Layout().stem(str(n), "0", DAY + timedelta(days=n)) + ".wav" for n in range(3 * FOLDERS_KEPT)]
    shelf = Shelf(*keys)

    async def main() -> None:
        existing = looker(shelf)

        async def ask(number: int) -> None:
            for _ in range(3):
                assert await existing.of(str(number), "0", DAY + timedelta(days=number)) == (keys[number],)

        async with anyio.create_task_group() as group:
            for number in range(len(keys)):
                group.start_soon(ask, number)
                group.start_soon(ask, number)
        assert len(existing._folders) <= FOLDERS_KEPT
        assert len(existing._listing) <= FOLDERS_KEPT

    anyio.run(main)
