from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.outline import BUCKETS, Outline


def test_a_short_signal_is_drawn_bucket_by_bucket() -> None:
    outline = Outline(2, 1000, bucket=10, full_scale=1.0)
    left = np.repeat([0.0, 0.5, 1.0], 10)
    outline.feed(np.stack([left, -left]).astype(np.float32))
    drawn = outline.envelope()
    assert drawn.bucket_s == 0.01
    assert drawn.high == ((0, 64, 127), (0, -64, -127))
    assert drawn.low == ((0, 64, 127), (0, -64, -127))


def test_what_is_louder_than_full_scale_is_drawn_at_its_edge() -> None:
    outline = Outline(1, 1000, bucket=10, full_scale=1.0)
    outline.feed(np.array([[3.0] * 5 + [-3.0] * 5], dtype=np.float32))
    assert outline.envelope().high == ((127,),)
    assert outline.envelope().low == ((-127,),)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9_000), st.sampled_from([1, 3, 50, 1000]), st.integers(0, 2**16))
def test_no_peak_is_lost_and_none_moves_by_more_than_a_bucket(buckets: int, feed: int, seed: int) -> None:
    bucket, rate = 2, 1000
    rng = np.random.default_rng(seed)
    signal = np.zeros((1, buckets * bucket - int(rng.integers(0, 2))), dtype=np.float32)
    at = int(rng.integers(0, signal.shape[1]))
    signal[0, at] = 1.0
    outline = Outline(1, rate, bucket=bucket, full_scale=1.0)
    step = feed * bucket
    for start in range(0, signal.shape[1], step):
        outline.feed(signal[:, start : start + step])
    drawn = outline.envelope()
    assert len(drawn.high[0]) == len(drawn.low[0]) <= BUCKETS + 1
    assert drawn.high[0].count(127) == 1
    place = round(drawn.high[0].index(127) * drawn.bucket_s * rate)
    assert place <= at < place + round(drawn.bucket_s * rate)
    assert len(drawn.high[0]) * drawn.bucket_s == pytest.approx(
        signal.shape[1] / rate, abs=drawn.bucket_s + 1e-9
    )
