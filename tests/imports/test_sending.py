"""One row's upload: what each answer leaves in the ledger, and what may be sent once more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from mediapipe.audio.options import AudioOptions, QualityRules
from mediapipe.audio.targets import V2_CALLS
from mediapipe.convirza.uploads import Accepted, Answer, NotTaken, Refused, Unsure
from mediapipe.convirza.v2 import V2, Begin, CallUpload
from mediapipe.errors import CredentialsError, PlatformDown, Rejected
from mediapipe.imports.intents import Intent, intent_of
from mediapipe.imports.sending import Sender, Tools, changes
from mediapipe.items import Verdict
from mediapipe.ledger.interface import Ledger, Receipt, State, Want
from mediapipe.line import STATES, Entry, Finished, Job
from mediapipe.listening import Ear
from mediapipe.manifest.calls import CallRow
from mediapipe.originals import Originals
from tests.import_runs import Nearby, recordings
from tests.imports.account import HOUR, MARGIN, NOON, RULES, SCOPE, Account, record

pytestmark = pytest.mark.anyio

FIELDS = {"external_id": "x", "caller_id": "18015551234", "group_id": "1201"}
UNSURE = Unsure("http_500", "it broke")
NOT_TAKEN = NotTaken("throttled", "too many")


@dataclass
class Platform:
    """Answers uploads in this order, the last one for ever; ``before``: it fails before it begins."""

    answers: Sequence[Answer | Exception] = (Accepted(),)
    before: Exception | None = None
    sent: list[CallUpload] = field(default_factory=list)

    async def upload_call(self, upload: CallUpload, *, begin: Begin) -> Answer:
        if self.before is not None:
            raise self.before
        await begin()
        answer = self.answers[min(len(self.sent), len(self.answers) - 1)]
        self.sent.append(upload)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Desk:
    """A sender, its ledger, and the recordings of its rows."""

    folder: Path
    ledger: Ledger
    platform: Platform = field(default_factory=Platform)
    account: Account = field(default_factory=Account)
    more: dict[str, Any] = field(default_factory=dict)

    def sender(self, *absent: str) -> Sender:
        options = AudioOptions()
        tools = Tools(
            v2=cast(V2, self.platform),
            v3=self.account.v3,
            ledger=self.ledger,
            scope=SCOPE,
            originals=cast(Originals, None),  # every row here is a file
            ear=Ear(Nearby(options), options, QualityRules(), V2_CALLS),
            scratch=self.folder,
            match=RULES,
            margin=MARGIN,
            patience=HOUR,
        )
        return Sender(replace(tools, **self.more), "run", frozenset(absent))

    def row(self, key: str = "x", body: bytes | None = None) -> CallRow:
        path = self.folder / f"{key}.wav"
        path.write_bytes(recordings()[0] if body is None else body)
        fields = FIELDS | {"external_id": key}
        return CallRow(1, 2, key, path.name, str(path), fields=fields, at=NOON)

    async def send(self, sender: Sender, row: CallRow) -> Finished:
        """Claim a row, send it, and settle it as the line does."""
        takes = set(State) - {State.DONE}
        want = Want(row.external_id, at=row.at)
        (claim,) = await self.ledger.claim(
            SCOPE, [want], run_id="run", lease=timedelta(minutes=1), takes=takes
        )
        assert not isinstance(claim, State), claim
        job = Job(Entry(want, row), cast(Any, claim), row)
        finished = await sender.send(job)
        state = STATES[finished.outcome.verdict]
        assert not await self.ledger.settle([Receipt(job.claim, state, detail=finished.detail)], run_id="run")
        return finished

    async def recorded(self, key: str = "x") -> Intent | None:
        async for page in self.ledger.items(SCOPE, states=set(State)):
            for item in page:
                if item.key == key:
                    return intent_of(key, item.detail)
        return None


@pytest.fixture
def desk(tmp_path: Path, ledger: Ledger) -> Desk:
    return Desk(tmp_path, ledger)


@pytest.mark.parametrize(
    ("answer", "verdict", "reason", "proof"),
    [
        (Accepted(), Verdict.DONE, "", "answer"),
        (Accepted(already=True, said="external id is taken"), Verdict.SKIPPED, "already_there", "answer"),
        (Refused("http_400", "no such group"), Verdict.REJECTED, "http_400", ""),
        (NOT_TAKEN, Verdict.FAILED, "throttled", ""),
        (UNSURE, Verdict.UNCERTAIN, "http_500", ""),
        (Rejected("what?", code="odd"), Verdict.UNCERTAIN, "odd", ""),
        (ValueError("Bearer abcdef0123456789abcdef broke"), Verdict.UNCERTAIN, "unexpected_error", ""),
    ],
)
async def test_an_answer_decides_and_anything_else_is_uncertain(
    desk: Desk, answer: Answer | Exception, verdict: Verdict, reason: str, proof: str
) -> None:
    desk.platform.answers = (answer,)
    finished = await desk.send(desk.sender(), desk.row())
    assert (finished.outcome.verdict, finished.outcome.reason) == (verdict, reason)
    assert "abcdef0123456789" not in finished.outcome.message
    recorded = await desk.recorded()
    assert recorded is not None
    assert (recorded.proof, recorded.fields["caller_id"]) == (proof, "18015551234")
    assert recorded.sha256 == finished.outcome.sha256 != ""


async def test_what_fails_before_it_begins_is_an_error_and_no_upload(desk: Desk) -> None:
    desk.platform.before = Rejected("it is not the file it was")
    with pytest.raises(Rejected):
        await desk.send(desk.sender(), desk.row())
    assert await desk.recorded() is None


async def test_a_login_that_may_not_upload_stops_the_run(desk: Desk) -> None:
    desk.platform.answers = (Refused("forbidden", "no"),)
    sender = desk.sender()
    ended = [(await desk.send(sender, desk.row(f"x{number}"))).fatal for number in range(3)]
    assert ended[:2] == [None, None]
    assert isinstance(ended[2], CredentialsError)


async def test_one_that_may_does_not(desk: Desk) -> None:
    desk.platform.answers = (Accepted(), Refused("forbidden", "not this group"))
    sender = desk.sender()
    assert [(await desk.send(sender, desk.row(f"x{number}"))).fatal for number in range(6)] == [None] * 6


@pytest.mark.parametrize(
    ("answers", "bound"),
    [
        ((UNSURE,) * 4, 4),
        ((UNSURE, UNSURE, UNSURE, Refused("http_400", "no"), UNSURE, UNSURE, UNSURE, UNSURE), 4),
        ((UNSURE, UNSURE, UNSURE, Accepted(), UNSURE, UNSURE, UNSURE, UNSURE), 4),
        ((NOT_TAKEN,) * 4, 16),  # each was tried often already
    ],
)
async def test_a_platform_that_is_ill_is_left_alone(
    desk: Desk, answers: Sequence[Answer], bound: int
) -> None:
    desk.platform.answers, desk.more = answers, {"uncertain_in_a_row": bound}
    sender = desk.sender()
    ended = [(await desk.send(sender, desk.row(f"x{number}"))).fatal for number in range(len(answers))]
    assert [isinstance(one, PlatformDown) for one in ended] == [False] * (len(answers) - 1) + [True]


# ── once more ───────────────────────────────────────────────────────────────────────────────


async def sent_before(desk: Desk, ago: timedelta = 2 * HOUR) -> tuple[CallRow, datetime]:
    """Let an upload become uncertain, so long ago; returns its row and when it began."""
    desk.platform.answers = (UNSURE,)
    row, began = desk.row(), datetime.now(UTC) - ago
    desk.account.clock_skew = -ago.total_seconds()
    assert (await desk.send(desk.sender(), row)).outcome.verdict is Verdict.UNCERTAIN
    desk.account.clock_skew = 0.0
    desk.platform.answers = (Accepted(),)
    desk.platform.sent.clear()
    return row, began


async def test_an_upload_that_is_known_to_be_missing_is_sent_again_and_keeps_its_beginning(
    desk: Desk,
) -> None:
    row, began = await sent_before(desk)
    finished = await desk.send(desk.sender("x"), row)
    assert (finished.outcome.verdict, len(desk.platform.sent)) == (Verdict.DONE, 1)
    assert finished.outcome.attempts == 2
    recorded = await desk.recorded()
    assert recorded is not None
    assert recorded.begun is not None
    assert recorded.latest is not None
    assert abs(recorded.begun - began) < timedelta(minutes=1)
    assert recorded.latest - recorded.begun > HOUR


@pytest.mark.parametrize("why", ["nobody looked", "too young", "it is listed now", "the list moves"])
async def test_without_proof_that_it_is_missing_it_is_not(desk: Desk, why: str) -> None:
    row, _ = await sent_before(desk, HOUR / 2 if why == "too young" else 2 * HOUR)
    if why == "it is listed now":
        desk.account.calls = [record("77", created=datetime.now(UTC))]
    desk.account.restless = why == "the list moves"
    finished = await desk.send(desk.sender(*([] if why == "nobody looked" else ["x"])), row)
    reason = "too_young" if why == "too young" else "not_absent"
    assert (finished.outcome.verdict, finished.outcome.reason) == (Verdict.UNCERTAIN, reason)
    assert not desk.platform.sent
    assert await desk.recorded() is not None, "what is known of it is kept"


@pytest.mark.parametrize("why", ["refused", "not taken", "no audio"])
async def test_an_attempt_that_makes_no_call_says_nothing_of_the_one_before(desk: Desk, why: str) -> None:
    row, _ = await sent_before(desk)
    before = await desk.recorded()
    desk.platform.answers = (NOT_TAKEN if why == "not taken" else Refused("http_400", "no"),)
    if why == "no audio":
        row = desk.row(body=b"<!doctype html>")
    finished = await desk.send(desk.sender("x"), row)
    assert finished.outcome.verdict is Verdict.UNCERTAIN
    recorded = await desk.recorded()
    assert before is not None
    assert recorded is not None
    assert recorded.begun == before.begun


# ── the same row, later ─────────────────────────────────────────────────────────────────────


def recorded_of(row: CallRow, **more: Any) -> Intent:
    stat = os.stat(row.file)
    known = Intent(row.external_id, NOON, row.fields, sha256="0" * 64)
    return replace(known, size=stat.st_size, mtime_ns=stat.st_mtime_ns, **more)


async def test_a_file_is_read_again_only_when_its_size_or_time_changed(desk: Desk) -> None:
    row = desk.row()
    assert await changes(recorded_of(row), row) == []
    touched = replace(recorded_of(row), mtime_ns=1)
    assert [one.partition(" ")[0] for one in await changes(touched, row)] == ["the"], "the audio differs"
    await anyio.Path(row.file).unlink()
    assert await changes(touched, row) == []


async def test_fields_are_compared_and_a_swap_that_was_decided_is_not(desk: Desk) -> None:
    row = desk.row()
    decided = replace(recorded_of(row), fields=FIELDS | {"swap_channels": "true"})
    assert await changes(decided, row) == []
    other = row._replace(fields=FIELDS | {"group_id": "1202"})
    assert await changes(decided, other) == ["group_id was '1201' and is '1202'"]
    said = row._replace(fields=FIELDS | {"swap_channels": "false"})
    assert await changes(decided, said) == ["swap_channels was 'true' and is 'false'"]
