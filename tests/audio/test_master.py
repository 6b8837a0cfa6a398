from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mediapipe.audio.facts import Level
from mediapipe.audio.master import master
from mediapipe.audio.mastering import Mastered, MasterRequest, output_name
from mediapipe.audio.probe import probe
from mediapipe.audio.rendering import parse_rendering_profile
from mediapipe.audio.requests import ProbeRequest
from mediapipe.audio.targets import V2_PROMPTS, V3_PROMPTS
from mediapipe.errors import Failed, Rejected
from tests.audio.peaks import true_peak
from tests.audio.sources import (
    STATIC,
    astats,
    debian,
    decode,
    ebur128,
    encode,
    honest,
    prompts,
    run,
    silence,
    tone,
    voice,
)

SPEECH = np.hstack([silence(0.5), voice(2.0), silence(0.8)])


def asked(source: Path, text: str = "", **other: object) -> MasterRequest:
    profile = parse_rendering_profile(text, "here")
    path = source.parent / output_name("out", profile)
    return replace(MasterRequest(ProbeRequest(source), profile, V2_PROMPTS, path), **other)  # type: ignore[arg-type]


def wav(folder: Path, sound: np.ndarray, rate: int = 8000) -> Path:
    path = folder / "source.wav"
    path.write_bytes(honest(sound, rate))
    return path


def samples(path: Path) -> np.ndarray:
    """What ffmpeg decodes of a mono file."""
    raw = run(STATIC, "-v", "error", "-i", path, "-f", "f64le", "-")
    return np.frombuffer(raw, np.float64)


def codes(done: Mastered) -> list[str]:
    assert all(one.level is Level.BLOCK for one in done.blocked)
    return [one.code for one in done.blocked]


def test_a_prompt_is_levelled_trimmed_and_written(tmp_path: Path) -> None:
    source = wav(tmp_path, SPEECH * 0.2)
    before = source.read_bytes()
    done = master(asked(source))
    assert (done.blocked, source.read_bytes()) == ((), before)
    assert done.output is not None
    assert done.figures is not None
    facts, figures = done.output.facts, done.figures
    assert done.output.path == tmp_path / "out.wav"
    assert facts == done.made == probe(ProbeRequest(done.output.path))
    assert (facts.container, facts.codec, facts.sample_rate, facts.channels) == ("wav", "pcm_s16le", 8000, 1)
    assert figures.active_db == pytest.approx(-22, abs=0.1)
    assert figures.gain_db == pytest.approx(figures.active_db - figures.active_db_before, abs=0.4)
    assert figures.limited_db == 0
    assert figures.head_cut_s == pytest.approx(
        0.5, abs=0.03
    )  # the voice begins a little later, and 50 ms stay
    assert figures.tail_cut_s >= 0.65  # and ends with a pause of its own
    assert facts.seconds == pytest.approx(3.3 - figures.head_cut_s - figures.tail_cut_s, abs=0.001)
    assert figures.true_peak_db == pytest.approx(true_peak(samples(done.output.path)), abs=0.02)
    assert figures.loudness_lufs == pytest.approx(ebur128(done.output.path), abs=0.4)
    assert figures.pace is not None
    judged = decode(done.output.path)
    assert judged is not None
    assert judged.samples == facts.samples
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out.wav", "source.wav"]


def test_judging_only_keeps_nothing_and_tells_the_same(tmp_path: Path) -> None:
    source = wav(tmp_path, SPEECH)
    kept, judged = master(asked(source, envelope=True)), master(asked(source, path=None, envelope=True))
    assert judged.output is None
    assert judged.made == kept.made
    assert judged.figures == kept.figures
    assert kept.made is not None
    assert kept.made.quality is not None
    assert kept.made.quality.envelope is not None
    assert kept.source.quality is not None
    assert kept.source.quality.envelope is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[output]\nsample_rate = 16000",
        "[output]\ncontainer = 'mp3'\nbitrate = 32",
        "[output]\nchannels = 2",
    ],
)
def test_the_same_source_and_recipe_make_the_same_bytes(tmp_path: Path, text: str) -> None:
    source = wav(tmp_path, voice(2.0, 44_100) * 3, 44_100)
    text = f"{text}\n[level]\nactive_db = -16\n[quality]\nclipping = 'pass'"
    one = master(asked(source, text))
    assert one.output is not None, one.blocked
    first = one.output.path.read_bytes()
    again = master(asked(source.rename(tmp_path / "named.otherwise"), text))
    assert again.output is not None
    assert again.output.path.read_bytes() == first
    assert again.made == one.made


@pytest.mark.parametrize("rate", [8_000, 11_025, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_any_rate_and_number_of_channels_becomes_what_the_profile_says(
    tmp_path: Path, rate: int, channels: int
) -> None:
    source = wav(tmp_path, np.repeat(voice(1.0, rate, widest=0.5), channels, axis=0), rate)
    done = master(asked(source))
    assert done.output is not None, done.blocked
    assert done.output.facts.channels == 1
    assert done.figures is not None
    assert done.figures.active_db == pytest.approx(-22, abs=0.2)


def test_what_is_long_enough_is_levelled_by_loudness_where_that_is_asked_for(tmp_path: Path) -> None:
    text = "[level]\nloudness_lufs = -19"
    long = master(asked(wav(tmp_path, voice(6.0)), text))
    assert long.output is not None
    assert ebur128(long.output.path) == pytest.approx(-19, abs=0.5)
    short = master(asked(wav(tmp_path, voice(2.0)), text))
    assert short.figures is not None
    assert short.figures.active_db == pytest.approx(-22, abs=0.1)


def test_a_zero_line_that_is_off_is_put_right_and_the_level_is_that_of_the_voice(tmp_path: Path) -> None:
    plain = master(asked(wav(tmp_path, SPEECH * 0.3)))
    off = master(asked(wav(tmp_path, SPEECH * 0.3 + 0.11)))
    assert off.output is not None
    assert off.judged == ()
    assert abs(astats(off.output.path)[0].dc) < 1e-3
    assert off.figures is not None
    assert plain.figures is not None
    assert off.figures.gain_db == pytest.approx(plain.figures.gain_db, abs=0.3)
    assert off.figures.head_cut_s == pytest.approx(plain.figures.head_cut_s, abs=0.1)


def test_trimming_can_be_left_out(tmp_path: Path) -> None:
    done = master(asked(wav(tmp_path, SPEECH), "[trim]\nenabled = false"))
    assert done.output is not None
    assert done.output.facts.samples == SPEECH.shape[1]


# ── what is refused ─────────────────────────────────────────────────────────────────────────

SHORT = voice(1.0)[:, 800:1_500]
SQUARE = np.sign(tone(1.0, 200, level=1.0))


@pytest.mark.parametrize(
    ("sound", "code"),
    [
        (silence(1.0), "silent"),
        (silence(1.0) + 0.11, "silent"),  # nothing but a zero line that is off
        (np.full((1, 1), 0.5), "short"),
        (SHORT, "short"),
        (np.clip(voice(3.0) * 12, -1, 1), "clipping"),
        (np.vstack([voice(2.0), -voice(2.0)]), "inverted_phase"),
        (np.vstack([voice(2.0), silence(2.0)]), "dead_channel"),
        (np.hstack([voice(2.0), *[silence(60.0)] * 5]), "too_long"),
    ],
)
def test_what_is_no_prompt_is_blocked_and_nothing_is_written(
    tmp_path: Path, sound: np.ndarray, code: str
) -> None:
    done = master(asked(wav(tmp_path, sound)))
    assert code in codes(done)
    assert (done.output, done.made, done.figures) == (None, None, None)
    assert [one.name for one in tmp_path.iterdir()] == ["source.wav"]


@pytest.mark.parametrize(
    "sound",
    [
        np.full((1, 1), 0.5),
        SHORT[:, :160],
        SHORT,
        tone(0.3, 1_000),
        SQUARE,
        np.ones((1, 400)) * SQUARE[:, :400],
    ],
)
def test_where_the_rules_let_it_pass_even_the_oddest_is_rendered(tmp_path: Path, sound: np.ndarray) -> None:
    text = "[quality]\nshort = 'pass'\nclipping = 'pass'\nsilent = 'pass'"
    done = master(asked(wav(tmp_path, sound), text))
    assert set(codes(done)) <= {"over_limited"}
    if done.output is not None and sound.shape[1] > 100:
        assert done.figures is not None
        assert done.figures.active_db == pytest.approx(-22, abs=1)
        assert true_peak(samples(done.output.path)) <= -2.0
        assert done.output.facts.samples <= sound.shape[1]


def test_silence_that_is_meant_stays_silence_of_the_same_length(tmp_path: Path) -> None:
    done = master(asked(wav(tmp_path, silence(1.5) + 0.05), "[quality]\nsilent = 'pass'"))
    assert done.output is not None
    assert done.output.facts.samples == 12_000
    assert np.abs(samples(done.output.path)).max() <= 0.002


def test_floats_that_are_no_numbers_do_no_harm(tmp_path: Path) -> None:
    sound = voice(2.0)[0].astype("<f4")
    sound[5_000:5_003] = [np.nan, np.inf, -np.inf]
    raw = tmp_path / "raw"
    raw.write_bytes(sound.tobytes())
    source = tmp_path / "source.wav"
    run(STATIC, "-v", "error", "-f", "f32le", "-ar", 8000, "-i", raw, "-c:a", "pcm_f32le", source)
    done = master(asked(source))
    if done.blocked:  # two samples at four times full scale need their limiting
        assert codes(done) == ["over_limited"]
    done = master(asked(source, "[level]\nmax_limiting_db = 24"))
    assert done.output is not None, done.blocked
    assert true_peak(samples(done.output.path)) <= -2.0


def test_a_file_cut_off_on_its_way_is_blocked(tmp_path: Path) -> None:
    source = wav(tmp_path, voice(3.0))
    source.write_bytes(source.read_bytes()[:30_000])
    assert "partial" in codes(master(asked(source)))


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    sound = np.vstack([voice(2.0), -voice(2.0)]) * 12
    done = master(asked(wav(tmp_path, np.clip(sound, -1, 1)), "max_seconds = 1"))
    assert {"clipping", "inverted_phase", "too_long"} <= set(codes(done))
    assert {one.code for one in done.judged} >= {"clipping", "inverted_phase"}


def test_what_cannot_be_decoded_or_read_is_raised(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(bytes(1000))
    with pytest.raises(Rejected):
        master(asked(bad))
    with pytest.raises(Failed) as failed:
        master(asked(tmp_path / "gone.wav"))
    assert failed.value.code == "unreadable"


def test_a_prompt_that_cannot_be_written_fails_and_leaves_nothing(tmp_path: Path) -> None:
    source = wav(tmp_path, SPEECH)
    (tmp_path / "out").mkdir()
    with pytest.raises(Failed) as failed:
        master(asked(source, path=tmp_path / "out"))
    assert failed.value.code == "unwritable"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out", "source.wav"]


def test_an_output_over_the_limit_is_blocked_and_not_kept(tmp_path: Path) -> None:
    tight = replace(V2_PROMPTS, limit=10_000)
    done = master(asked(wav(tmp_path, SPEECH), target=tight))
    assert codes(done) == ["too_large"]
    assert done.figures is not None
    assert done.output is None
    assert [one.name for one in tmp_path.iterdir()] == ["source.wav"]


def test_a_target_that_takes_nothing_of_the_kind_is_said_before_rendering(tmp_path: Path) -> None:
    done = master(
        asked(wav(tmp_path, SPEECH), target=replace(V2_PROMPTS, accepts=(("mp3", frozenset({"mp3"})),)))
    )
    assert codes(done) == ["not_acceptable"]


# ── as it is ────────────────────────────────────────────────────────────────────────────────


def test_as_it_is_nothing_is_made_and_everything_is_measured(tmp_path: Path) -> None:
    done = master(asked(wav(tmp_path, SPEECH), as_is=True))
    assert (done.blocked, done.output, done.made) == ((), None, None)
    assert done.figures is not None
    assert done.figures.gain_db == 0
    assert done.figures.true_peak_db == pytest.approx(true_peak(SPEECH), abs=0.02)
    assert done.figures.pace is not None
    assert [one.name for one in tmp_path.iterdir()] == ["source.wav"]


def test_as_it_is_the_target_must_take_it(tmp_path: Path) -> None:
    source = wav(tmp_path, SPEECH)
    mulaw = encode(tmp_path / "mulaw.wav", source, "-c:a", "pcm_mulaw")
    opus = encode(tmp_path / "a.ogg", source, "-c:a", "libopus")
    assert codes(master(asked(mulaw, as_is=True))) == ["not_acceptable"]
    assert codes(master(asked(opus, as_is=True))) == ["not_acceptable"]
    assert codes(master(asked(opus, as_is=True, target=V3_PROMPTS))) == []
    assert codes(master(asked(source, as_is=True, target=replace(V2_PROMPTS, limit=9_000)))) == ["too_large"]
    assert codes(master(asked(mulaw))) == []  # rendered it is taken


def test_as_it_is_quality_is_judged_all_the_same(tmp_path: Path) -> None:
    assert codes(master(asked(wav(tmp_path, silence(1.0)), as_is=True))) == ["silent"]


def test_as_it_is_a_file_that_needs_mending_is_not_sent(tmp_path: Path) -> None:
    source = wav(tmp_path, SPEECH)
    raw = bytearray(source.read_bytes())
    raw[4:8] = raw[40:44] = b"\xff\xff\xff\xff"  # as a stream writes it
    source.write_bytes(raw)
    assert codes(master(asked(source, as_is=True))) == ["not_acceptable"]
    assert codes(master(asked(source))) == []


# ── real prompts ────────────────────────────────────────────────────────────────────────────


def test_the_silences_of_a_real_set_are_silent() -> None:
    found = sorted((Path(debian("english")) / "silence").glob("*.wav"))
    assert len(found) == 10
    for path in found:
        done = master(MasterRequest(ProbeRequest(path), parse_rendering_profile("", "x"), V2_PROMPTS, None))
        assert codes(done) == ["silent"]


@pytest.mark.parametrize(
    ("language", "suffix"), [("english", "gsm"), ("english", "g722"), ("italian", "alaw")]
)
def test_real_prompts_of_other_formats_are_levelled(language: str, suffix: str) -> None:
    profile = parse_rendering_profile("", "x")
    for path in prompts(language, suffix)[::23]:
        done = master(MasterRequest(ProbeRequest(path), profile, V2_PROMPTS, None))
        assert done.blocked == (), path
        assert done.figures is not None
        assert done.figures.active_db == pytest.approx(-22, abs=1), path
        assert done.made is not None
        assert done.made.seconds <= done.source.seconds
        assert done.made.quality is not None
        assert abs(done.made.quality.channels[0].dc) < 1e-3
