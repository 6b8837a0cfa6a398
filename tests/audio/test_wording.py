from __future__ import annotations

from typing import Any

import pytest

from mediapipe.audio.facts import Finding, Level
from mediapipe.audio.options import AudioOptions
from mediapipe.audio.plan import make_plan
from mediapipe.audio.targets import V2_CALLS, V3_PROMPTS, Recipe, Reject, Target, Transcode
from mediapipe.audio.wording import explain, too_large
from tests.audio.test_plan import HOUR, facts


def said(*given: Any, target: Target = V2_CALLS, limit: int | None = None, **changed: Any) -> str:
    """Return the sentence on a file; settings are the arguments that ``AudioOptions`` knows."""
    chosen = {name: changed.pop(name) for name in list(changed) if name in AudioOptions.model_fields}
    audio = facts(*given, **changed)
    return explain(make_plan(audio, target, AudioOptions(**chosen), limit=limit), audio, target)


def test_what_stays_as_it_is() -> None:
    assert said(seconds=70.0, channels=1) == "sent as it is: wav pcm_s16le 8 kHz mono, 1m10s, 1.1 MB"
    assert said("mp3", "mp3", rate=44_100) == "sent as it is: mp3 44.1 kHz stereo, 1m, 480.0 kB"
    assert said("mp3", "mp3", seconds=10.0).endswith("stereo, 10s, 80.0 kB")
    assert said("opus", "ogg", seconds=0.5, target=V3_PROMPTS).endswith("ogg opus 8 kHz stereo, 0.5s, 4.0 kB")


def test_what_gets_a_clean_container() -> None:
    assert said(seconds=70.0, channels=1, needs=("size_unknown_in_header",)) == (
        "container repaired (size_unknown_in_header), sound unchanged:"
        " wav pcm_s16le 8 kHz mono, 1m10s, 1.1 MB"
    )
    assert said("mp3", "wav") == (
        "moved into mp3, sound unchanged, because mp3 in wav is not taken: wav mp3 8 kHz stereo, 1m, 488.2 kB"
    )


def test_what_is_decoded() -> None:
    assert said("pcm_mulaw", seconds=843.6) == (
        "decoded and written as wav pcm_s16le 8 kHz stereo, because pcm_mulaw in wav is not taken: 27.0 MB"
    )
    assert "because headerless audio is not taken: " in said("pcm_mulaw", "raw")
    assert "because amr is not taken: " in said("amrnb", "amr", channels=1)
    assert said("pcm_s24be", "aiff", bits=24, seconds=1_200.0).endswith(
        "because aiff is not taken and with more than 16 bits it would be over the limit of 50.0 MB: 38.4 MB"
    )


def test_what_somebody_asked_for() -> None:
    plan = Transcode(Recipe("mp3", "mp3", 8_000, 1, 64), ("asked",), 480_000)
    assert explain(plan, facts(), V2_CALLS) == (
        "compressed to mp3 64 kb/s 8 kHz mono, because this was asked for: 480.0 kB"
    )


def test_what_is_compressed() -> None:
    assert said("pcm_mulaw", seconds=3 * HOUR) == (
        "compressed to mp3 32 kb/s 8 kHz stereo, because pcm_mulaw in wav is not taken and as wav it would be"
        " 345.6 MB and the limit is 50.0 MB: 43.2 MB"
    )
    assert said(seconds=3 * HOUR) == (
        "compressed to mp3 32 kb/s 8 kHz stereo, because it is 345.6 MB and the limit is 50.0 MB: 43.2 MB"
    )
    odd = said(seconds=4 * HOUR, rate=9_600, downmix=True)
    assert odd.startswith("compressed to mp3 24 kb/s 11.025 kHz mono, because it is 553.0 MB and ")
    assert odd.endswith("downmix lets all parties share a channel and mp3 has no 9.6 kHz: 43.2 MB")


def test_what_is_split() -> None:
    assert said(seconds=HOUR, when_too_large="split") == (
        "split into 3 parts of 20m, wav pcm_s16le 8 kHz stereo,"
        " because it is 115.2 MB and the limit is 50.0 MB: 115.2 MB together"
    )


def test_the_limit_that_is_named_is_the_one_of_the_plan() -> None:
    assert "the limit is 20.0 MB" in said(seconds=HOUR, max_upload_bytes=20_000_000)
    assert "the limit is 30.0 MB" in said(seconds=HOUR, limit=30_000_000)


def test_sizes_that_look_alike_are_told_to_the_byte() -> None:
    audio = facts()
    assert "it is 1,920,044 bytes and the limit is 1,920,043 bytes" in said(limit=audio.size - 1)


def test_a_refusal_says_everything_on_one_line() -> None:
    audio = facts()
    problems = tuple(Finding("x", text, Level.BLOCK) for text in ("first\nthing", "second\tthing"))
    assert explain(Reject(problems), audio, V2_CALLS) == "refused: first thing; second thing"


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        (
            {"seconds": 14 * HOUR},
            ("it is 1.6 GB and the limit is 50.0 MB", "14h stereo takes 50.4 MB at 8 kb/s", "52.0 MB for it",
             'set when_too_large = "split", or raise max_upload_bytes'),
        ),
        (
            {"seconds": 4 * HOUR, "rate": 48_000},
            ("4h stereo takes 57.6 MB at 32 kb/s",),
        ),
        (
            {"seconds": HOUR, "min_bitrate": 128},
            ("mp3 of 8 kHz has 64 kb/s at most, and min_bitrate is 128", "or lower min_bitrate"),
        ),
        (
            {"seconds": HOUR, "when_too_large": "reject"},
            ('set when_too_large = "split", or set when_too_large = "compress", or raise max_upload_bytes',),
        ),
        (
            {"seconds": HOUR, "when_too_large": "split", "max_upload_bytes": 5_000},
            ("it is 115.2 MB and the limit is 5.0 kB", "for it: raise max_upload_bytes"),
        ),
        (
            {"seconds": HOUR, "channels": 6},
            ("mp3 cannot hold 6 channels: set downmix = true to mix them into one, or ", '"split", or raise'),
        ),
    ],
)  # fmt: skip
def test_a_refusal_has_the_sums_and_the_ways_out(changed: dict[str, Any], parts: tuple[str, ...]) -> None:
    sentence = said(**changed)
    assert sentence.startswith("refused: ")
    for part in parts:
        assert part in sentence


def test_a_limit_that_is_not_the_settings_own_is_not_laid_at_their_door() -> None:
    message = too_large(facts(seconds=HOUR), V2_CALLS, AudioOptions(), 1_000)
    assert message.endswith("or raise the limit")
    rendered = too_large(facts(seconds=HOUR), V2_CALLS, AudioOptions(), 1_000_000, 1_100_000)
    assert rendered.startswith("rendered it came to 1.1 MB and the limit is 1.0 MB, and nothing smaller")


def test_a_wav_beyond_riff_is_held_against_riff() -> None:
    sentence = said("pcm_mulaw", seconds=40 * HOUR, limit=10**11)
    assert "as wav it would be 4.6 GB and the limit is 4.3 GB" in sentence
