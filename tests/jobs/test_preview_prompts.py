"""``prompts preview`` as a job: real sounds, real worker processes, and what a page is made of."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import signal
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from mediapipe.audio.facts import AudioFacts
from mediapipe.audio.options import AudioOptions
from mediapipe.audio.probe import probe
from mediapipe.audio.requests import ProbeRequest
from mediapipe.audio.targets import V3_PROMPTS
from mediapipe.audio.workers import AudioWorkers
from mediapipe.errors import UsageError
from mediapipe.items import Outcome, Verdict
from mediapipe.jobs.preview_prompts import Ask, Previewed, preview_prompts
from mediapipe.library.lockfile import Entry
from mediapipe.library.plan import Choices
from mediapipe.library.preparing import Wishes
from mediapipe.library.preview import Base
from mediapipe.library.studio import Studio
from mediapipe.manifest.prompts import read_prompts
from mediapipe.manifest.roots import Root
from mediapipe.prompt_services import profiles_for
from tests.audio.sources import encode, honest, silence, voice

Rows = list[dict[str, str]]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with sounds: three voices, one of them an Ogg, one of them soft, and nothing at all."""
    for number in (1, 2):
        (tmp_path / f"{number}.wav").write_bytes(honest(voice(1.0 + number / 10, seed=number)))
    (tmp_path / "soft.wav").write_bytes(honest(voice(1.5, seed=3) * 0.05))
    (tmp_path / "nothing.wav").write_bytes(honest(silence(1.0)))
    encode(tmp_path / "4.ogg", tmp_path / "2.wav", "-c:a", "libvorbis")
    return tmp_path


def row(file: str, name: str, **more: str) -> dict[str, str]:
    return {"file": file, "type": "prompt", "name": name, "language": "", "profile": "", **more}


ROWS = [
    row("1.wav", "One"),
    row("2.wav", "Two"),
    row("soft.wav", "Soft", language="en"),
    row("4.ogg", "Raw", profile="as-is"),
    row("nothing.wav", "Nothing"),
    row("gone.wav", "Gone"),
    row("1.wav", "Odd", profile="none-of-ours"),
]


def wishes(folder: Path, rows: Rows, **more: object) -> Wishes:
    path = folder / "prompts.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    read = read_prompts(path, Root(folder))
    return Wishes(read, profiles_for(path).find, "telephony", Choices(), **more)  # type: ignore[arg-type]


def previewed(ask: Ask, folder: Path, told: list[Outcome] | None = None, **more: bool) -> Previewed:
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    studio = Studio(AudioWorkers(AudioOptions()), V3_PROMPTS, scratch, 4)
    outcomes = told if told is not None else []

    async def work() -> Previewed:
        return await preview_prompts(studio, ask, sink=outcomes.append, **more)  # type: ignore[arg-type]

    return anyio.run(work)


def sounds(page: Path) -> dict[str, bytes]:
    """Return what is to be heard of a page, by the name of its block."""
    found = re.findall(r'id="audio-([a-z0-9-]+)" data-type="[a-z/]+">([^<]*)<', page.read_text())
    return {name: base64.b64decode(text) for name, text in found}


def names(page: Path) -> list[str]:
    return re.findall(r'<span class="name">([^<]*)<', page.read_text())


def heard(data: bytes) -> AudioFacts:
    return probe(ProbeRequest(Path("x.wav")), stream=io.BytesIO(data))


def entry(path: Path, recipe: str, **more: bool) -> Entry:
    return Entry("1", hashlib.sha256(path.read_bytes()).hexdigest(), recipe, "", 0, "wav", **more)


def test_everything_is_on_the_page_and_what_cannot_be_sent_first(here: Path) -> None:
    told: list[Outcome] = []
    ask = Ask(wishes(here, ROWS), here / "p.html", Base())
    done = previewed(ask, here, told)
    assert (done.exit_code, done.written, done.shown) == (3, True, 5)
    assert done.counts == {
        "blocked": 3, "new": 4, "changed audio": 0, "changed recipe": 0, "changed audio and recipe": 0,
        "renamed?": 0, "unchanged": 0,
    }  # fmt: skip
    assert [(one.key, one.verdict.value, one.reason) for one in told] == [
        ("prompt/Gone", "rejected", "no_such_file"),
        ("prompt/Odd", "rejected", "bad_profile"),
        ("prompt/One", "pending", "new"),
        ("prompt/Two", "pending", "new"),
        ("prompt/Soft-en", "pending", "new"),
        ("prompt/Raw", "pending", "new"),
        ("prompt/Nothing", "rejected", "silent"),
    ]
    assert names(ask.out) == ["Nothing", "One", "Two", "Soft-en", "Raw"]
    text = ask.out.read_text()
    assert "3 cannot be sent" in text
    assert "no such file below" in text
    assert "none-of-ours" in text
    assert '<a href="#prompt-1"><b>prompt/Nothing</b></a>' in text


def test_each_sound_is_what_it_is_called(here: Path) -> None:
    ask = Ask(wishes(here, ROWS), here / "p.html", Base())
    previewed(ask, here)
    found = sounds(ask.out)
    blocked, as_is = {"1-source", "1-heard"}, {"5-source", "5-heard"}
    usual = {f"{number}-{kind}" for number in (2, 3, 4) for kind in ("source", "rendered", "heard")}
    assert set(found) == blocked | as_is | usual
    for name, data in found.items():
        facts = heard(data)
        codec = "pcm_mulaw" if name.endswith("heard") else "pcm_s16le"
        assert (facts.codec, facts.sample_rate, facts.channels) == (codec, 8_000, 1), name
    assert heard(found["2-source"]).seconds == pytest.approx(1.1)
    soft, made = heard(found["4-source"]).quality, heard(found["4-rendered"]).quality
    assert soft is not None
    assert made is not None
    assert soft.channels[0].active_db < -40
    assert made.channels[0].active_db == pytest.approx(-22, abs=1)


def test_changed_leaves_out_what_stands_and_nothing_that_is_blocked(here: Path) -> None:
    asked = wishes(here, [*ROWS[:3], ROWS[4]])
    recipe = asked.profiles("telephony").recipe_hash
    base = Base(
        {
            "prompt/One": entry(here / "1.wav", recipe),
            "prompt/Two": entry(here / "1.wav", recipe),
            "prompt/Soft-en": entry(here / "soft.wav", "another"),
            "prompt/Nothing": entry(here / "nothing.wav", recipe),
            "prompt/Left": entry(here / "1.wav", recipe),
        },
        "Compared with release 1.",
        ("a note",),
    )
    told: list[Outcome] = []
    done = previewed(Ask(asked, here / "p.html", base, changed=True), here, told)
    assert {name: number for name, number in done.counts.items() if number} == {
        "blocked": 1, "changed audio": 1, "changed recipe": 1, "unchanged": 1,
    }  # fmt: skip
    assert [(one.verdict, one.reason) for one in told[:2]] == [
        (Verdict.SKIPPED, "unchanged"),
        (Verdict.PENDING, "changed audio"),
    ]
    assert names(here / "p.html") == ["Nothing", "Two", "Soft-en"]
    assert (done.shown, done.gone, done.notes) == (3, ("prompt/Left",), ["a note"])
    text = (here / "p.html").read_text()
    assert "1 unchanged prompts are left out" in text
    assert "prompt/Left" in text
    small = (here / "p.html").stat().st_size
    previewed(Ask(asked, here / "p.html", base), here)
    assert names(here / "p.html") == ["Nothing", "One", "Two", "Soft-en"]
    assert (here / "p.html").stat().st_size > small + 40_000, "the sound of another one"


def test_missing_languages_are_told_and_count(here: Path) -> None:
    done = previewed(Ask(wishes(here, ROWS[1:3], languages=("en",)), here / "p.html", Base()), here)
    assert done.lacking == {"prompt/Two": ("en",)}
    assert done.exit_code == 3
    assert "1 not there in every language" in (here / "p.html").read_text()
    done = previewed(Ask(wishes(here, ROWS[2:3], languages=("en",)), here / "p.html", Base()), here)
    assert (done.exit_code, done.lacking) == (0, {})


def test_one_that_stands_out_is_marked_with_words(here: Path) -> None:
    rows = [row("soft.wav", "Soft")]
    for number in range(9):
        (here / f"v{number}.wav").write_bytes(honest(voice(2.0, seed=10 + number)))
        rows.append(row(f"v{number}.wav", f"v{number}"))
    ask = Ask(wishes(here, rows), here / "p.html", Base())
    done = previewed(ask, here)
    (said,) = [one for one in done.outliers if ": level" in one]
    assert said.startswith("prompt/Soft: level ")
    assert re.search(r"stands out: level -4\d\.\d, usual is -", ask.out.read_text())


def test_a_place_that_is_taken_stops_it_before_anything_is_rendered(here: Path) -> None:
    taken = here / "index.html"
    taken.write_text("mine")
    told: list[Outcome] = []
    with pytest.raises(UsageError, match="is no preview"):
        previewed(Ask(wishes(here, ROWS), taken, Base()), here, told)
    assert told == []
    assert list((here / "scratch").iterdir()) == []


class _Stopping(list[Outcome]):
    """Sends the signal that stops a run as soon as the first outcome is told."""

    def append(self, outcome: Outcome) -> None:
        super().append(outcome)
        if len(self) == 1:
            signal.raise_signal(signal.SIGTERM)


def test_a_run_that_is_stopped_leaves_the_earlier_page(here: Path) -> None:
    out = here / "p.html"
    previewed(Ask(wishes(here, ROWS[:1]), out, Base()), here)
    before = out.read_bytes()
    rows = [row("1.wav", f"n{number}") for number in range(60)]
    told: Sequence[Outcome] = _Stopping()
    done = previewed(Ask(wishes(here, rows), out, Base()), here, told, signals=True)  # type: ignore[arg-type]
    assert (done.exit_code, done.written) == (130, False)
    assert len(told) < 60
    assert out.read_bytes() == before
    assert not list(here.glob(".p.html*"))
