"""The example: every column is explained in it, and a manifest reader takes it as it is."""

from __future__ import annotations

from pathlib import Path

from mediapipe.manifest.columns import KNOWN, REQUIRED
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.roots import Root
from mediapipe.manifest.template import COLUMNS, EXAMPLES, template


def test_every_column_is_explained_once() -> None:
    assert COLUMNS.keys() == KNOWN
    comments = [line for line in template().splitlines() if line.startswith("#")]
    for name, text in COLUMNS.items():
        assert sum(line.startswith(f"# {name} ") for line in comments) == bool(text)
        assert bool(text) or name.startswith("custom_source_type_"), name
    assert {name for name, text in COLUMNS.items() if text.startswith("NEEDED")} == {*REQUIRED, "group_id"}


def test_it_is_a_manifest_whose_rows_pass(tmp_path: Path) -> None:
    for row in EXAMPLES:
        if "recording_file" in row:
            audio = tmp_path / row["recording_file"]
            audio.parent.mkdir(parents=True, exist_ok=True)
            audio.touch()
    path = tmp_path / "m.csv"
    path.write_text(template() + "\n", encoding="utf-8")
    manifest = CallManifest.open(path)
    assert manifest.header.warnings == ()
    rows = list(manifest.rows(Root(tmp_path)))
    assert [(row.external_id, row.problems, row.warnings) for row in rows] == [
        ("call-0001", (), ()),
        ("call-0002", (), ()),
    ]
    assert (rows[0].file, rows[0].fields["zip_code"]) == (str(tmp_path / "2026/02/call-0001.wav"), "02134")
    assert rows[1].remote.startswith("https://")


def test_a_spreadsheet_that_saved_it_again_does_no_harm(tmp_path: Path) -> None:
    """Excel fills every line up to the same width and quotes what holds its separator."""
    lines = template().splitlines()
    saved = [
        '"{}"{}'.format(line.replace('"', '""'), ";" * 10) if line.startswith("#") else line.replace(",", ";")
        for line in lines
    ]
    path = tmp_path / "m.csv"
    path.write_bytes("\r\n".join(saved).encode("cp1252"))
    manifest = CallManifest.open(path)
    assert manifest.header.names == CallManifest.open(_plain(tmp_path)).header.names
    assert manifest.header.line == len(lines) - len(EXAMPLES)


def _plain(folder: Path) -> Path:
    path = folder / "plain.csv"
    path.write_text(template(), encoding="utf-8")
    return path
