"""Cells that spreadsheets would run: never as they are, and always back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.manifest.formulas import neutralise, restore

ODD = st.text(st.sampled_from("'=+-@\t\r\na ")) | st.text()


@given(ODD)
def test_every_cell_comes_back(cell: str) -> None:
    assert restore(neutralise(cell)) == cell


@given(ODD)
def test_no_cell_goes_out_that_a_spreadsheet_would_run(cell: str) -> None:
    assert not neutralise(cell).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("+18015550123", "'+18015550123"),
        ("'+18015550123", "''+18015550123"),
        ("\t=1", "'\t=1"),
        ("O'Neil", "O'Neil"),
        ("'s-Hertogenbosch", "'s-Hertogenbosch"),
        ("", ""),
    ],
)
def test_only_what_might_be_a_formula_is_changed(cell: str, safe: str) -> None:
    assert neutralise(cell) == safe
