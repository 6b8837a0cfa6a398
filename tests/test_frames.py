"""Values over a socket, however its bytes come."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.frames import Frames, packed, read_frame

values = st.recursive(st.none() | st.integers() | st.text() | st.binary(max_size=500), st.lists, max_leaves=6)


@given(st.lists(values, max_size=6), st.integers(1, 700))
def test_values_arrive_whole_and_in_order_in_any_pieces(sent: list[Any], size: int) -> None:
    text = b"".join(map(packed, sent))
    frames, heard = Frames(), list[Any]()
    for at in range(0, len(text), size):
        heard.extend(frames.feed(text[at : at + size]))
    assert heard == sent
    file = io.BytesIO(text)
    assert [read_frame(file) for _ in sent] == sent


@given(values)
def test_an_end_in_the_middle_is_an_end(value: Any) -> None:
    text = packed(value)
    for end in {0, 1, 4, len(text) - 1}:
        with pytest.raises(EOFError):
            read_frame(io.BytesIO(text[:end]))
        assert list(Frames().feed(text[:end])) == []
