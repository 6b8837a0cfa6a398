"""Where audio paths start when nobody says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mediapipe.errors import UsageError
from mediapipe.manifest.origin import default_root, root_file, root_text


def test_paths_start_where_the_manifest_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("m.csv", "-", "failed.csv", "sub/../m.csv"):
        assert default_root(Path(name)).resolve() == tmp_path.resolve()
        assert default_root(Path(name)).is_absolute()


@pytest.mark.parametrize("folder", ["calls", "with blank ", "caf\udce9", "line\nbreak"])
def test_failed_rows_know_the_way(tmp_path: Path, folder: str) -> None:
    for name in ("failed.csv", "failed-2.csv", "FAILED.CSV"):
        failed = tmp_path / name
        root_file(failed).write_bytes(root_text(tmp_path / folder))
        assert os.fsencode(default_root(failed)) == os.fsencode(tmp_path / folder)


def test_no_other_manifest_is_sent_elsewhere_by_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "m.csv.root").write_text("/\n")
    assert default_root(tmp_path / "m.csv") == tmp_path


@pytest.mark.parametrize("said", [b"", b"relative\n", b"/a\0b"])
def test_a_way_that_leads_nowhere_is_said(tmp_path: Path, said: bytes) -> None:
    (tmp_path / "failed.csv.root").write_bytes(said)
    with pytest.raises(UsageError, match=r"failed\.csv\.root names no folder \(say with --root"):
        default_root(tmp_path / "failed.csv")


def test_a_way_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "failed.csv.root").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        default_root(tmp_path / "failed.csv")
