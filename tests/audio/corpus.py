"""The corpus: every lie and nasty input that is known, as files on disk, each with its verdict.

Files are made when they are first asked for, once for all test processes of a session, in a folder that
pytest removes. Import the fixture ``corpus``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.audio import cases_broken, cases_coded, cases_quality, cases_wav
from tests.audio.case import Case
from tests.audio.sources import debian

CASES: dict[str, Case] = {
    case.name: case
    for case in (*cases_wav.CASES, *cases_coded.CASES, *cases_quality.CASES, *cases_broken.CASES)
}
PASSING = [name for name, case in CASES.items() if case.passes]
REFUSED = [name for name, case in CASES.items() if not case.passes]

ROWS_OF_LIES = (
    "size 0", "size 0xFFFFFFFF", "cut in half", "header only", "CBR mp3 cut", "VBR mp3", "two mp3s", "vbri",
    "GSM 6.10", "MP3-in-WAV", "ADPCM and G.72x", "dialects", "ID3v2 in front", "RF64 and RIFX",
    "data before fmt", "two data chunks", "m4a named mp3", "mp4 without audio", "HTML and JSON", "wrong rate",
)  # fmt: skip
"""What is known to lie: each has at least one case (``4a: …`` in its notes)."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where the files of this session stand."""

    folder: Path

    def path(self, name: str) -> Path:
        """Return the file of a case; it is made now if it was not yet. Skips what lacks a tool."""
        case = CASES[name]
        for tool in case.needs:
            debian(tool)
        home = self.folder / name
        with FileLock(self.folder / f"{name}.lock"):
            if not (home / ".made").exists():
                home.mkdir(exist_ok=True)
                case.make(home / case.file)
                (home / ".made").touch()
        return home / case.file


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The corpus of this session, shared by all test processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "corpus"
    folder.mkdir(exist_ok=True)
    return Corpus(folder)
