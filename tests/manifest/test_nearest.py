"""The name somebody meant, and what looking for it costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.manifest import nearest
from mediapipe.manifest.nearest import Names, canonical


@given(st.text())
def test_the_canonical_form_is_one_form(name: str) -> None:
    once = canonical(name)
    assert canonical(f" {name}\t") == once
    assert canonical(name.strip().casefold()) == canonical(canonical(name).casefold())


def test_a_folder_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    names = Names()
    first = names.of(str(tmp_path))
    assert (first.match("A.WAV"), first.match("b.wav"), first.match("a.wav")) == ("a.wav", None, "a.wav")
    (tmp_path / "b.wav").touch()
    assert names.of(str(tmp_path)) is first
    assert first.match("b.wav") == "b.wav", "the name itself is looked for on the disk"
    assert first.match("B.wav") is None


def test_only_the_folders_used_last_are_kept(tmp_path: Path) -> None:
    names = Names()
    folders = [tmp_path / str(number) for number in range(20)]
    for folder in folders:
        folder.mkdir()
    kept = [names.of(str(folder)) for folder in folders]
    assert names.of(str(folders[-1])) is kept[-1]
    assert names.of(str(folders[0])) is not kept[0]


def test_a_folder_that_cannot_be_read_has_no_names(tmp_path: Path) -> None:
    folder = Names().of(str(tmp_path / "none"))
    assert (folder.match("x"), folder.close("x")) == (None, None)


def test_of_a_very_large_folder_only_so_many_names_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        (tmp_path / f"{number}.wav").touch()
    monkeypatch.setattr(nearest, "_NAMES", 10)
    folder = Names().of(str(tmp_path))
    assert len(folder.names) == 10
    assert all(folder.match(f"{number}.wav") for number in range(30))
