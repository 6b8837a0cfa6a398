"""The preview of prompts: escaped and self-contained; in a real browser every version of one is heard."""

from __future__ import annotations

import base64
import io
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mediapipe.audio.g711 import mulaw_wav
from mediapipe.errors import DiskFull, Fatal, UsageError
from mediapipe.report.preview_page import MARK, Card, Preview, Trouble, check_place, render_preview, writing
from mediapipe.report.small_waves import draw_evenness, draw_waves
from tests.audio.sources import honest, pcm16, voice
from tests.browser import SECONDS, Page, browsing
from tests.facts import facts
from tests.report.test_audio_page import AnyTags, choose
from tests.report.test_page import EVIL

LENGTH = 3.0


def card(number: int, name: str = "", **more: Any) -> Card:
    """Return the card of a prompt that was rendered, 0.2 s of its beginning cut off."""
    usual = Card(
        number, "prompt", name or f"name-{number}", "new", True, "en", "telephony", f"{number}.wav", number,
        seconds=LENGTH - 0.2, level_before=-30.0 + number, level_after=-22.0, gain=8.0 - number, limited=0.0,
        true_peak=-6.0, head_cut=0.2, tail_cut=0.0, pace=4.0,
        waves=draw_waves(facts(LENGTH, 1), facts(LENGTH - 0.2, 1), 0.2),
    )  # fmt: skip
    return replace(usual, **more)


MIXED = (
    card(
        1,
        "Closed",
        blocked="nothing is to be heard",
        level_before=None,
        waves=draw_waves(facts(LENGTH, 1), None),
    ),
    card(2, "Welcome", change="changed audio"),
    card(3, "Goodbye", change="unchanged", changed=False),
    card(4, "Hold on", type="whisper", outlying=("level -40.0, usual is -20.0 dBFS before rendering",)),
    card(5, "Press one", language="es", change="unchanged", changed=False),
)


def preview(*cards: Card, **more: Any) -> Preview:
    usual = Preview("prompts.csv", "looked at 2026-02-14", "Compared with release 3.", {"new": 1}, cards)
    return replace(usual, **more)


def save(path: Path, one: Preview) -> Path:
    """Write a page whose prompts can be heard: blocked ones have no rendered sound."""
    sound = voice(LENGTH)
    samples = np.frombuffer(pcm16(sound), "<i2")
    with writing(path, one) as page:
        for each in one.cards:
            page.audio(each.number, "source", honest(sound), "audio/wav")
            if not each.blocked:
                page.audio(each.number, "rendered", honest(sound[:, 1600:]), "audio/wav")
            page.audio(each.number, "heard", mulaw_wav(samples[1600:]), "audio/wav")
    return path


# ── the page ────────────────────────────────────────────────────────────────────────────────


def test_everything_from_outside_is_escaped(tmp_path: Path) -> None:
    evil = card(1, EVIL, type="prompt", language=EVIL, profile=EVIL, file=EVIL, why=EVIL, blocked=EVIL,
                change=EVIL, outlying=(EVIL,), remarks=(EVIL,))  # fmt: skip
    text = save(
        tmp_path / "p.html",
        preview(
            evil, manifest=EVIL, compared=EVIL, counts={EVIL: 1}, troubles=(Trouble(EVIL, EVIL, EVIL, 1),),
            lacking={EVIL: (EVIL,)}, languages=(EVIL,), gone=(EVIL,), notes=(EVIL,),
        ),
    ).read_text()  # fmt: skip
    tags = AnyTags(text).seen
    assert "img" not in [tag for tag, _ in tags]
    assert not [attrs for _, attrs in tags if any(name.startswith("on") for name in attrs)]
    assert [attrs.get("type") for tag, attrs in tags if tag == "script"] == [None, "text/plain", "text/plain"]


def test_the_page_asks_nobody_and_says_so(tmp_path: Path) -> None:
    text = save(tmp_path / "p.html", preview(*MIXED, troubles=(Trouble("a", "b", number=1),))).read_text()
    tags = AnyTags(text).seen
    assert not [attrs for _, attrs in tags if {"src", "action", "xlink:href"} & attrs.keys()]
    assert {attrs["href"] for _, attrs in tags if "href" in attrs} == {"#prompt-1"}
    assert not re.search(r"url\(|@import|fetch\(|https?:", text)
    (policy,) = [attrs["content"] for _, attrs in tags if attrs.get("http-equiv")]
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("; media-src blob:")
    assert "script-src 'sha256-" in policy, "no script but the page's own"


def test_secrets_and_what_steers_a_terminal_stay_out(tmp_path: Path) -> None:
    odd = card(1, "a\x1b[2J\u202egpj", why="access=hush", blocked="secret=hush")
    text = save(tmp_path / "p.html", preview(odd, notes=("token=hush",))).read_text()
    assert "hush" not in text
    assert not [char for char in text if not char.isprintable() and char != "\n"]


def test_what_cannot_be_sent_stands_at_the_top_with_why() -> None:
    troubles = (
        Trouble("row 7", "no such file", "gone.wav"),
        Trouble("prompt/Closed", "no sound", "1.wav", 1),
    )
    text = render_preview(preview(*MIXED, troubles=troubles))
    assert "2 cannot be sent" in text
    assert "<b>row 7</b> <code>gone.wav</code>: no such file" in text
    assert '<a href="#prompt-1"><b>prompt/Closed</b></a>' in text
    assert text.index("cannot be sent") < text.index('id="prompts"')


def test_missing_languages_are_a_table() -> None:
    text = render_preview(preview(lacking={"prompt/a": ("es",)}, languages=("en", "es")))
    assert "1 not there in every language" in text
    assert re.search(r'prompt/a</th><td>✓</td><td class="bad">missing</td>', text)


def test_an_empty_set_is_a_page_too() -> None:
    text = render_preview(preview())
    for absent in ("cannot be sent", "every language", "How even", "<h2>Notes", "left out of this page"):
        assert absent not in text
    assert "3 unchanged prompts are left out" in render_preview(preview(left_out=3))


# ── where it is written ─────────────────────────────────────────────────────────────────────


def test_an_earlier_preview_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    path = save(tmp_path / "p.html", preview(card(1, "the earlier one")))
    assert MARK in path.read_bytes()[:500]
    path.chmod(0o640)
    save(path, preview(card(1, "second")))
    assert b"second" in path.read_bytes()
    assert b"the earlier one" not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["p.html"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "p.html"
    link.symlink_to(tmp_path / "real" / "p.html")
    save(link, preview(card(1)))
    assert link.is_symlink()
    assert MARK in (tmp_path / "real" / "p.html").read_bytes()


@pytest.mark.parametrize("theirs", [b"", b"<!doctype html><title>mine</title>", b" " * 600 + MARK])
def test_nothing_else_is_written_over(tmp_path: Path, theirs: bytes) -> None:
    path = tmp_path / "index.html"
    path.write_bytes(theirs)
    with pytest.raises(UsageError, match="is there already and is no preview"):
        save(path, preview(card(1)))
    assert path.read_bytes() == theirs


def test_a_folder_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        check_place(tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        check_place(tmp_path / "none" / "p.html")


def fail(error: BaseException) -> Callable[..., None]:
    def raising(*_: object) -> None:
        raise error

    return raising


@pytest.mark.parametrize(
    ("error", "expected"),
    [(OSError(28, "No space left on device"), DiskFull), (OSError(5, "Input/output error"), Fatal)],
)
def test_half_a_page_never_stands_there(tmp_path: Path, error: OSError, expected: type[Fatal]) -> None:
    path = save(tmp_path / "p.html", preview(card(1, "whole")))
    before = path.read_bytes()
    with pytest.raises(expected), writing(path, preview(card(1))):
        raise error
    with pytest.raises(KeyError), writing(path, preview(card(1))):
        raise KeyError
    with writing(path, preview(card(1))) as page:
        page.give_up()
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["p.html"]


# ── in a browser ────────────────────────────────────────────────────────────────────────────

SHOWN = "[...document.querySelectorAll('#prompts tbody tr:not([hidden]) .name')].map(one => one.textContent)"
STATE = "[audio.currentTime, audio.duration, audio.paused, audio.error && audio.error.message]"


@pytest.fixture
def tab() -> Iterator[Page]:
    with browsing() as page:
        page.call(
            "Emulation.setDeviceMetricsOverride", width=1440, height=900, deviceScaleFactor=1, mobile=False
        )
        yield page


def press(page: Page, selector: str, share: float = 0.5, down: float = 0.5) -> None:
    """Click somewhere on an element with the mouse, as far along and down it as is said."""
    x, y, width, height = page.run(
        f"(() => {{ const one = document.querySelector({selector!r});"
        "one.scrollIntoView({block: 'center'}); const at = one.getBoundingClientRect();"
        "return [at.x, at.y, at.width, at.height] })()"
    )
    place = {"x": x + width * share, "y": y + height * down, "button": "left", "clickCount": 1}
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, **place)


def key(page: Page, name: str) -> None:
    """Press a key."""
    text = {"text": name} if len(name) == 1 else {}
    page.call("Input.dispatchKeyEvent", type="keyDown", key=name, **text)
    page.call("Input.dispatchKeyEvent", type="keyUp", key=name)


def until(page: Page, script: str, what: str = "") -> None:
    """Wait until a piece of script says yes."""
    deadline = time.monotonic() + SECONDS
    while not page.run(script):
        assert time.monotonic() < deadline, (what or script, page.run(STATE))
        time.sleep(0.02)


def playing(number: int, kind: str) -> str:
    """Return the script that tells whether this very sound is being heard, and its button says so."""
    button = f"document.querySelector('#prompt-{number} .{kind}')"
    pressed = "document.querySelectorAll('.play[aria-pressed=true]').length === 1"
    return (
        f"{pressed} && {button}.getAttribute('aria-pressed') === 'true'"
        " && !audio.paused && audio.currentTime > 0.15 && audio.error === null"
    )


def picture(page: Page, selector: str) -> np.ndarray[Any, Any]:
    """Return what an element looks like on the screen: rows, columns, red, green, blue."""
    x, y, width, height = page.run(
        f"(() => {{ const at = document.querySelector({selector!r}).getBoundingClientRect();"
        "return [at.x + scrollX, at.y + scrollY, at.width, at.height] })()"
    )
    clip = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
    shot = page.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
    with av.open(io.BytesIO(base64.b64decode(shot["data"]))) as image:
        (frame,) = image.decode(video=0)
    return frame.to_ndarray(format="rgb24").astype(int)


def coloured(shot: np.ndarray[Any, Any], rgb: Sequence[int]) -> np.ndarray[Any, Any]:
    """Return which pixels have a colour."""
    near: np.ndarray[Any, Any] = np.abs(shot - np.array(rgb)).max(axis=2) < 12
    return near


def test_each_version_is_heard_and_the_place_is_kept(tmp_path: Path, tab: Page) -> None:
    path = save(tmp_path / "p.html", preview(*MIXED, evenness=draw_evenness([-30, -20], [-22, -22])))
    tab.open(path)
    for kind, seconds in (("source", LENGTH), ("rendered", LENGTH - 0.2), ("heard", LENGTH - 0.2)):
        tab.run("if (row) audio.pause(), audio.currentTime = 0")
        press(tab, f"#prompt-2 .{kind}")
        until(tab, playing(2, kind), kind)
        assert tab.run("audio.duration") == pytest.approx(seconds, abs=0.02)
    assert tab.run("by('playing').textContent") == "Welcome, as heard over G.711"
    # The line over the waveform is where the sound is, on the source's scale.
    press(tab, "#prompt-2 .heard")
    until(tab, "audio.paused")
    at, left = tab.run("[audio.currentTime, parseFloat(document.querySelector('#prompt-2 i').style.left)]")
    assert left == pytest.approx((at + 0.2) / LENGTH * 100, abs=2)
    # Another version of it goes on at the same word: 0.2 s later in the source.
    tab.run("audio.currentTime = 1.5")
    press(tab, "#prompt-2 .source")
    until(tab, playing(2, "source"))
    assert tab.run("audio.currentTime") == pytest.approx(1.7, abs=0.6)
    assert tab.run("audio.currentTime") >= 1.69
    # One that was not rendered has no such button.
    assert tab.run("document.querySelector('#prompt-1 .rendered').disabled")
    assert not tab.run("document.querySelector('#prompt-1 .source').disabled")
    assert tab.complaints == []
    assert [url for url in tab.asked if not url.startswith("blob:null/")] == [path.as_uri()]


def test_pressing_into_a_waveform_plays_from_there(tmp_path: Path, tab: Page) -> None:
    tab.open(save(tmp_path / "p.html", preview(*MIXED)))
    press(tab, "#prompt-4 .wave", share=0.5, down=0.2)
    until(tab, playing(4, "source"))
    assert 1.49 <= tab.run("audio.currentTime") < 2.5
    press(tab, "#prompt-5 .wave", share=0.25, down=0.8)
    until(tab, playing(5, "rendered"))
    assert 0.54 <= tab.run("audio.currentTime") < 1.5
    press(tab, "#prompt-1 .wave", share=0.1, down=0.8)
    until(tab, playing(1, "source"), "there is nothing else to be heard of it")


def test_the_keyboard_is_enough(tmp_path: Path, tab: Page) -> None:
    tab.open(save(tmp_path / "p.html", preview(*MIXED)))
    key(tab, " ")
    until(tab, playing(1, "heard"))
    key(tab, "ArrowDown")
    until(tab, playing(2, "heard"))
    key(tab, "1")
    until(tab, playing(2, "source"))
    key(tab, "ArrowUp")
    until(tab, playing(1, "source"))
    key(tab, " ")
    until(tab, "audio.paused")
    before = tab.run("audio.currentTime")
    key(tab, "ArrowRight")
    assert tab.run("audio.currentTime") == pytest.approx(before + 0.5, abs=0.02)
    key(tab, "ArrowLeft")
    key(tab, "ArrowDown")
    assert tab.run("document.activeElement.ariaLabel") == "Play the source: prompt Welcome"
    assert tab.run("audio.paused"), "choosing another one while nothing is heard plays nothing"
    # In a field a key is a letter.
    tab.run("by('find').focus()")
    key(tab, " ")
    key(tab, "1")
    assert tab.run("by('find').value") == " 1"
    assert tab.run("audio.paused && kind === 'source'")
    assert tab.complaints == []


def test_all_in_a_row_goes_through_what_is_shown(tmp_path: Path, tab: Page) -> None:
    tab.open(save(tmp_path / "p.html", preview(*MIXED)))
    tab.run(choose("changed", "", "input").replace(".value = ''", ".checked = true"))
    tab.run(choose("version", "rendered"))
    press(tab, "#all")
    until(tab, playing(2, "rendered"), "the blocked one was never rendered")
    tab.run("audio.currentTime = audio.duration - 0.1")
    until(tab, playing(4, "rendered"), "the unchanged one is not shown")
    assert tab.run("by('all').textContent") == "Stop after this one"
    tab.run("audio.currentTime = audio.duration - 0.1")
    until(tab, "audio.ended && by('all').getAttribute('aria-pressed') === 'false'")
    assert tab.run("by('toggle').textContent") == "Play"
    assert tab.complaints == []


def test_filters_and_heads_leave_what_is_looked_for(tmp_path: Path, tab: Page) -> None:
    tab.open(save(tmp_path / "p.html", preview(*MIXED)))
    names = ["Closed", "Welcome", "Goodbye", "Hold on", "Press one"]
    assert tab.run(SHOWN) == names
    for control, shown in (("changed", ["Closed", "Welcome", "Hold on"]), ("look", ["Closed", "Hold on"])):
        press(tab, f"#{control}")
        assert tab.run(SHOWN) == shown
        assert tab.run("by('shown').textContent") == f"{len(shown)} of 5 shown"
        press(tab, f"#{control}")
    tab.run(choose("type", "whisper", "input"))
    assert tab.run(SHOWN) == ["Hold on"]
    tab.run(choose("type", "", "input") + choose("find", "USUAL is", "input"))
    assert tab.run(SHOWN) == ["Hold on"]
    tab.run(choose("find", "nobody", "input"))
    assert tab.run("[by('shown').textContent, by('none').hidden]") == ["0 of 5 shown", False]
    tab.run(choose("find", "", "input"))
    press(tab, "thead th:nth-child(4) button")
    assert tab.run(SHOWN) == [*names[1:], "Closed"], "by the level before"
    press(tab, "thead th:nth-child(4) button")
    assert tab.run(SHOWN) == [*reversed(names[1:]), "Closed"], "the one without a level stays last"
    press(tab, "thead th:nth-child(1) button")
    assert tab.run(SHOWN) == sorted(names)
    assert tab.run("document.querySelectorAll('thead th[aria-sort]').length") == 1
    assert tab.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_looks_like_what_it_says(tmp_path: Path, tab: Page, scheme: str) -> None:
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    tab.open(save(tmp_path / "p.html", preview(*MIXED, evenness=draw_evenness([-30, -20], [-22, -22]))))
    colours = {"light": ((104, 120, 140), (11, 122, 117)), "dark": ((147, 164, 184), (63, 193, 184))}[scheme]
    shot = picture(tab, "#prompt-2 .wave")
    height, width = shot.shape[:2]
    for colour, rows in zip(colours, (slice(0, height // 2), slice(height // 2, height)), strict=True):
        seen = coloured(shot[rows], colour)
        assert 0.1 < seen.mean() < 0.9, "a waveform fills a part of its half"
        assert len(set(seen.sum(axis=0).tolist())) > 5, "and is not as high everywhere"
    # What was cut off its beginning has nothing below it.
    assert not coloured(shot[height // 2 :, : round(width * 0.2 / LENGTH) - 2], colours[1]).any()
    blocked = picture(tab, "#prompt-1 .wave")
    assert coloured(blocked, colours[0]).any()
    assert not coloured(blocked, colours[1]).any()
    ground = picture(tab, "h1")[0, -1]
    assert (ground.mean() > 200) == (scheme == "light")
    for side, colour in zip((".w-source", ".w-rendered"), colours, strict=True):
        assert coloured(picture(tab, f"figure {side}"), colour).any()
    assert tab.run("document.documentElement.scrollWidth <= innerWidth")


def test_names_run_no_script_and_one_that_came_in_would_not_run(tmp_path: Path, tab: Page) -> None:
    path = save(tmp_path / "p.html", preview(card(1, EVIL), card(2, "'\"><svg onload=bad()>"), notes=(EVIL,)))
    tab.open(path)
    assert tab.run(SHOWN) == [EVIL, "'\"><svg onload=bad()>"]
    assert tab.complaints == []
    text = path.read_text()
    broken = tmp_path / "broken.html"
    for bad in ("<script>document.title = 'bad'</script>", '<img src="https://host.invalid/x.png">',
                "<svg onload=\"document.title = 'bad'\">"):  # fmt: skip
        broken.write_text(text.replace("<h1>", f"{bad}<h1>"))
        tab.complaints.clear()
        tab.open(broken)
        assert any("violates" in one for one in tab.complaints), bad
        assert tab.run("document.title") == "Prompt preview: prompts.csv"


def test_hundreds_do_not_make_it_slow(tmp_path: Path, tab: Page) -> None:
    path = save(tmp_path / "p.html", preview(*(card(number) for number in range(1, 569))))
    tab.open(path)
    assert len(tab.run(SHOWN)) == 568
    timed = (
        "(() => {{ const at = performance.now(); {}; document.body.offsetHeight;"
        "return performance.now() - at }})()"
    )
    # Each takes a few hundredths of a second; a busy machine may take its time.
    for work in ("by('find').value = 'name-5'; filter()", "heads[4].querySelector('button').click()"):
        assert tab.run(timed.format(work)) < 2_000, work
    assert tab.run("(by('find').value = '', filter(), rows.length)") == 568
    press(tab, "#prompt-568 .heard")
    until(tab, playing(568, "heard"))
