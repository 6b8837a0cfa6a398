import fcntl
import io
import os
import pty
import struct
import termios
import threading
import time

import pytest

from mediapipe.items import Outcome, Verdict
from mediapipe.report import progress as progress_module
from mediapipe.report.progress import Progress, write_line


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _redraw_at_once(monkeypatch):
    monkeypatch.setattr(progress_module, "REDRAW_SECONDS", 0.0)


@pytest.mark.parametrize(("stream", "quiet"), [(io.StringIO(), False), (Terminal(), True)])
def test_nothing_is_drawn_without_a_terminal_or_in_quiet(stream, quiet):
    with Progress("archive.run", quiet=quiet, stream=stream) as progress:
        progress.grow(10, 1_000)
        progress.update(Outcome("1", Verdict.FAILED))
    assert stream.getvalue() == ""


def test_items_bytes_and_failures_are_shown_and_the_total_grows():
    terminal = Terminal()
    with Progress("archive.run", stream=terminal) as progress:
        progress.grow(2)
        progress.grow(2)
        progress.update(Outcome("1", Verdict.DONE, bytes=2_000_000))
        progress.update(Outcome("2", Verdict.SKIPPED, bytes=9_000_000))
        progress.update(Outcome("3", Verdict.FAILED))
        progress.update(Outcome("4", Verdict.UNCERTAIN))
    text = terminal.getvalue()
    assert "archive.run" in text
    assert "4/4" in text
    assert "2 failed" in text
    assert "2.00MB" in text
    assert "11.0MB" not in text


def test_closing_removes_the_bars_and_may_be_repeated():
    terminal = Terminal()
    progress = Progress("x", stream=terminal)
    progress.close()
    progress.close()
    progress.update(Outcome("1", Verdict.DONE))
    progress.grow(1)


def test_no_thread_is_left_behind():
    before = threading.active_count()
    with Progress("x", stream=Terminal()) as progress:
        progress.update(Outcome("1", Verdict.DONE))
        assert threading.active_count() == before


def test_an_update_is_cheap(monkeypatch):
    monkeypatch.setattr(progress_module, "REDRAW_SECONDS", 0.1)
    with Progress("x", stream=Terminal()) as progress:
        began = time.perf_counter()
        for _ in range(10_000):
            progress.update(Outcome("1", Verdict.DONE, bytes=1))
        assert time.perf_counter() - began < 5


def test_threads_may_update():
    terminal = Terminal()
    with Progress("x", stream=terminal) as progress:
        progress.grow(400)
        threads = [
            threading.Thread(target=lambda: [progress.update(Outcome("1", Verdict.DONE)) for _ in range(100)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert "400/400" in terminal.getvalue()


def test_a_line_goes_to_its_stream_only(capsys):
    stream = io.StringIO()
    write_line("hello", stream)
    assert stream.getvalue() == "hello\n"
    assert capsys.readouterr() == ("", "")


def test_a_terminal_that_tells_no_width_gets_bars_of_a_usual_one() -> None:
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    with os.fdopen(terminal, "w") as stream:
        with Progress("archive.run", stream=stream) as progress:
            progress.grow(2)
            progress.update(Outcome("1-2", Verdict.DONE, bytes=10))
        stream.flush()
        drawn = os.read(controller, 65536)
    os.close(controller)
    assert b"archive.run" in drawn
