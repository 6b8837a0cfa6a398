import errno
import json
import os
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.errors import DiskFull, Fatal, UsageError
from mediapipe.items import Outcome, Remark, Verdict
from mediapipe.report import outcomes as outcomes_module
from mediapipe.report.outcomes import BATCH, OutcomeWriter, from_object, read_outcomes, to_line
from mediapipe.report.rundir import RunDir

KEYS = ["key", "outcome", "reason", "message", "source", "row", "sha256", "sent_sha256", "bytes", "attempts"]


def test_a_line_has_exactly_the_published_keys(tmp_path):
    outcome = Outcome("7-9", Verdict.DONE, "", "", "https://h/r", 3, "ab", "cd", 5, 2)
    with OutcomeWriter(tmp_path / "o.jsonl") as writer:
        writer.write(outcome)
    line = json.loads((tmp_path / "o.jsonl").read_text())
    assert list(line) == KEYS
    assert (line["outcome"], line["row"], line["bytes"]) == ("done", 3, 5)
    assert list(read_outcomes(tmp_path / "o.jsonl")) == [outcome]


@given(
    st.builds(
        Outcome,
        key=st.text(),
        verdict=st.sampled_from(Verdict),
        reason=st.text(),
        row=st.none() | st.integers(1),
        bytes=st.integers(0),
        attempts=st.integers(0),
        warnings=st.lists(
            st.builds(
                Remark,
                st.text(),
                st.text(st.characters(exclude_characters="=:%")),
                st.none() | st.integers(0, 7),
                st.none() | st.floats(0, 1e5),
                st.none() | st.floats(0, 1e5),
            )
        ).map(tuple),
        audio=st.none() | st.dictionaries(st.text(), st.integers() | st.none() | st.lists(st.booleans())),
    )
)
def test_an_outcome_reads_back(outcome):
    assert from_object(json.loads(to_line(outcome))) == outcome


def test_warnings_and_audio_are_written_where_there_are_any_and_are_optional_to_read():
    line = json.loads(
        to_line(
            Outcome(
                "k",
                Verdict.DONE,
                warnings=(Remark("clipping", "loud secret=hush", 1, 2.0, 2.5), Remark("quiet", "low")),
                audio={"facts": {"tags": {"comment": "access=hush"}, "seconds": float("inf")}},
            )
        )
    )
    assert list(line) == [*KEYS, "warnings", "audio"]
    assert line["warnings"] == [
        {"code": "clipping", "message": "loud secret=***", "channel": 1, "start_s": 2.0, "end_s": 2.5},
        {"code": "quiet", "message": "low"},
    ]
    assert line["audio"] == {"facts": {"tags": {"comment": "access=***"}, "seconds": None}}
    old = {key: line[key] for key in KEYS}
    assert from_object(old) == Outcome("k", Verdict.DONE)


def test_odd_text_stays_on_its_line(tmp_path):
    odd = Outcome("a\nb\u2028\x85c", Verdict.FAILED, source="caf\udce9.wav", message="é ✓")
    with OutcomeWriter(tmp_path / "o.jsonl") as writer:
        writer.write(odd)
    assert (tmp_path / "o.jsonl").read_bytes().count(b"\n") == 1
    assert list(read_outcomes(tmp_path / "o.jsonl")) == [odd]


def test_messages_and_sources_are_redacted(tmp_path):
    with OutcomeWriter(tmp_path / "o.jsonl") as writer:
        writer.write(
            Outcome("k", Verdict.FAILED, message="got secret=hush", source="https://h/r?access=hush")
        )
    assert "hush" not in (tmp_path / "o.jsonl").read_text()


def test_lines_are_written_in_batches_and_the_rest_on_close(tmp_path):
    path = tmp_path / "o.jsonl"
    writer = OutcomeWriter(path)
    for number in range(BATCH - 1):
        writer.write(Outcome(str(number), Verdict.DONE))
    assert len(list(read_outcomes(path))) in (0, BATCH - 1)
    writer.write(Outcome("last of the batch", Verdict.DONE))
    writer.flush()
    assert len(list(read_outcomes(path))) == BATCH
    writer.write(Outcome("rest", Verdict.DONE))
    writer.close()
    writer.close()
    assert [o.key for o in read_outcomes(path)][-1] == "rest"


def test_a_slow_run_can_be_watched(tmp_path, monkeypatch):
    monkeypatch.setattr(outcomes_module, "FLUSH_SECONDS", 0.0)
    with OutcomeWriter(tmp_path / "o.jsonl") as writer:
        writer.write(Outcome("k", Verdict.DONE))
        assert len(list(read_outcomes(tmp_path / "o.jsonl"))) == 1


def test_a_line_cut_by_a_crash_is_passed_over(tmp_path):
    path = tmp_path / "o.jsonl"
    with OutcomeWriter(path) as writer:
        writer.write(Outcome("k", Verdict.DONE))
        writer.write(Outcome("cut", Verdict.DONE))
    path.write_bytes(path.read_bytes()[:-5])
    assert [o.key for o in read_outcomes(path)] == ["k"]


def test_threads_do_not_mix_lines(tmp_path):
    with OutcomeWriter(tmp_path / "o.jsonl") as writer:

        def work(name):
            for number in range(300):
                writer.write(Outcome(f"{name}-{number}", Verdict.DONE))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({o.key for o in read_outcomes(tmp_path / "o.jsonl")}) == 1_200


def test_only_the_user_may_read_it_and_nothing_is_overwritten(tmp_path):
    path = tmp_path / "o.jsonl"
    OutcomeWriter(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Fatal, match="cannot be written"):
        OutcomeWriter(path)


def test_a_full_disk_is_said_so(tmp_path, monkeypatch):
    writer = OutcomeWriter(tmp_path / "o.jsonl")
    writer.write(Outcome("k", Verdict.DONE))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskFull):
        writer.close()
    monkeypatch.undo()
    writer.close()


def test_a_run_has_a_folder_of_its_own(tmp_path):
    runs = tmp_path / "state" / "runs"
    folder = RunDir.create(runs, "run-1")
    assert folder.path == runs / "run-1"
    assert folder.run_id == "run-1"
    assert (folder.outcomes.name, folder.report.name) == ("outcomes.jsonl", "report.html")
    for path in (runs.parent, runs, folder.path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    with pytest.raises(UsageError, match="taken"):
        RunDir.create(runs, "run-1")
    RunDir.create(runs, "run-2")


@pytest.mark.parametrize("run_id", ["", "..", "a/b", "a\\b", "a\0b"])
def test_a_run_id_never_leaves_the_folder(tmp_path, run_id):
    with pytest.raises(ValueError):
        RunDir.create(tmp_path, run_id)


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="MEDIAPIPE_STATE_DIR"):
        RunDir.create(tmp_path / "file" / "runs", "run-1")
