"""``prompts preview`` as people and scripts use it: no login, beside a lock file; pages and exit codes."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from mediapipe.jobs.preview_prompts import JOB
from mediapipe.report.preview_page import MARK
from tests.audio.sources import honest, silence, voice
from tests.cli.command import Command
from tests.manifests import manifest


def fill(folder: Path, *names: str) -> Path:
    """Write so many prompts and a manifest of them."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number, name in enumerate(names):
        (folder / f"{name}.wav").write_bytes(honest(voice(1.0 + number / 10, seed=number + 1)))
        rows.append({"file": f"{name}.wav", "type": "prompt", "name": name})
    return manifest(folder / "prompts.csv", *rows)


def cards(page: Path) -> dict[str, str]:
    """Return what a page says of each prompt: blocked, or what became of it."""
    text = page.read_text()
    return dict(
        re.findall(r'<span class="name">([^<]*)</span>.*?<span class="badge">([^<]*)<', text, re.DOTALL)
    )


def test_a_page_is_made_without_account_and_network(bare: Command) -> None:
    fill(bare.folder, "a", "b")
    ended = bare.run("prompts", "preview", "prompts.csv")
    assert ended.code == 0
    assert ended.out.startswith("preview.html\n2 prompts, ")
    assert "2 new" in ended.out.splitlines()[1]
    assert "Traceback" not in ended.err
    page = bare.folder / "preview.html"
    assert MARK in page.read_bytes()[:500]
    assert cards(page) == {"a": "new", "b": "new"}
    assert "Nothing was deployed yet." in page.read_text()
    assert not (bare.folder / "prompts.lock.json").exists()
    assert {one.name for one in bare.state.iterdir()} == {"runs"}, "no ledger, no store of releases"


def test_what_cannot_be_sent_gives_exit_code_3_and_a_page_all_the_same(bare: Command) -> None:
    fill(bare.folder, "a", "b")
    (bare.folder / "b.wav").write_bytes(honest(silence(1.0)))
    ended = bare.inside("prompts", "preview", "prompts.csv", "--out", "p.html", "--json")
    assert ended.code == 3
    report = ended.report
    assert (report["job"], report["page"], report["shown"], report["exit_code"]) == (JOB, "p.html", 2, 3)
    assert report["page_bytes"] == (bare.folder / "p.html").stat().st_size
    assert ended.counts == {"pending": 1, "rejected": 1}
    assert {name: number for name, number in report["prompts"].items() if number} == {"blocked": 1, "new": 1}
    assert list(cards(bare.folder / "p.html").items()) == [("b", "blocked"), ("a", "new")]


def test_languages_flags_and_profiles_count_as_for_a_plan(bare: Command) -> None:
    fill(bare.folder / "audio", "a")
    path = manifest(bare.folder / "m.csv", {"file": "a.wav", "type": "prompt", "name": "a"})
    args = ("prompts", "preview", path, "--root", bare.folder / "audio", "--json")
    ended = bare.inside(*args, "--require-languages", "en", "--rendering", "wideband")
    assert ended.code == 3
    assert ended.report["missing_languages"] == {"prompt/a": ["en"]}
    assert "prompt · wideband" in (bare.folder / "preview.html").read_text()
    ended = bare.inside(*args, "--as-is")
    assert ended.code == 0
    assert not re.search(r'id="audio-1-rendered"', (bare.folder / "preview.html").read_text())


@pytest.mark.parametrize("flag", [("--out", "prompts.csv"), ("--out", "none/p.html"), ("--out", ".")])
def test_a_page_without_a_place_is_refused_at_once(bare: Command, flag: tuple[str, str]) -> None:
    path = fill(bare.folder, "a")
    before = path.read_bytes()
    bare.inside("prompts", "preview", "prompts.csv", *flag).refused(f"--out {flag[1]}: ")
    assert path.read_bytes() == before


def test_it_is_compared_with_what_was_deployed(cli: Command) -> None:
    folder = cli.folder / "library"
    path = fill(folder, "a", "b", "c", "old")
    assert cli.inside("prompts", "apply", path, "--json").code == 0
    (folder / "b.wav").write_bytes(honest(voice(1.5, seed=9)))
    (folder / "old.wav").rename(folder / "called.wav")
    rows = [{"file": f"{name}.wav", "type": "prompt", "name": name} for name in ("a", "b", "called")]
    manifest(path, *rows)
    # From here on there is nobody to log in to.
    alone = Command(cli.folder)
    ended = alone.inside("prompts", "preview", path, "--json")
    assert ended.code == 0, ended.err
    page = cli.folder / "preview.html"
    assert cards(page) == {"a": "new", "b": "new", "called": "new"}, "another account's section"
    known = {name: value for name, value in cli.environ().items() if name in ("CONVIRZA_ACCOUNT",)}
    host = cli.environ()["CONVIRZA_V3_URL"]
    ended = alone.inside(
        "prompts", "preview", path, "--json", "--changed", env={**known, "CONVIRZA_V3_URL": host}
    )
    assert ended.code == 0, ended.err
    assert cards(page) == {"b": "changed audio", "called": "renamed?"}
    assert ended.report["gone"] == ["prompt/c", "prompt/old"]
    assert ended.report["prompts"]["unchanged"] == 1
    text = page.read_text()
    assert "Compared with release 1 of " in text
    assert "the same audio and recipe were called prompt/old" in text
    assert "1 unchanged prompts are left out" in text
    (blob,) = re.findall(r'id="audio-1-source" data-type="audio/wav">([^<]+)<', text)
    assert base64.b64decode(blob)[44:] == (folder / "b.wav").read_bytes()[44:]
