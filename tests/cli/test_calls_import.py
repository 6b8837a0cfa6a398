"""``mediapipe calls import`` and ``calls reconcile`` as a user runs them, against a sandbox."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mediapipe.sandbox import Endpoint, FaultRule, running
from tests.archive_runs import sample, secrets_of
from tests.cli.command import Command
from tests.import_runs import recordings
from tests.s3.server import RunningS3

pytest_plugins = ["tests.s3.fixtures"]

DAY = datetime(2026, 2, 10, tzinfo=UTC)
COLUMNS = ("external_id", "recording_file", "call_date", "caller_id", "group_id", "caller_name")


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Command]:
    with running(sample(20, days=28)) as sandbox:
        secrets = secrets_of(sandbox)
        yield Command(tmp_path, sandbox, {"MEDIAPIPE_IMPORTS_LAG": "1s"}, secrets)


def cells(number: int, **more: str) -> dict[str, str]:
    at = (DAY + timedelta(minutes=11 * number)).isoformat()
    usual = {
        "external_id": f"x-{number}",
        "recording_file": f"audio/{number % 3}.wav",
        "call_date": at,
        "caller_id": f"1801555{2000 + number}",
        "group_id": "1201",
        "caller_name": "=HYPERLINK(1)",
    }
    return usual | more


def write(cli: Command, *rows: dict[str, str], name: str = "calls.csv") -> Path:
    audio = cli.folder / "audio"
    audio.mkdir(exist_ok=True)
    for number in range(3):
        (audio / f"{number}.wav").write_bytes(recordings()[number])
    path = cli.folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def made(cli: Command) -> Counter[str]:
    assert cli.sandbox is not None
    return Counter(upload.external_id for upload in cli.sandbox.state.uploads)


def requests(cli: Command, endpoint: Endpoint) -> int:
    assert cli.sandbox is not None
    return cli.sandbox.state.stats.total(endpoint)


def test_each_call_is_made_once_and_sent_as_it_was_written(cli: Command) -> None:
    path = write(cli, *map(cells, range(6)))
    first = cli.inside("calls", "import", path, "--json")
    assert first.code == 0, first.err
    assert first.counts == {"done": 6}
    assert first.report["dates"] == ["2026-02-10"]
    assert first.report["proof"] == {"answer": 6, "marker": 0, "likely": 0}
    assert made(cli) == Counter({f"x-{number}": 1 for number in range(6)})
    assert cli.sandbox is not None
    sent = cli.sandbox.state.uploads[0]
    assert sent.fields["caller_name"] == "=HYPERLINK(1)", "sent verbatim"
    assert sent.fields["call_date"].endswith(".000Z")
    assert not any(value in ("", "null") for value in sent.fields.values())
    uploads = requests(cli, Endpoint.UPLOAD)
    second = cli.inside("calls", "import", path, "--json")
    assert (second.code, second.counts) == (0, {"skipped": 6})
    assert requests(cli, Endpoint.UPLOAD) == uploads


def test_rows_that_do_not_pass_can_be_mended_and_run_again(cli: Command) -> None:
    path = write(cli, cells(0), cells(1, caller_id="1.80156E+10"), cells(2, recording_file="audio/none.wav"))
    first = cli.inside("calls", "import", path, "--json")
    assert (first.code, first.counts) == (3, {"done": 1, "rejected": 2})
    failed = Path(first.report["failed"])
    with failed.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["reason"] for line in lines] == ["spoilt_number", "no_such_file"]
    assert lines[0]["caller_name"] == "'=HYPERLINK(1)", "a spreadsheet must not run it"
    (cli.folder / "audio" / "none.wav").write_bytes(recordings()[4])
    text = failed.read_text(encoding="utf-8").replace("1.80156E+10", "18015552001")
    failed.write_text(text, encoding="utf-8")
    again = cli.inside("calls", "import", failed, "--json")
    assert (again.code, again.counts) == (0, {"done": 2}), again.err
    assert set(made(cli).values()) == {1}
    assert cli.sandbox is not None
    assert {upload.fields["caller_name"] for upload in cli.sandbox.state.uploads} == {"=HYPERLINK(1)"}


def test_a_dry_run_asks_nobody_and_says_what_it_would_take(cli: Command) -> None:
    path = write(cli, *map(cells, range(5)), cells(5, caller_id="x"))
    ended = cli.inside("calls", "import", path, "--dry-run", "--json", "--requests-per-second", 2)
    assert (ended.code, ended.counts) == (3, {"pending": 5, "rejected": 1})
    plan = ended.report["plan"]
    assert (plan["requests"], plan["audio"]) == (5, {"as_is": 5})
    assert plan["bytes"] > 100_000
    assert plan["seconds"] >= 2.5
    assert cli.sandbox is not None
    assert not cli.sandbox.state.stats.requests
    cli.inside("calls", "import", path)
    later = cli.inside("calls", "import", path, "--dry-run", "--json")
    assert later.counts == {"skipped": 5, "rejected": 1}


def test_a_manifest_may_come_through_a_pipe(cli: Command) -> None:
    path = write(cli, *map(cells, range(3)))
    done = subprocess.run(
        [sys.executable, "-m", "mediapipe", "calls", "import", "-", "--root", str(cli.folder), "--json"],
        input=path.read_bytes(),
        env=cli.environ(),
        cwd=cli.folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["done"] == 3


def test_an_unknown_group_costs_its_rows_and_no_upload(cli: Command) -> None:
    path = write(cli, cells(0), cells(1, group_id="1299"), cells(2, group_id="1299"))
    ended = cli.inside("calls", "import", path, "--json")
    assert (ended.code, ended.counts) == (3, {"done": 1, "rejected": 2})
    assert ended.report["groups_checked"] is True
    [unresolved] = ended.report["unresolved_groups"]
    assert (unresolved["value"], unresolved["rows"]) == ("1299", 2)
    assert set(made(cli)) == {"x-0"}


def test_all_or_nothing_sends_nothing_when_one_recording_is_bad(cli: Command) -> None:
    path = write(cli, cells(0), cells(1, recording_file="audio/page.wav"))
    (cli.folder / "audio" / "page.wav").write_bytes(b"<!doctype html><title>expired</title>")
    ended = cli.inside("calls", "import", path, "--all-or-nothing", "--json")
    assert (ended.code, ended.counts) == (3, {"rejected": 1, "pending": 1}), ended.err
    assert not made(cli)


def test_an_interrupted_upload_is_settled_by_reconcile(cli: Command) -> None:
    path = write(cli, *map(cells, range(4)))
    assert cli.sandbox is not None
    cli.sandbox.state.faults.set(
        [FaultRule(name="upload_commit_then_drop"), FaultRule(name="list_500", skip=1)]
    )
    first = cli.inside(
        "calls", "import", path, "--insist", "--json", env={"MEDIAPIPE_IMPORTS_LOOK_FIRST": "0"}
    )
    assert (first.code, first.counts) == (5, {"uncertain": 4}), first.err
    cli.sandbox.state.faults.set([])
    shown = cli.inside("calls", "reconcile", "--dry-run", "--json")
    assert (shown.code, shown.counts) == (5, {"uncertain": 4})
    settled = cli.inside("calls", "reconcile", "--json")
    assert (settled.code, settled.counts) == (0, {"done": 4}), settled.out
    assert settled.report["proof"]["likely"] == 4
    after = cli.inside("calls", "import", path, "--json")
    assert (after.code, after.counts) == (0, {"skipped": 4})
    assert set(made(cli).values()) == {1}


def test_nothing_is_sent_that_could_not_be_looked_up(cli: Command) -> None:
    assert cli.sandbox is not None
    cli.sandbox.state.faults.set([FaultRule(name="list_500")])
    ended = cli.inside(
        "calls", "import", write(cli, cells(0)), "--json", env={"MEDIAPIPE_IMPORTS_LOOK_FIRST": "0"}
    )
    assert ended.code == 5
    assert "no upload could be looked up" in ended.err
    assert not made(cli)


def test_an_archive_with_the_same_ledger_fetches_what_was_imported_into_a_closed_window(cli: Command) -> None:
    span = ("--from", "2026-02-01", "--to", "2026-02-20")
    assert cli.archive_run(*span).code == 0
    path = write(cli, *map(cells, range(3)))
    imported = cli.inside("calls", "import", path, "--json", env={"MEDIAPIPE_IMPORTS_LOOK_FIRST": "0"})
    assert imported.code == 0, imported.err
    assert sum(imported.report["relisted"].values()) >= 1
    # Another span, far from the imported day: without the mark nothing of it would be listed.
    nightly = cli.archive_run("--from", "2026-02-19", "--to", "2026-02-20")
    assert nightly.code == 0, nightly.err
    sidecars = [json.loads(one.read_text()) for one in cli.archive.rglob("*.json")]
    callers = {str(one["record"]["caller_id"]) for one in sidecars if "record" in one}
    text = " ".join(one.read_text() for one in cli.archive.rglob("*.json"))
    assert all(f"1801555{2000 + number}" in text for number in range(3)), callers
    listed = requests(cli, Endpoint.LIST)
    assert cli.archive_run("--from", "2026-02-19", "--to", "2026-02-20").code == 0
    assert requests(cli, Endpoint.LIST) - listed <= 4, "the mark is gone once everything was seen"


def test_recordings_in_s3_are_fetched_or_handed_on(cli: Command, s3: RunningS3) -> None:
    bucket = s3.make_bucket()
    with s3.client() as client:
        for number in range(3):
            client.put_object(Bucket=bucket, Key=f"old calls/{number}.wav", Body=recordings()[number])
    rows = [cells(n, recording_file=f"s3://{bucket}/old calls/{n}.wav") for n in range(2)]
    ended = cli.inside("calls", "import", write(cli, *rows), "--json", env=s3.env)
    assert (ended.code, ended.counts) == (0, {"done": 2}), ended.err
    by_url = [cells(n, recording_file=f"s3://{bucket}/old calls/{n - 5}.wav") for n in (5, 6, 7)]
    path = write(cli, *by_url, name="more.csv")
    handed = cli.inside("calls", "import", path, "--by-url", "--json", env=s3.env)
    assert (handed.code, handed.counts) == (0, {"done": 3}), handed.out
    assert set(made(cli).values()) == {1}
    assert len(made(cli)) == 5
    again = cli.inside("calls", "import", path, "--by-url", "--json", env=s3.env)
    assert (again.code, again.counts) == (0, {"skipped": 3})
    kept = b"".join(one.read_bytes() for one in cli.state.rglob("*") if one.is_file())
    assert b"X-Amz-Signature" not in kept, "a presigned address is a credential"


def test_what_the_platform_has_not_fetched_yet_is_pending(cli: Command, s3: RunningS3) -> None:
    bucket = s3.make_bucket()
    rows = [cells(0, recording_file=f"s3://{bucket}/not there.wav")]
    assert cli.sandbox is not None
    cli.sandbox.state.faults.set([FaultRule(name="upload_fetch_late", seconds=3600)])
    ended = cli.inside("calls", "import", write(cli, *rows), "--by-url", "--json", env=s3.env)
    assert (ended.code, ended.counts) == (0, {"pending": 1}), ended.out
    [line] = Path(ended.report["outcomes"]).read_text().splitlines()
    assert json.loads(line)["reason"] == "not_fetched"
    again = cli.inside("calls", "import", cli.folder / "calls.csv", "--by-url", "--json", env=s3.env)
    assert (again.code, again.counts) == (0, {"pending": 1})
    assert sum(made(cli).values()) == 1


def test_the_ledger_holds_no_secret(cli: Command) -> None:
    assert cli.inside("calls", "import", write(cli, cells(0))).code == 0
    database = sqlite3.connect(cli.state / "ledger.db")
    text = "\n".join(database.iterdump())
    database.close()
    assert "x-0" in text
    for secret in cli.secrets:
        assert secret not in text


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--between", "25:00-06:00"), "two times of the day"),
        (("--dst", "both"), "dst"),
        (("--canary", "-1"), "canary"),
        (("--strict",), "colour"),
    ],
)
def test_a_wrong_flag_is_refused_before_anything_is_sent(
    cli: Command, flags: tuple[str, ...], words: str
) -> None:
    path = write(cli, cells(0))
    text = path.read_text(encoding="utf-8").replace("caller_name", "colour")
    path.write_text(text, encoding="utf-8")
    cli.inside("calls", "import", path, *flags).refused(words)
    assert not made(cli)
