"""What is found out before the first upload."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.audio.options import AudioOptions, QualityRules
from mediapipe.audio.targets import V2_CALLS
from mediapipe.convirza.groups import Group
from mediapipe.errors import CredentialsError, PlatformDown, Rejected, Transient
from mediapipe.groups import resolve
from mediapipe.imports.intents import Intent
from mediapipe.imports.preflight import listen_to_all, sent_today, tell_groups, there_already, unknown
from mediapipe.items import Verdict
from mediapipe.ledger.interface import Claim, Ledger, Receipt, Scope, State, Want
from mediapipe.ledger.open import open_ledger
from mediapipe.line import Ending
from mediapipe.listening import Ear
from mediapipe.manifest.calls import CallRow
from mediapipe.manifest.problems import Problem
from mediapipe.verdicts import Judged
from tests.convirza.server import Reply, Request, serving
from tests.import_runs import Nearby, recordings
from tests.imports.account import HOUR, MARGIN, MINUTE, NOON, RULES, SCOPE, SENT, Account, record
from tests.test_originals import opened

There = Callable[..., list[dict[str, str]]]


def row(key: str, at: datetime | None = NOON, **more: Any) -> CallRow:
    fields = {"caller_id": "18015551234", "tracking_number": "18015560000"}
    return CallRow(int(key), int(key) + 1, key, fields=fields, at=at, **more)


# ── groups ──────────────────────────────────────────────────────────────────────────────────


def told(wanted: dict[tuple[str, str], int], *groups: Group, caplog: pytest.LogCaptureFixture) -> list[str]:
    async def list_groups() -> Sequence[Group]:
        return groups

    with caplog.at_level(logging.WARNING):
        tell_groups(anyio.run(resolve, list_groups, wanted))
    return caplog.messages


def test_groups_that_rows_cannot_go_to_are_told_with_what_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    wanted = {("1,201", ""): 1_000, ("1201", "SOLAR"): 2, ("1201", ""): 7}
    assert told(wanted, Group("1201", "ROOF"), Group("1202", "SOLAR"), caplog=caplog) == [
        "group_id '1,201', in 1,000 rows, is no group of the account; did you mean 1201?",
        "group_id '1201', in 2 rows, and group_ext_id 'SOLAR' are two groups",
    ]


def test_groups_that_are_all_known_are_not_worth_a_word(caplog: pytest.LogCaptureFixture) -> None:
    assert told({("1201", ""): 1}, Group("1201"), caplog=caplog) == []


def test_groups_that_were_not_looked_up_are_told(caplog: pytest.LogCaptureFixture) -> None:
    assert told({("1201", ""): 1}, caplog=caplog) == ["groups were not looked up: the platform lists none"]


# ── the ledger ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def keep(
    ledger: Ledger, key: str, state: State, latest: datetime | None = None, at: datetime = NOON
) -> None:
    fields = {"caller_id": "18015551234", "tracking_number": "18015560000"}
    detail = Intent(key, at, fields, begun=latest, latest=latest).as_detail() if latest else {}
    (claim,) = await ledger.claim(
        SCOPE, [Want(key)], run_id="r", lease=timedelta(seconds=60), takes=frozenset(State)
    )
    assert isinstance(claim, Claim)
    if state is State.INTENDED:
        await ledger.intend(claim, detail)
    else:
        await ledger.settle([Receipt(claim, state, detail=detail)], run_id="r")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("state", "new"),
    [
        *((state, True) for state in (State.FAILED, State.REJECTED)),
        *((state, False) for state in (State.DONE, State.UNCERTAIN, State.INTENDED, State.PENDING)),
    ],
)
async def test_a_row_is_unknown_until_a_call_may_have_been_made_of_it(
    ledger: Ledger, state: State, new: bool
) -> None:
    rows = [row("1"), row("2")]
    assert await unknown(ledger, SCOPE, rows) == rows
    await keep(ledger, "1", state)
    assert await unknown(ledger, SCOPE, rows) == (rows if new else rows[1:])
    assert await unknown(ledger, Scope(SCOPE.job, "host/other", SCOPE.destination), rows) == rows


@pytest.mark.anyio
async def test_uploads_of_today_are_counted_whatever_came_of_them(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    if now.hour == 23 and now.minute == 59:  # the day must not end in between
        await anyio.sleep(60 - now.second)
        now = datetime.now(UTC)
    for key, state in enumerate((State.DONE, State.UNCERTAIN, State.INTENDED, State.PENDING)):
        await keep(ledger, f"today-{key}", state, now)
    await keep(ledger, "yesterday", State.DONE, now - timedelta(days=1))
    await keep(ledger, "refused", State.REJECTED, now)
    await keep(ledger, "adopted", State.DONE)
    assert await sent_today(ledger, SCOPE) == 4


# ── the account ─────────────────────────────────────────────────────────────────────────────


Made = Sequence[tuple[str, State, datetime]]
"""Uploads in the ledger: key, state, the call's date."""


@pytest.fixture
def there(tmp_path: Path) -> There:
    def found(account: Account, *rows: CallRow, made: Made = ()) -> list[dict[str, str]]:
        async def main() -> list[dict[str, str]]:
            async with await open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", owner="me") as opened_ledger:
                for key, state, at in made:
                    await keep(opened_ledger, key, state, SENT, at)
                return await there_already(account.v3, opened_ledger, SCOPE, rows, RULES, MARGIN)

        return anyio.run(main)

    return found


def test_rows_that_the_account_has_are_named_with_their_calls(there: There) -> None:
    account = Account([record("7"), record("8"), record("9", NOON + HOUR), record("5", NOON + 2 * MINUTE)])
    assert there(account, row("1"), row("2", NOON + MINUTE), row("3", NOON + HOUR), row("4", at=None)) == [
        {"external_id": "1", "calls": "7, 8"},
        {"external_id": "3", "calls": "9"},
    ]


def test_a_call_that_an_upload_of_this_ledger_may_have_made_is_held_against_nobody(there: There) -> None:
    """Rows of one second, of which an earlier manifest had some."""
    account = Account([record("7"), record("8")])
    for state in (State.DONE, State.UNCERTAIN, State.INTENDED, State.PENDING):
        second = NOON + timedelta(seconds=1)
        assert there(account, row("1"), made=[("a", state, NOON), ("b", state, second)]) == []


@pytest.mark.parametrize("state", [State.REJECTED, State.FAILED])
def test_a_call_more_than_this_ledger_can_have_made_is_named(there: There, state: State) -> None:
    account = Account([record("7"), record("8")])
    named = [{"external_id": "1", "calls": "7, 8"}]
    assert there(account, row("1"), made=[("a", State.DONE, NOON), ("b", state, NOON)]) == named
    assert there(account, row("1"), made=[("c", State.DONE, NOON + MINUTE)]) == named


def test_a_row_counts_whenever_its_call_was_made_and_however_long_it_is(there: There) -> None:
    """Created long ago is what it would be: the ledger that knew of it is gone."""
    assert there(Account([record("7", created=NOON, duration=999)]), row("1"))


def test_an_account_without_them_is_asked_once_for_each_hour(there: There) -> None:
    account = Account([record("7", caller_id="8015550000")])
    assert there(account, *(row(str(n), NOON + n * MINUTE) for n in range(10))) == []
    assert list(account.hours()) == [NOON]


@pytest.mark.parametrize("error", [Transient("the list is down"), Rejected("no such list")])
def test_what_cannot_be_found_out_stops_the_import(there: There, error: Transient | Rejected) -> None:
    with pytest.raises(PlatformDown, match=error.message):
        there(Account(error=error), row("1"))


def test_a_list_that_does_not_hold_still_does_not_show_that_nothing_is_there(there: There) -> None:
    with pytest.raises(PlatformDown, match="does not hold still"):
        there(Account(restless=True), row("1"))
    assert there(Account([record("7")], restless=True), row("1"), row("2", NOON + HOUR)) == [
        {"external_id": "1", "calls": "7"}
    ]


def test_a_dead_login_stops_everything(there: There) -> None:
    with pytest.raises(CredentialsError):
        there(Account(error=CredentialsError("dead")), row("1"))


# ── listening ───────────────────────────────────────────────────────────────────────────────


def heard(
    folder: Path, rows: Sequence[CallRow], *bases: str, made: Sequence[str] = ()
) -> tuple[Ending, list[tuple[str, Judged]]]:
    options, got = AudioOptions(), list[tuple[str, Judged]]()
    ear = Ear(Nearby(options), options, QualityRules(), V2_CALLS)
    (folder / "scratch").mkdir()

    def source() -> Iterator[CallRow]:
        yield from rows

    def sink(row: CallRow, judged: Judged) -> None:
        got.append((row.external_id, judged))

    async def main() -> Ending:
        async with (
            opened(folder / "scratch", *bases) as originals,
            await open_ledger(f"sqlite:///{folder / 'ledger.db'}", owner="me") as opened_ledger,
        ):
            for key in made:
                await keep(opened_ledger, key, State.DONE)
            return await listen_to_all(source(), opened_ledger, SCOPE, ear, originals, sink, workers=3)

    ending = anyio.run(main)
    assert list((folder / "scratch").iterdir()) == []
    return ending, got


def test_all_audio_is_heard_wherever_it_stands_and_only_what_cannot_be_sent_is_told(tmp_path: Path) -> None:
    (tmp_path / "good.wav").write_bytes(recordings()[0])
    (tmp_path / "bad.wav").write_bytes(b"this is no audio at all")

    def web(request: Request) -> Reply:
        return Reply(body=recordings()[1]) if request.path == "/good.wav" else Reply(404, b"gone")

    with serving(web) as server:
        rows = [
            row("1", file=str(tmp_path / "good.wav")),
            row("2", file=str(tmp_path / "bad.wav")),
            row("3", remote=f"{server.url}/good.wav"),
            row("4", remote=f"{server.url}/gone.wav"),
            row("5", remote="https://localhost/a.wav"),
            row("6", problems=(Problem("missing", "is missing", "caller_id"),)),
        ]
        ending, got = heard(tmp_path, rows, server.url)
    assert ending == Ending(interrupted=False, fatal=None)
    told = [(key, one.outcome.key, one.outcome.verdict, one.outcome.reason) for key, one in got]
    assert [key for key, *_ in told] == ["2", "4", "5"]
    assert told[0][2] is Verdict.REJECTED
    assert told[1:] == [
        ("4", "4", Verdict.FAILED, "http_404"),
        ("5", "5", Verdict.REJECTED, "forbidden_host"),
    ]


def test_what_was_sent_before_is_not_listened_to(tmp_path: Path) -> None:
    """An address may have been good for one time, and a file may be gone by now."""
    rows = [row(str(n), file=str(tmp_path / "none" / f"{n}.wav")) for n in range(4)]
    _, got = heard(tmp_path, rows, made=["1", "2"])
    assert [key for key, _ in got] == ["0", "3"]


def test_more_rows_than_are_looked_at_at_a_time_keep_their_names(tmp_path: Path) -> None:
    rows = [row(str(n), file=str(tmp_path / "none" / f"{n}.wav")) for n in range(600)]
    _, got = heard(tmp_path, rows)
    assert [key for key, _ in got] == [str(n) for n in range(600)]
    assert all(key == one.outcome.key for key, one in got)
