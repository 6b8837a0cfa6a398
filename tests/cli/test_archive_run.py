"""``mediapipe archive run`` as users and their scripts see it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mediapipe.errors import EXIT_CODE_MEANINGS, ExitCode
from mediapipe.report.outcomes import read_outcomes
from mediapipe.sandbox import FaultRule, running
from tests.archive_runs import check_folder, expected, sample, secrets_of
from tests.cli.command import ALL, COUNTS, LAST_DAYS, Command, Ended
from tests.lacking import lacking

PUBLISHED = {"job", "run_id", "counts", "bytes", "elapsed_s", "outcomes", "report"}


def fault(cli: Command, name: str, **how: Any) -> None:
    assert cli.sandbox
    cli.sandbox.state.faults.set([FaultRule(name=name, **how)])


def recorded(cli: Command) -> list[int]:
    """Return the ids of the calls that have a recording."""
    assert cli.sandbox
    return sorted(int(key.split("-")[0]) for key in expected(cli.sandbox))


def check_report(ended: Ended) -> None:
    """Assert that the JSON object is complete and agrees with the files that it names."""
    report = ended.report
    assert report.keys() >= PUBLISHED
    assert report["job"] == "archive.run"
    assert report["counts"].keys() == COUNTS
    outcomes = list(read_outcomes(Path(report["outcomes"])))
    assert len(outcomes) == sum(report["counts"].values())
    assert len({one.key for one in outcomes}) == len(outcomes), "an item was counted twice"
    for verdict, number in report["counts"].items():
        assert sum(one.verdict == verdict for one in outcomes) == number
    assert sum(one.bytes for one in outcomes if one.verdict == "done") == report["bytes"]
    assert report["elapsed_s"] > 0
    assert Path(report["outcomes"]).parent.name == report["run_id"]
    page = Path(report["report"]).read_text()
    assert report["run_id"] in page
    assert "</html>" in page


# ── what it prints ──────────────────────────────────────────────────────────────────────────


def test_json_is_one_object_that_agrees_with_the_files_it_names(cli: Command) -> None:
    ended = cli.archive_run(*ALL)
    assert ended.code == 0
    check_report(ended)
    assert ended.counts["done"] == len(recorded(cli))
    assert sum(ended.counts.values()) == 20
    assert ended.report["dry_run"] is False
    assert ended.report["unsettled_windows"] == []
    assert ended.report["watermark"] == "2026-03-01T00:00:00+00:00"
    assert "\r" not in ended.err, "a progress bar where no terminal is"
    assert cli.sandbox
    check_folder(cli.sandbox, cli.archive)


def test_the_table_says_what_happened_and_where_to_look(cli: Command) -> None:
    ended = cli.run("archive", "run", "--dest", cli.archive, *LAST_DAYS)
    assert ended.code == 0
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in ended.out.splitlines() if line.strip()}
    assert lines.keys() >= {"archive.run", "done", "elapsed", "exit", "outcomes", "report"}
    assert lines["exit"] == f"code  0: {EXIT_CODE_MEANINGS[ExitCode.OK]}"
    assert Path(lines["outcomes"]).is_file()
    assert Path(lines["report"]).is_file()
    assert "archiving 2026-02-26 to 2026-03-01" in ended.err


def test_quiet_prints_no_more_than_the_result(cli: Command) -> None:
    ended = cli.archive_run(*LAST_DAYS, "--quiet")
    assert ended.code == 0
    assert ended.err == ""
    check_report(ended)


def test_the_log_can_be_json_lines(cli: Command) -> None:
    ended = cli.archive_run(*LAST_DAYS, "--log-format", "json")
    assert ended.code == 0
    assert ended.log
    assert all(line.keys() >= {"ts", "level", "logger", "message"} for line in ended.log)
    assert {line["run_id"] for line in ended.log} == {ended.report["run_id"]}


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--log-format", "json", "--workers", "0"), 2),
        (("--log-format", "json"), 2),
        (("--log-format", "json", *LAST_DAYS), 4),
    ],
    ids=["setting", "no span", "login"],
)
def test_why_a_run_did_not_begin_is_a_json_line_too_then(
    cli: Command, args: tuple[str, ...], code: int
) -> None:
    ended = cli.inside_archive_run(*args, env={"CONVIRZA_EMAIL": None} if code == 4 else None)
    assert (ended.code, ended.out) == (code, "")
    assert [line["level"] for line in ended.log] == ["error"]


def test_bars_are_drawn_on_a_terminal_only_and_never_on_stdout(cli: Command) -> None:
    ended = cli.on_a_terminal("archive", "run", "--dest", cli.archive, "--json", *LAST_DAYS)
    assert ended.code == 0
    check_report(ended)
    assert "archive.run" in ended.err
    assert "items" in ended.err
    assert "\r" in ended.err.replace("\r\n", "\n")
    quiet = cli.on_a_terminal("archive", "run", "--dest", cli.archive, "--json", "--quiet", *LAST_DAYS)
    assert quiet.err == ""


def test_a_dry_run_writes_nothing_and_counts_what_a_run_would_do(cli: Command) -> None:
    before = cli.inside("status", "--json").report
    ended = cli.archive_run(*ALL, "--dry-run")
    assert ended.code == 0
    check_report(ended)
    assert ended.counts == {"pending": 20}
    assert ended.report["dry_run"] is True
    assert not cli.archive.exists()
    assert cli.inside("status", "--json").report == before

    done = cli.inside_archive_run(*LAST_DAYS).report["counts"]["done"]
    assert done
    again = cli.inside_archive_run(*ALL, "--dry-run")
    assert again.counts["skipped"] == done
    assert sum(again.counts.values()) == 20


def test_the_dry_run_table_says_that_it_was_one(cli: Command) -> None:
    ended = cli.inside("archive", "run", "--dest", cli.archive, *LAST_DAYS, "--dry-run")
    assert ended.code == 0
    assert "dry run: nothing was changed" in ended.out


def test_a_reader_of_stdout_that_has_left_changes_nothing(cli: Command) -> None:
    fault(cli, "recording_poison", calls=frozenset({recorded(cli)[-1]}))
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as gone:
        ended = cli.end(cli.start("archive", "run", "--dest", cli.archive, *ALL, "--quiet", stdout=gone))
    assert ended.code == 3
    assert "Traceback" not in ended.err
    assert "Broken" not in ended.err


def test_a_result_that_cannot_be_printed_is_said_and_no_traceback(cli: Command) -> None:
    if not Path("/dev/full").exists():
        lacking("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        ended = cli.end(
            cli.start("archive", "run", "--dest", cli.archive, *LAST_DAYS, "--quiet", stdout=full)
        )
    assert ended.code == 1
    assert ended.err.startswith("error: stdout cannot be written: No space left on device")
    assert "report.html" in ended.err
    assert ended.err.count("\n") == 1


# ── refused before anything happens: exit code 2 ────────────────────────────────────────────


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--from", "soon"), ("--from", "'soon'", "2026-02-01")),
        (("--from", ""), ("--from", "is not a time")),
        (("--from", "2026-02-02", "--to", ""), ("--to", "is not a time")),
        (("--from", "2026-02-02", "--to", "2026-02-01"), ("--to", "is not after --from")),
        (("--to", "2026-02-01"), ("--to is given without --from",)),
        (("--from", "2126-01-01"), ("the span is empty", "2126-01-01")),
        (("--from", "-1d", "--engine", "spark"), ("--engine spark",)),
        (("--from", "-1d", "--shard", "0/4"), ("--shard 0/4", "outside of 4 shards", "2/3")),
        (("--from", "-1d", "--shard", "5/4"), ("--shard 5/4", "outside of 4 shards")),
        (("--from", "-1d", "--shard", ""), ("--shard", "is no shard")),
        (("--from", "-1d", "--shard", "auto/4"), ("JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX")),
        (("--from", "-1d", "--shard", "1/4", "--engine", "ray"), ("--shard does not go with --engine ray",)),
        (("--from", "-1d", "--workers", "0"), ("--workers", "greater than or equal to 1", "'0'")),
        (("--from", "-1d", "--workers", "65"), ("--workers", "64")),
        (("--from", "-1d", "--tz", "Mars/Olympus"), ("--tz", "time zone")),
        (("--from", "-1d", "--log-format", "xml"), ("--log-format", "'text' or 'json'")),
        (("--from", "-1d", "--profile", "nightly"), ("profile nightly", "did you mean nightly-archive?")),
        (("--from", "-1d", "--profile", "no/such.toml"), ("profile no/such.toml", "no such file")),
        (("--from", "-1d", "--profile", ""), ("--profile is empty",)),
        (("--from", "-1d", "--dest", ""), ("--dest",)),
        (("--from", "-1d", "--dest", "ftp://host/x"), ("ftp", "s3://bucket/prefix")),
        (("--from", "-1d", "--ledger", "mysql://host/x"), ("not a ledger", "postgresql://")),
        ((), ("no earlier run reached a watermark", "--from")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and value[:1] == ("--from",) else None,
)
def test_what_makes_no_sense_is_refused_in_one_line(
    cli: Command, args: tuple[str, ...], words: tuple[str, ...]
) -> None:
    given = args if "--dest" in args else (*args, "--dest", cli.archive)
    cli.inside("archive", "run", "--json", *given).refused(*words)
    assert not cli.archive.exists()
    assert cli.sandbox
    assert not cli.sandbox.state.stats.recording_fetches


def test_a_destination_has_to_be_named(cli: Command) -> None:
    cli.inside("archive", "run", *LAST_DAYS).refused("no destination is given", "--dest")


@pytest.mark.parametrize("args", [("--nope",), ("--workers", "many"), ("--workers",), ("surplus",)])
def test_a_flag_that_does_not_exist_or_lacks_its_value_is_usage(bare: Command, args: tuple[str, ...]) -> None:
    ended = bare.inside("archive", "run", *args)
    assert (ended.code, ended.out) == (2, "")
    assert args[0] in ended.err
    assert "Error: " in ended.err


def test_an_unknown_key_of_a_profile_names_file_key_and_what_is_allowed(cli: Command) -> None:
    profile = cli.folder / "mine.toml"
    profile.write_text('[archive]\ndestination = "x"\n')
    ended = cli.inside_archive_run(*LAST_DAYS, "--profile", profile)
    ended.refused(str(profile), "archive.destination", "unknown key", "allowed: dest, lookback")


# ── where settings come from ────────────────────────────────────────────────────────────────


def test_flags_win_over_the_environment_and_that_over_the_profile(cli: Command) -> None:
    (cli.folder / "mine.toml").write_text('[archive]\ndest = "from-profile"\n')

    def destination(*args: str, **env: str) -> str:
        ended = cli.inside("archive", "run", *LAST_DAYS, "--json", "--dry-run", *args, env=env)
        return str(ended.report["destination"])

    profile = {"MEDIAPIPE_PROFILE": "./mine.toml"}
    assert destination("--profile", "mine.toml") == (cli.folder / "from-profile").as_uri()
    assert destination(**profile) == (cli.folder / "from-profile").as_uri()
    assert destination(**profile, MEDIAPIPE_DEST="from-env") == (cli.folder / "from-env").as_uri()
    flag = destination("--dest", "from-flag", **profile, MEDIAPIPE_DEST="from-env")
    assert flag == (cli.folder / "from-flag").as_uri()


def test_a_profile_of_ones_own_is_found_by_name(cli: Command) -> None:
    own = cli.folder / "config" / "profiles" / "mine.toml"
    own.parent.mkdir(parents=True)
    own.write_text('quiet = true\n[archive]\ndest = "mine"\n')
    env = {"MEDIAPIPE_CONFIG_DIR": str(cli.folder / "config")}
    ended = cli.inside("archive", "run", *LAST_DAYS, "--profile", "mine", "--json", env=env)
    assert (ended.code, ended.err) == (0, "")
    assert (cli.folder / "mine" / "recordings").is_dir()


def test_an_unknown_variable_is_a_warning_and_no_more(cli: Command) -> None:
    ended = cli.archive_run(
        *LAST_DAYS, "--quiet", env={"MEDIAPIPE_WORKRES": "3", "CONVIRZA_PASWORD": "hunter2"}
    )
    assert ended.code == 0
    assert "MEDIAPIPE_WORKRES is not known and was ignored; did you mean MEDIAPIPE_WORKERS?" in ended.err
    assert "CONVIRZA_PASWORD" in ended.err
    assert "hunter2" not in ended.err
    assert ended.err.count("\n") == 2


def test_dates_are_midnight_in_the_zone_that_was_named(cli: Command) -> None:
    ended = cli.inside_archive_run(*LAST_DAYS, "--tz", "America/Denver", "--dry-run")
    assert ended.report["span"] == {"from": "2026-02-26T07:00:00+00:00", "to": "2026-03-01T07:00:00+00:00"}


def test_the_password_may_come_from_a_command(cli: Command) -> None:
    assert cli.sandbox
    (cli.folder / "secret").write_text(f"{cli.sandbox.state.config.password}\nnot this line\n")
    env = {"CONVIRZA_PASSWORD": None, "CONVIRZA_PASSWORD_COMMAND": f"cat '{cli.folder / 'secret'}'"}
    ended = cli.inside_archive_run(*LAST_DAYS, env=env)
    assert ended.code == 0
    assert ended.counts["done"]


# ── nights ──────────────────────────────────────────────────────────────────────────────────


def test_without_a_span_a_run_goes_on_from_the_watermark(tmp_path: Path) -> None:
    with running(sample(20, until=None, days=4)) as sandbox:
        cli = Command(tmp_path, sandbox, {"MEDIAPIPE_ARCHIVE_LOOKBACK": "2d"}, secrets_of(sandbox))
        assert sandbox.state.config.until
        midnight = datetime.combine(sandbox.state.config.until, datetime.min.time(), UTC)
        first = cli.inside_archive_run("--from", "-5d", "--to", (midnight - timedelta(days=1)).isoformat())
        assert first.code == 0
        assert first.report["watermark"] == (midnight - timedelta(days=1)).isoformat()

        second = cli.inside_archive_run()
        assert second.code == 0
        check_report(second)
        assert second.report["span"]["from"] == (midnight - timedelta(days=3)).isoformat()
        assert second.report["counts"]["done"] > 0
        assert second.report["counts"]["skipped"] > 0
        check_folder(sandbox, cli.archive)


def test_the_shipped_nightly_profile_logs_json_and_no_more_than_warnings(cli: Command) -> None:
    ended = cli.inside_archive_run(*LAST_DAYS, "--profile", "nightly-archive", env={"MEDIAPIPE_NOPE": "1"})
    assert ended.code == 0
    assert [line["level"] for line in ended.log] == ["warning"]


# ── shards ──────────────────────────────────────────────────────────────────────────────────


def test_shards_name_themselves_and_who_holds_the_watermark(cli: Command) -> None:
    first = cli.inside_archive_run(*ALL, "--shard", "1/2")
    assert first.code == 0
    check_report(first)
    assert (first.report["shard"], first.report["waits_for"]) == ("1/2", ["2/2"])
    assert first.report["watermark"] is None
    table = cli.inside(
        "archive",
        "run",
        "--dest",
        cli.archive,
        *ALL,
        env={"MEDIAPIPE_SHARD": "auto/2", "JOB_COMPLETION_INDEX": "0"},
    )
    assert "shard 1/2: of the calls, only its own were worked on; the watermark waits for 2/2" in table.out
    second = cli.inside_archive_run(*ALL, env={"MEDIAPIPE_SHARD": "2/2"})
    assert (second.report["shard"], second.report["waits_for"]) == ("2/2", [])
    assert second.report["watermark"] == "2026-03-01T00:00:00+00:00"
    assert cli.sandbox
    check_folder(cli.sandbox, cli.archive)
    assert len({scope["job"] for scope in cli.inside("status", "--json").report["scopes"]}) == 1
    without = cli.inside_archive_run(*ALL)
    assert "shard" not in without.report
    assert without.counts["skipped"] == len(recorded(cli))


# ── exit codes of runs that began ───────────────────────────────────────────────────────────


def test_an_item_that_failed_is_exit_code_3_and_the_next_run_takes_it(cli: Command) -> None:
    bad = recorded(cli)[3]
    fault(cli, "recording_poison", calls=frozenset({bad}))
    ended = cli.inside_archive_run(*ALL)
    assert ended.code == 3
    check_report(ended)
    assert ended.counts["failed"] == 1
    assert cli.sandbox
    check_folder(cli.sandbox, cli.archive, missing=frozenset({bad}))

    cli.sandbox.state.faults.set([])
    again = cli.inside_archive_run(*ALL)
    assert again.code == 0
    assert again.counts["done"] == 1
    check_folder(cli.sandbox, cli.archive)


def test_the_table_says_why_items_failed(cli: Command) -> None:
    fault(cli, "recording_poison", calls=frozenset({recorded(cli)[-1]}))
    ended = cli.run("archive", "run", "--dest", cli.archive, *ALL)
    assert ended.code == 3
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["failed", "1"] in lines
    assert [line for line in lines if line[:1] == ["1"] and len(line) == 2], "no reason is given"


@pytest.mark.parametrize("name", ["CONVIRZA_PASSWORD", "CONVIRZA_V3_TOKEN"])
def test_a_refused_login_is_exit_code_4_and_the_counts_are_still_there(cli: Command, name: str) -> None:
    ended = cli.archive_run(*ALL, env={name: "wrong-Secret-value"})
    assert ended.code == 4
    check_report(ended)
    assert ended.counts == {}
    assert "error: " in ended.err
    assert "Traceback" not in ended.err
    assert "wrong-Secret-value" not in ended.out + ended.err
    assert not list(cli.archive.rglob("*.json"))


def test_a_missing_password_says_where_it_may_come_from(cli: Command) -> None:
    ended = cli.inside_archive_run(*ALL, env={"CONVIRZA_PASSWORD": None})
    assert ended.code == 4
    assert "CONVIRZA_PASSWORD or CONVIRZA_PASSWORD_COMMAND" in ended.err


def test_without_any_login_nothing_begins(cli: Command) -> None:
    ended = cli.inside_archive_run(*ALL, env={"CONVIRZA_EMAIL": None})
    ended.refused("CONVIRZA_EMAIL is not set", code=4)


def test_a_permission_lost_in_mid_run_is_exit_code_4_with_the_counts_so_far(cli: Command) -> None:
    fault(cli, "forbidden", skip=8)
    ended = cli.inside_archive_run(*ALL)
    assert ended.code == 4
    check_report(ended)
    assert 0 < sum(ended.counts.values()) < 20


def test_a_window_that_never_settles_is_named_and_exit_code_5(cli: Command) -> None:
    fault(cli, "list_never_settles", days=frozenset({"2026-02-21"}))
    ended = cli.archive_run(*ALL)
    assert ended.code == 5
    check_report(ended)
    (window,) = ended.report["unsettled_windows"]
    assert (window["start"], window["end"]) == ("2026-02-21", "2026-02-22")
    assert "window 2026-02-21 to 2026-02-22" in ended.err
    assert ended.report["watermark"] == "2026-02-21T00:00:00+00:00"
    table = cli.inside("archive", "run", "--dest", cli.archive, *ALL, "--quiet")
    assert table.code == 5
    assert "window 2026-02-21 to 2026-02-22 is not proven" in table.out


def test_a_platform_that_is_not_there_is_exit_code_5(cli: Command) -> None:
    nowhere = {"CONVIRZA_V3_URL": "http://127.0.0.1:9/v3", "CONVIRZA_V3_TOKEN": "t"}
    ended = cli.inside_archive_run(*LAST_DAYS, env=nowhere)
    assert ended.code == 5
    check_report(ended)
    assert "Traceback" not in ended.err
    assert "run again later" in ended.err


# ── what must never be seen ─────────────────────────────────────────────────────────────────


def test_no_file_of_a_run_holds_a_secret_or_a_signed_url(cli: Command) -> None:
    fault(cli, "recording_poison", calls=frozenset({recorded(cli)[0]}))
    ended = cli.archive_run(*ALL, env={"MEDIAPIPE_LOG_LEVEL": "DEBUG"})
    assert ended.code == 3
    files = [path for path in cli.folder.rglob("*") if path.is_file() and "tokens" not in path.parts]
    assert len(files) > 30
    needles = [secret.encode() for secret in cli.secrets] + [b"secret="]
    for path in files:
        content = path.read_bytes().replace(b"secret=***", b"")
        assert not [needle for needle in needles if needle in content], path
    assert "secret=" not in ended.err.replace("secret=***", "")


def test_a_run_leaves_its_files_to_its_user_only(cli: Command) -> None:
    assert cli.inside_archive_run(*LAST_DAYS).code == 0
    open_to_others = [path for path in cli.state.rglob("*") if path.stat().st_mode & 0o077 and path.is_file()]
    assert [path.name for path in open_to_others if path.name != "alive.lock"] == []


def test_outcomes_are_one_object_a_line_with_the_published_keys(cli: Command) -> None:
    ended = cli.inside_archive_run(*ALL)
    for line in Path(ended.report["outcomes"]).read_text().splitlines():
        assert json.loads(line).keys() >= {
            "key", "outcome", "reason", "message", "source",
            "row", "sha256", "sent_sha256", "bytes", "attempts",
        }  # fmt: skip
