import io
import json
import logging
import threading

import pytest

from mediapipe.items import Outcome, Verdict
from mediapipe.report.logs import bind_run, clean, configure
from mediapipe.report.progress import Progress

HUSH = "Zq9hush-hush-hush"
log = logging.getLogger("mediapipe.somewhere")


@pytest.fixture
def stream():
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield io.StringIO()
    for handler in [new for new in root.handlers if new not in before]:
        root.removeHandler(handler)
    root.setLevel(level)


def only(stream):
    (line,) = stream.getvalue().splitlines()
    return json.loads(line)


def test_a_json_line(stream):
    configure("json", "INFO", run_id="run-1", stream=stream)
    log.warning("window %s is open", "x", extra={"window": {"calls": 3, "ids": (1, 2)}, "level": "mine"})
    entry = only(stream)
    assert entry.pop("ts").endswith("Z")
    assert entry == {
        "level": "warning",
        "logger": "mediapipe.somewhere",
        "message": "window x is open",
        "run_id": "run-1",
        "window": {"calls": 3, "ids": [1, 2]},
    }


def test_a_text_line(stream):
    configure("text", "INFO", stream=stream)
    log.info("copied %d", 3, extra={"call_id": 7})
    moment, rest = stream.getvalue().split(" ", 1)
    assert moment.endswith("Z")
    assert rest == "INFO    mediapipe.somewhere: copied 3 call_id=7\n"


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_another_package_keeps_on_every_record_is_not_told(stream, form):
    usual = logging.getLogRecordFactory()

    def marked(*args, **kwargs):
        record = usual(*args, **kwargs)
        vars(record)["_their_timestamp_ns"] = 1
        return record

    configure(form, "INFO", stream=stream)
    logging.setLogRecordFactory(marked)  # as ray does from its first start on
    try:
        log.info("copied", extra={"call_id": 7})
    finally:
        logging.setLogRecordFactory(usual)
    assert "call_id" in stream.getvalue()
    assert "_their" not in stream.getvalue()


def test_the_run_may_be_named_later_and_the_last_configuration_counts(stream):
    old = io.StringIO()
    configure("text", "INFO", stream=old)
    configure("json", "INFO", stream=stream)
    log.info("one")
    bind_run("run-2")
    log.info("two")
    assert [json.loads(line).get("run_id") for line in stream.getvalue().splitlines()] == [None, "run-2"]
    assert not old.getvalue()


def explode():
    try:
        raise ValueError(f"inner secret={HUSH}")
    except ValueError as error:
        raise RuntimeError(f"GET https://h/r?access={HUSH} failed, Authorization: Bearer {HUSH}") from error


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_leaves_by_message_argument_exception_traceback_or_field(stream, form):
    configure(form, "DEBUG", stream=stream)
    log.info(f"password={HUSH}")  # noqa: G004
    log.info("got %s and %r", f"secret={HUSH}", {"client_secret": HUSH})
    log.info("to https://h/r?%s=%s", "access", HUSH)
    log.info(
        "fields", extra={"url": f"https://h/?secret={HUSH}", "password": HUSH, "auth": {"v3_token": [HUSH]}}
    )
    log.info("object", extra={"thing": RuntimeError(f"token={HUSH}"), "nested": [{"x": f"secret={HUSH}"}]})
    try:
        explode()
    except RuntimeError:
        log.exception("it broke")
    text = stream.getvalue()
    assert HUSH not in text
    assert "it broke" in text
    assert "RuntimeError" in text
    assert "ValueError" in text
    if form == "json":
        assert all(json.loads(line) for line in text.splitlines())
        assert "Traceback" in json.loads(text.splitlines()[-1])["exception"]


def emit(msg, *args, error=None):
    """Hand a record to our handler alone: pytest's own handlers complain of some, and keep texts."""
    (handler,) = [
        ours for ours in logging.getLogger().handlers if type(ours).__module__ == "mediapipe.report.logs"
    ]
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("mediapipe.x", logging.INFO, __file__, 1, msg, args, info)
    handler.emit(record)
    return record


@pytest.mark.parametrize("form", ["text", "json"])
def test_arguments_that_do_not_fit_are_no_error_and_no_leak(stream, capsys, form):
    configure(form, "INFO", stream=stream)
    emit("does not fit %d %d", f"secret={HUSH}")
    emit(f"secret={HUSH} %d", "x")
    assert stream.getvalue().count("the arguments do not fit") == 2
    assert HUSH not in stream.getvalue()
    assert capsys.readouterr().err == ""


def test_the_record_keeps_no_text_for_others(stream):
    configure("text", "INFO", stream=stream)
    try:
        explode()
    except RuntimeError as error:
        record = emit("x", error=error)
    assert "RuntimeError" in stream.getvalue()
    assert record.exc_text is None


def test_a_far_sides_text_forges_no_line(stream):
    configure("text", "INFO", stream=stream)
    forged = "ok\n2026-01-01T00:00:00Z ERROR root: forged\r\x1b[31m\u2028"
    log.info("said %s", forged, extra={"body": forged})
    try:
        raise ValueError(forged)
    except ValueError:
        log.exception("raised")
    lines = stream.getvalue().split("\n")
    assert len([line for line in lines if line and not line.startswith(" ")]) == 2
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def test_levels(stream):
    configure("text", "INFO", stream=stream)
    log.debug("hidden")
    logging.getLogger("httpx").info("hidden")
    logging.getLogger("botocore.endpoint").debug("hidden")
    logging.getLogger("httpx").warning("shown 1")
    log.info("shown 2")
    assert [line[-7:] for line in stream.getvalue().splitlines()] == ["shown 1", "shown 2"]


def test_quiet_shows_warnings(stream):
    configure("text", "DEBUG", quiet=True, stream=stream)
    log.info("hidden")
    log.warning("shown")
    assert stream.getvalue().count("\n") == 1


def test_errors_stay_errors_only(stream):
    configure("text", "ERROR", quiet=True, stream=stream)
    log.warning("hidden")
    logging.getLogger("urllib3").warning("hidden")
    assert not stream.getvalue()


def test_a_broken_stream_prints_no_secret(stream, capsys):
    configure("text", "INFO", stream=stream)
    stream.close()
    log.info("secret=%s", HUSH)
    captured = capsys.readouterr()
    assert HUSH not in captured.err + captured.out


def test_stdout_stays_empty(stream, capsys):
    configure("text", "INFO")
    log.info("on stderr")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "on stderr" in captured.err


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "nan"),
        (1.5, 1.5),
        (None, None),
        (True, True),
        (b"secret=x", "b'secret=***'"),
        ({3: 4}, {"3": 4}),
    ],
)
def test_fields_become_json(value, shown):
    assert clean(value) == shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_line_stands_whole_among_bars(stream):
    terminal = Terminal()
    configure("text", "INFO", stream=terminal)
    with Progress("archive.run", stream=terminal) as progress:
        progress.grow(4)
        progress.update(Outcome("1", Verdict.DONE, bytes=10))
        threads = [threading.Thread(target=log.info, args=(f"line {n} whole",)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number in range(3):
        assert f"mediapipe.somewhere: line {number} whole\n" in terminal.getvalue()


def test_a_worker_that_ended_while_it_was_ended_is_no_news() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    logging.getLogger("asyncio").warning("Unknown child process pid %d, will report returncode 255", 7)
    logging.getLogger("asyncio").warning("something else")
    assert [line.rpartition(": ")[2] for line in stream.getvalue().splitlines()] == ["something else"]
