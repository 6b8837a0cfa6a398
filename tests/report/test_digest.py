"""What is gathered for a page while recordings go by: all are counted, few are kept."""

from __future__ import annotations

import pytest

from mediapipe.audio.facts import Finding, Level
from mediapipe.items import Outcome, Verdict
from mediapipe.report import digest as digest_module
from mediapipe.report.digest import EACH, MOST_EXHIBITS, AudioDigest
from tests.facts import facts

WARN = Finding("clipping", "clipped", channel=0)
BLOCK = Finding("partial", "cut", Level.BLOCK)


def outcome(row: int, verdict: Verdict = Verdict.DONE, reason: str = "as_is") -> Outcome:
    return Outcome(f"k{row}", verdict, reason, row=row)


def plots(digest: AudioDigest) -> dict[str, dict[str, int]]:
    return {plot.title: {box.label: box.count for box in plot.boxes if box.count} for plot in digest.plots()}


def test_plots_count_every_recording() -> None:
    digest = AudioDigest()
    digest.add(outcome(1), facts(45.0, 2), [WARN, WARN])
    digest.add(outcome(2), facts(45.0, 1, codec="pcm_alaw"))
    digest.add(outcome(3, Verdict.REJECTED, "not_audio"), None, [Finding("not_audio", "no", Level.BLOCK)])
    digest.add(outcome(4, Verdict.PENDING, "unchecked"), None)
    found = plots(digest)
    assert found["What becomes of them"] == {"as_is": 2, "rejected": 1, "pending": 1}
    assert found["Faults"] == {"clipping": 1, "not_audio": 1}
    assert found["Length"] == {"30 s to 1 min": 2}
    assert found["Size"] == {"1 MB to 3 MB": 1, "300 kB to 1 MB": 1}
    assert found["Format"] == {"wav pcm_s16le": 1, "wav pcm_alaw": 1}
    assert found["Sampling rate and channels"] == {"8 kHz stereo": 1, "8 kHz mono": 1}
    assert found["Level of speech (dBFS)"] == {"-20 to -15": 2}
    assert digest.seconds == 90.0


def test_of_nothing_there_are_no_plots() -> None:
    assert AudioDigest().plots() == []


def test_only_faulty_recordings_are_exhibits_the_refused_ones_first() -> None:
    digest = AudioDigest()
    digest.add(outcome(1), facts())
    digest.add(outcome(2), facts(), [WARN])
    digest.add(outcome(3, Verdict.REJECTED, "partial"), facts(), [BLOCK, WARN])
    digest.add(outcome(4, Verdict.REJECTED, "decode_failed"), None, [BLOCK])
    first, second, third = digest.exhibits()
    assert [one.outcome.row for one in (first, second, third)] == [3, 4, 2]
    assert first.anchor == "row-3"
    assert first.picture is not None
    assert first.sound == "wav pcm_s16le, 8 kHz stereo"
    assert first.figures[0].startswith("1 left: speech at -18 dB, peak -1.0 dB, 20% silence")
    assert "loudness -19.5 LUFS, bandwidth 3,400 Hz, what the channels do not share at -2 dB" in first.figures
    assert (second.picture, second.sound, second.figures) == (None, "", ())
    assert digest.faulty == 3


def test_exhibits_are_bounded_and_a_frequent_fault_leaves_room_for_the_rare_and_the_serious(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(digest_module, "draw", lambda *_: None)
    digest = AudioDigest()
    rare = Finding("tone_only", "a tone")
    for row in range(1, 3 * MOST_EXHIBITS):
        digest.add(outcome(row), facts(), [WARN])
    digest.add(outcome(5_000), facts(), [WARN, rare])
    for row in range(9_000, 9_000 + 2 * EACH):
        digest.add(outcome(row, Verdict.REJECTED, "partial"), facts(), [BLOCK])
    rows = [one.outcome.row for one in digest.exhibits()]
    assert len(rows) == MOST_EXHIBITS
    assert rows[: 2 * EACH] == list(range(9_000, 9_000 + 2 * EACH)), "refused ones first"
    assert rows[2 * EACH :] == [*range(1, MOST_EXHIBITS - 2 * EACH), 5_000]
    assert digest.faulty == 3 * MOST_EXHIBITS - 1 + 1 + 2 * EACH


def test_what_is_kept_of_a_recording_does_not_hold_its_envelope() -> None:
    digest = AudioDigest()
    digest.add(outcome(1), facts(), [WARN])
    (exhibit,) = digest.exhibits()
    assert "Envelope" not in repr(exhibit)
