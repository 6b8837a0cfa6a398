"""``mediapipe calls check`` as users and their scripts see it: real files, real worker processes."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from mediapipe.report.outcomes import read_outcomes
from tests.cli.command import COUNTS, Command, Ended, wait_until
from tests.manifests import good, manifest, named, recordings

PUBLISHED = {"job", "run_id", "counts", "bytes", "elapsed_s", "outcomes", "report"}
MIXED = ("good.wav", "one_sided.wav", "call.ogg", "cut.wav", "none.wav")


@pytest.fixture
def here(bare: Command) -> Command:
    """A command in a folder with recordings and a manifest of them, ``m.csv``."""
    recordings(bare.folder / "calls")
    manifest(bare.folder / "m.csv", *named(*(f"calls/{name}" for name in MIXED)))
    return bare


def check(command: Command, *args: object, name: str = "m.csv", **more: Any) -> Ended:
    return command.inside("calls", "check", name, *args, **more)


def lines_of(ended: Ended) -> list[str]:
    """Return the lines about rows, which come before the table."""
    return ended.out[: ended.out.index("calls.check  ")].splitlines()


def test_each_row_is_told_with_its_plan_and_its_warnings(here: Command) -> None:
    ended = here.run("calls", "check", "m.csv")
    assert ended.code == 3
    lines = lines_of(ended)
    assert [line.split()[:3] for line in lines if "warning" not in line] == [
        ["1", "done", "call-1"],
        ["2", "done", "call-2"],
        ["3", "done", "call-3"],
        ["4", "rejected", "call-4"],
        ["5", "rejected", "call-5"],
    ]
    assert "as_is: sent as it is: wav pcm_s16le 8 kHz stereo, 4.0s" in lines[0]
    assert "warning  dead_channel: channel 2 carries nothing" in lines[2]
    assert "transcode: " in lines[3]
    assert "no_such_file: line 6 (byte 297): recording_file 'calls/none.wav'" in lines[-1]
    assert "Traceback" not in ended.err
    assert "manifest m.csv: UTF-8; columns separated by comma" in ended.err
    assert "to be sent: " in ended.out
    assert "(audio.uplink)" in ended.out
    assert "2  as_is" in ended.out


def test_json_is_one_object_and_the_outcomes_say_the_same(here: Command) -> None:
    ended = here.run("calls", "check", "m.csv", "--json")
    assert ended.code == 3
    report = ended.report
    assert report.keys() >= PUBLISHED
    assert (report["job"], report["counts"].keys()) == ("calls.check", COUNTS)
    assert ended.counts == {"done": 3, "rejected": 2}
    assert report["reasons"]["done"] == {"as_is": 2, "transcode": 1}
    assert report["manifest"]["encoding"] == "utf-8"
    assert report["manifest"]["delimiter"] == ","
    assert report["root"] == str(here.folder.resolve())
    outcomes = list(read_outcomes(Path(report["outcomes"])))
    assert [one.row for one in outcomes] == [1, 2, 3, 4, 5]
    assert sum(one.bytes for one in outcomes if one.verdict == "done") == report["bytes"]
    assert report["bytes"] == report["estimate"]["bytes"]
    assert report["estimate"]["requests"] == 3
    first = json.loads(Path(report["outcomes"]).read_text().splitlines()[0])
    assert first["audio"]["facts"]["duration_s"] == 4.0
    assert first["audio"]["plan"]["kind"] == first["reason"] == "as_is"
    assert first["audio"]["facts"]["sha256"] == first["sha256"]
    assert outcomes[1].warnings[0].code == "dead_channel"
    assert report["warnings"] == {"dead_channel": 1}
    told = {line.split()[2]: line for line in lines_of(check(here)) if "warning" not in line}
    assert all(one.message in told[one.key] for one in outcomes)


def test_quiet_leaves_out_what_needs_nobody(here: Command) -> None:
    ended = check(here, "--quiet")
    lines = lines_of(ended)
    assert [line.split()[0] for line in lines if "warning" not in line] == ["2", "4", "5"]
    assert ended.err == ""


def test_a_manifest_of_good_rows_is_exit_code_0(here: Command) -> None:
    manifest(here.folder / "m.csv", *named("calls/good.wav", "calls/good.mp3"))
    ended = check(here, "--json", "--quiet")
    assert (ended.code, ended.err, ended.counts) == (0, "", {"done": 2})


def test_without_audio_rows_and_paths_are_checked_alone(here: Command) -> None:
    ended = check(here, "--json", "--no-audio")
    assert (ended.code, ended.counts) == (3, {"pending": 4, "rejected": 1})
    assert ended.report["reasons"]["pending"] == {"unchecked": 4}
    assert ended.report["audio_checked"] is False


def test_no_network_is_asked(here: Command) -> None:
    """The row's address leads to a server of ours: nobody knocks there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        port = server.getsockname()[1]
        rows = [{"recording_url": f"https://127.0.0.1:{port}/a.wav"}, {"recording_file": "s3://bucket/key"}]
        manifest(here.folder / "m.csv", *rows)
        env = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}
        ended = check(here, "--json", env=env)
        with pytest.raises(TimeoutError):
            server.accept()
    assert (ended.code, ended.counts) == (0, {"pending": 2})


def test_the_root_is_where_paths_start_and_what_they_may_not_leave(here: Command) -> None:
    (here.folder / "lists").mkdir()
    rows = named("good.wav", "../m.csv", str(here.folder / "calls" / "good.wav"))
    manifest(here.folder / "lists" / "m.csv", *rows)
    ended = check(here, "--json", "--root", "calls", name="lists/m.csv")
    outcomes = list(read_outcomes(Path(ended.report["outcomes"])))
    assert [one.reason for one in outcomes] == ["as_is", "outside_root", "as_is"]
    by_variable = check(here, "--json", name="lists/m.csv", env={"MEDIAPIPE_ROOT": "calls"})
    assert by_variable.counts == ended.counts
    beside = check(here, "--json", name="lists/m.csv")
    assert beside.counts == {"rejected": 3}


def test_a_manifest_from_a_spreadsheet_is_read_and_what_was_assumed_is_said(here: Command) -> None:
    path = here.folder / "m.csv"
    rows = [{"recording_file": "calls/good.wav", "caller_name": "Müller", "Remark": "x"}]
    manifest(path, *rows, delimiter=";", encoding="cp1252")
    ended = check(here, "--json")
    assert (ended.code, ended.counts) == (0, {"done": 1})
    assert ended.report["manifest"]["encoding"] == "cp1252"
    assert ended.report["manifest"]["warnings"][0]["code"] == "unknown_column"
    assert "Windows-1252" in ended.err
    assert "column remark: is not known" in ended.err
    manifest(path, *rows, delimiter="\t", encoding="utf-16")
    assert check(here, "--json").report["manifest"]["delimiter"] == "\t"


def test_the_profile_of_the_import_works(here: Command) -> None:
    ended = check(here, "--json", "--profile", "historical-import", "--tz", "America/Denver")
    assert ended.code == 3
    assert ended.report["estimate"]["requests_per_second"] == 1000, "the environment wins over the profile"


def test_a_check_has_no_effect(here: Command) -> None:
    before = {path: path.read_bytes() for path in here.folder.rglob("*") if path.is_file()}
    ended = check(here, "--json", "--dry-run", "--ledger", "ledger.db", "--workers", "2")
    assert ended.code == 3
    run = Path(ended.report["outcomes"]).parent
    after = {
        path: path.read_bytes()
        for path in here.folder.rglob("*")
        if path.is_file() and run not in path.parents
    }
    assert after == before


@pytest.mark.parametrize("rich", [False, True])
def test_every_run_leaves_a_page_and_the_rich_one_has_drawings(here: Command, rich: bool) -> None:
    ended = check(here, "--json", *(["--report"] if rich else []))
    page = Path(ended.report["report"]).read_text()
    assert ended.report["run_id"] in page
    assert "and would send" in page
    assert ("<svg" in page) is rich
    assert page.count('class="wave"') == (4 if rich else 0), "two channels of two faulty recordings"
    assert "call-5" in page


def test_a_row_that_could_break_a_page_or_a_line_does_not(here: Command) -> None:
    evil = "<script>alert(1)</script>\n\x1b[31m"
    manifest(here.folder / "m.csv", {"recording_file": "calls/one_sided.wav", "external_id": evil})
    ended = check(here, "--report")
    assert "\x1b" not in ended.out
    assert len(lines_of(ended)) == 2
    page = next(here.state.rglob("report.html")).read_text()
    assert "<script>alert" not in page


def test_a_secret_in_an_address_is_nowhere(here: Command) -> None:
    rows = [
        {"recording_url": "https://h.example/x?secret=hush-hush"},
        {"recording_file": "https://h/?access=hush-hush"},
    ]
    manifest(here.folder / "m.csv", *rows)
    ended = check(here, "--report")
    assert "hush-hush" not in ended.out + ended.err
    for path in here.state.rglob("*.*"):
        assert "hush-hush" not in path.read_text()


@pytest.mark.parametrize(
    ("text", "args", "words"),
    [
        (None, ("none.csv",), ("manifest none.csv", "no such file")),
        (None, (".",), ("is not a file",)),
        ("", ("m.csv",), ("is empty",)),
        ("a,b\n1,2\n", ("m.csv",), ("no column external_id", "'a', 'b'")),
        ("external_id,external-id,recording_file\n", ("m.csv",), ("more than one column 'external_id'",)),
        (None, ("m.csv", "--root", "none"), ("--root none", "no such folder")),
        (None, ("m.csv", "--root", "m.csv"), ("is not a folder",)),
        (None, ("m.csv", "--workers", "0"), ("--workers",)),
        (None, ("m.csv", "--tz", "Mars/Olympus"), ("--tz", "time zone")),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    here: Command, text: str | None, args: tuple[str, ...], words: tuple[str, ...]
) -> None:
    if text is not None:
        (here.folder / "m.csv").write_text(text)
    here.inside("calls", "check", *args, "--json").refused(*words)
    assert not here.state.exists(), "there was no run"


def test_a_preset_that_there_is_not_is_refused(here: Command) -> None:
    ended = here.inside("calls", "check", "m.csv", env={"MEDIAPIPE_AUDIO_SOURCE_PRESET": "acme"})
    ended.refused("audio.source_preset", "'acme'", "amazon-connect")


def test_a_quote_that_is_never_closed_leaves_the_counts_and_says_where(here: Command) -> None:
    with (here.folder / "m.csv").open("a") as file:
        file.write('2026,1,1,call-9,"open')
    ended = check(here, "--json", "--no-audio", "--quiet")
    assert ended.code == 2
    assert ended.report["error"]["code"] == "usage"
    assert "the row that begins on line 7 does not end" in ended.err


def test_a_reader_who_leaves_changes_nothing(here: Command) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as gone:
        ended = here.end(here.start("calls", "check", "m.csv", stdout=gone))
    assert ended.code == 3
    assert "Traceback" not in ended.err
    assert "Broken" not in ended.err


def test_bars_and_rows_do_not_tear_each_other(here: Command) -> None:
    ended = here.on_a_terminal("calls", "check", "m.csv")
    assert ended.code == 3
    assert "calls.check" in ended.err, "a bar was drawn"
    assert len(lines_of(ended)) == 6
    assert "\r" not in ended.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_the_rows_that_were_done(here: Command, number: signal.Signals) -> None:
    # Far more than is looked at between the first line's writing and the signal, however slow the signal is.
    (here.folder / "calls" / "long.wav").write_bytes(good(60.0))
    manifest(here.folder / "m.csv", *named(*["calls/long.wav"] * 1_000))
    process = here.start("calls", "check", "m.csv", "--json", "--workers", "2")

    def begun() -> bool:
        return any(path.stat().st_size for path in here.state.rglob("outcomes.jsonl"))

    wait_until(begun, process)
    process.send_signal(number)
    ended = here.end(process)
    assert ended.code == 130
    assert number.name in ended.err
    assert "Traceback" not in ended.err
    rows = [one.row for one in read_outcomes(Path(ended.report["outcomes"]))]
    assert 0 < len(rows) < 1_000
    assert rows == list(range(1, len(rows) + 1))
    assert ended.counts == {"done": len(rows)}


def test_headerless_files_are_read_as_they_are_said_to_be(here: Command) -> None:
    (here.folder / "calls" / "a.bin").write_bytes(bytes(range(256)) * 100)
    manifest(here.folder / "raw.csv", *named("calls/a.bin"))
    unknown = check(here, "--json", name="raw.csv")
    assert unknown.report["reasons"] == {"rejected": {"not_audio": 1}}
    told = check(here, "--json", "--raw-format", "ulaw", name="raw.csv")
    assert told.report["reasons"] == {"done": {"transcode": 1}}
    assert told.report["warnings"]["raw_format_assumed"] == 1
    check(here, "--raw-format", "mulaw", name="raw.csv").refused("raw format 'mulaw' is not known", "alaw")
