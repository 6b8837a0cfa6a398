"""Every file of the corpus gets its verdict, its true length, and becomes what it must.

The judge is the static ffmpeg of ``imageio-ffmpeg``: a full decode, counted sample by sample, gapless tags
honoured. (Debian's 5.1 leaves the padding at the end of an MP4 in; it only writes what the other cannot.)
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mediapipe.audio.facts import AudioFacts, Finding
from mediapipe.audio.options import AudioOptions, QualityRules
from mediapipe.audio.plan import make_plan
from mediapipe.audio.probe import probe
from mediapipe.audio.render import render
from mediapipe.audio.requests import ProbeRequest, RenderRequest
from mediapipe.audio.rules import judge
from mediapipe.audio.targets import V2_CALLS, AsIs, Reject, Rewrap, Split, Transcode
from mediapipe.errors import ItemError, Rejected
from tests.audio.case import Case
from tests.audio.corpus import CASES, PASSING, REFUSED, ROWS_OF_LIES, Corpus, corpus
from tests.audio.sources import (
    STATIC,
    Sound,
    astats,
    call,
    decode,
    ebur128,
    honest,
    prompts,
    run,
    sox_stats,
)

__all__ = ["corpus"]

SLACK_S = 0.020
OPTIONS = AudioOptions()
JUDGEMENTS = {"pass", "warn", "block"}
ALL_RULES = QualityRules.model_validate(
    {name: "warn" for name, rule in QualityRules.model_fields.items() if rule.default in JUDGEMENTS}
)
"""Every rule speaks: what a default leaves unsaid is judged here too."""
LARGE = {"more_than_50_mb", "an_hour_of_stereo_mulaw", "flac_of_hours_of_nothing"}
ALAW = ("-f", "alaw", "-ar", "8000")


@cache
def facts_of(path: Path, raw_format: str | None) -> AudioFacts:
    return probe(ProbeRequest(path, raw_format=raw_format))


def looked_at(corpus: Corpus, name: str) -> tuple[Case, Path, AudioFacts]:
    case, path = CASES[name], corpus.path(name)
    return case, path, facts_of(path, case.raw_format)


def codes(findings: tuple[Finding, ...]) -> set[str]:
    return {one.code for one in findings}


def unfit(said: set[str], must: tuple[str, ...], may: tuple[str, ...]) -> tuple[set[str], set[str]]:
    """Return what is missing in what was said, and what is too much."""
    missing = {one for one in must if not said & set(one.split("|"))}
    allowed = {alternative for one in (*must, *may) for alternative in one.split("|")}
    return missing, said - allowed


# ── verdicts ────────────────────────────────────────────────────────────────────────────────


def test_the_corpus_has_every_known_lie_and_nasty_input() -> None:
    notes = {note for case in CASES.values() for note in case.notes}
    lies = {note.removeprefix("4a: ") for note in notes if note.startswith("4a: ")}
    assert {row for row in ROWS_OF_LIES if not any(lie.startswith(row) for lie in lies)} == set()
    assert {str(number) for number in range(16, 31)} <= notes


@pytest.mark.parametrize("name", PASSING)
def test_what_is_found(corpus: Corpus, name: str) -> None:
    case, _, facts = looked_at(corpus, name)
    assert f"{facts.container} {facts.codec}" in case.what.split("|")
    assert unfit(codes(facts.findings), case.findings, case.may) == (set(), set()), facts.findings
    assert all(finding.message for finding in facts.findings)


@pytest.mark.parametrize("name", PASSING)
def test_what_is_thought_of_the_sound(corpus: Corpus, name: str) -> None:
    case, _, facts = looked_at(corpus, name)
    judged = judge(facts, ALL_RULES)
    assert unfit(codes(judged), case.judged, case.may) == (set(), set()), (judged, facts.quality)


@pytest.mark.parametrize("name", PASSING)
def test_the_length_is_what_a_full_decode_counts(corpus: Corpus, name: str) -> None:
    case, path, facts = looked_at(corpus, name)
    if case.seconds:  # the corpus itself is what it says it is
        assert facts.seconds == pytest.approx(case.seconds, abs=0.25)
    if case.length:
        true = decode(path, *case.before)
        assert true is not None
        assert (facts.sample_rate, facts.channels) == (true.rate, true.channels)
        assert facts.seconds == pytest.approx(true.seconds, abs=SLACK_S)


@pytest.mark.parametrize("name", [name for name in PASSING if CASES[name].twin])
def test_it_is_heard_as_what_it_is(corpus: Corpus, name: str) -> None:
    """The same samples in another dress: a length alone would not tell speech from noise."""
    case, _, facts = looked_at(corpus, name)
    _, _, twin = looked_at(corpus, case.twin)
    assert facts.samples == twin.samples
    assert facts.quality == twin.quality


@pytest.mark.parametrize("name", PASSING)
def test_what_is_to_become_of_it(corpus: Corpus, name: str) -> None:
    case, _, facts = looked_at(corpus, name)
    plan = make_plan(facts, V2_CALLS, OPTIONS, judge(facts, QualityRules()))
    assert isinstance(plan, case.plans), plan
    if isinstance(plan, Reject):
        assert plan.problems
        assert all(problem.message for problem in plan.problems)
    if isinstance(plan, Transcode) and name not in LARGE:
        # Nothing is thrown away that the target takes: same rate, same channels, no second lossy coding.
        kept = (plan.recipe.container, plan.recipe.sample_rate, plan.recipe.channels)
        assert kept == ("wav", facts.sample_rate, facts.channels)
        assert plan.recipe.codec.startswith("pcm_")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(corpus: Corpus, name: str) -> None:
    case, path = CASES[name], corpus.path(name)
    started = time.perf_counter()
    with pytest.raises(Rejected) as caught:
        probe(ProbeRequest(path, raw_format=case.raw_format))
    assert caught.value.code in case.code.split("|"), caught.value
    assert time.perf_counter() - started < 2
    assert len(str(caught.value)) > 10


def test_a_page_is_quoted_and_its_secrets_are_not(corpus: Corpus) -> None:
    with pytest.raises(Rejected) as caught:
        probe(ProbeRequest(corpus.path("json_of_59_bytes")))
    assert "Invalid access token" in caught.value.message
    assert caught.value.hint
    with pytest.raises(Rejected) as caught:
        probe(ProbeRequest(corpus.path("json_with_a_secret")))
    assert "gone" in str(caught.value)
    assert "s3cr3tvalue" not in str(caught.value)
    assert "k3y" not in str(caught.value)


def test_a_codec_without_a_decoder_is_named(corpus: Corpus) -> None:
    with pytest.raises(Rejected, match=r"(?i)0x0*72|114"):
        probe(ProbeRequest(corpus.path("wav_codec_nobody_decodes")))


def test_the_second_half_of_the_data_is_never_lost_in_silence(corpus: Corpus) -> None:
    """Every known reader drops the second chunk: it is decoded too, or a person is told aloud."""
    _, _, facts = looked_at(corpus, "wav_two_data_chunks")
    plan = make_plan(facts, V2_CALLS, OPTIONS)
    told = plan.problems if isinstance(plan, Reject) else plan.warnings
    assert "second_data_chunk" in codes(told)
    if facts.seconds < 10 - SLACK_S:
        assert isinstance(plan, AsIs | Reject), "rendering would throw the second half away"


def test_what_was_cut_off_is_taken_only_when_that_is_asked_for(corpus: Corpus) -> None:
    for name in ("wav_cut_in_half", "mp3_cut_at_a_sixth", "flac_cut"):
        _, _, facts = looked_at(corpus, name)
        assert isinstance(make_plan(facts, V2_CALLS, OPTIONS), Reject), name
        kept = make_plan(facts, V2_CALLS, AudioOptions(keep_partial=True))
        assert not isinstance(kept, Reject), name
        assert "shorter_than_header" in codes(kept.warnings), name


def test_only_the_manifest_can_tell_a_wrong_rate(corpus: Corpus) -> None:
    _, _, facts = looked_at(corpus, "labelled_with_twice_its_rate")
    assert not {"rate_suspect", "manifest_duration"} & codes(judge(facts, ALL_RULES))
    assert "rate_suspect" in codes(judge(facts, ALL_RULES, expected_s=10.0))
    _, _, honestly = looked_at(corpus, "wav_pcm16")
    assert not codes(judge(honestly, ALL_RULES, expected_s=10.4))
    assert "manifest_duration" in codes(judge(honestly, ALL_RULES, expected_s=14.0))


def test_a_limit_is_obeyed_by_every_way_to_obey_it(corpus: Corpus) -> None:
    for name in ("more_than_50_mb", "an_hour_of_stereo_mulaw"):
        _, _, facts = looked_at(corpus, name)
        assert facts.size > V2_CALLS.limit
        for way, kinds in (("compress", Transcode), ("split", Split), ("reject", Reject)):
            plan = make_plan(facts, V2_CALLS, AudioOptions(when_too_large=way))
            if way == "reject" and facts.samples * facts.channels * 2 > V2_CALLS.limit:
                assert isinstance(plan, kinds)
            if not isinstance(plan, Reject):
                parts = plan.parts if isinstance(plan, Split) else 1
                assert plan.bytes / parts <= V2_CALLS.limit
        plan = make_plan(facts, V2_CALLS, OPTIONS)
        assert isinstance(plan, Transcode)
        assert plan.recipe.channels == facts.channels
        assert plan.recipe.bitrate == 64  # the most that mp3 has at 8 kHz


def test_audio_without_end_is_refused(corpus: Corpus) -> None:
    with pytest.raises(Rejected) as caught:
        probe(ProbeRequest(corpus.path("wav_pcm16"), max_seconds=5.0))
    assert caught.value.code == "too_long"


@pytest.mark.soak
def test_four_gigabytes_of_rf64_and_a_day_of_ulaw_are_streamed(tmp_path: Path) -> None:
    """Sparse on disk: 5 GB of 48 kHz stereo, and 691 MB that last a day."""
    from tests.audio.handmade import fmt, rf64, wav

    form = fmt(channels=2, rate=48_000)
    head = bytearray(rf64(b"", form=form))
    count = 5_000_000_000
    head[28:36] = count.to_bytes(8, "little")
    day = wav(b"", fmt(7, 1, 8000, 8), size=86_400 * 8000)
    for name, start, size in (("large.wav", bytes(head), count), ("day.wav", day, 86_400 * 8000)):
        path = tmp_path / name
        path.write_bytes(start)
        with path.open("r+b") as file:
            file.truncate(len(start) + size)
        facts = probe(ProbeRequest(path))
        assert facts.seconds == pytest.approx(size / (192_000 if name == "large.wav" else 8000), abs=SLACK_S)
        assert facts.size > V2_CALLS.limit
        assert isinstance(make_plan(facts, V2_CALLS, AudioOptions(when_too_large="reject")), Reject)
        path.unlink()


# ── what is made of them ────────────────────────────────────────────────────────────────────


def sound_of(path: Path, *before: str) -> str:
    """Return a hash of every sample that the judge decodes, at full width."""
    command = [STATIC, "-v", "error", "-nostdin", *before, "-i", str(path), "-map", "0:a:0"]
    done = subprocess.run([*command, "-f", "f64le", "-"], capture_output=True, timeout=120)
    return hashlib.sha256(done.stdout).hexdigest()


@pytest.mark.parametrize("name", [name for name in PASSING if name not in LARGE])
def test_what_is_made_of_it_is_clean_and_sounds_the_same(corpus: Corpus, name: str, tmp_path: Path) -> None:
    """It is sent as it is from then on, has no fault left, keeps its length, and a rewrap every bit."""
    case, path, facts = looked_at(corpus, name)
    before = path.read_bytes()
    made = render(
        RenderRequest(ProbeRequest(path, raw_format=case.raw_format), V2_CALLS, OPTIONS, tmp_path, "made")
    )
    assert path.read_bytes() == before
    assert isinstance(made.plan, case.plans)
    if isinstance(made.plan, AsIs | Reject):
        assert not made.outputs
        return
    (output,) = made.outputs
    fresh = probe(ProbeRequest(output.path))
    left = codes(fresh.findings) - {"decode_errors", "vbr_without_xing", "concatenated"}
    assert left == set(), fresh.findings
    assert isinstance(make_plan(fresh, V2_CALLS, OPTIONS), AsIs)
    assert output.path.stat().st_size <= made.plan.bytes
    true = decode(output.path)
    assert true is not None
    assert (true.rate, true.channels) == (facts.sample_rate, facts.channels)
    assert true.seconds == pytest.approx(facts.seconds, abs=SLACK_S)
    exact = isinstance(made.plan, Rewrap) or facts.codec.startswith("pcm_")
    if case.twin:
        assert sound_of(output.path) == sound_of(corpus.path(case.twin))
    elif exact and case.length and "concatenated" not in codes(facts.findings):
        assert sound_of(output.path) == sound_of(path, *case.before)


def samples_of(path: Path, rate: int = 8000) -> Sound:
    """Return what the judge decodes, as floats, one row for each channel."""
    found = decode(path)
    assert found is not None
    raw = run(STATIC, "-v", "error", "-nostdin", "-i", path, "-map", "0:a:0", "-ar", rate, "-f", "f32le", "-")
    return np.frombuffer(raw, "<f4").reshape(-1, found.channels).T.astype(np.float64)


def lag(one: Sound, other: Sound) -> int:
    """Return by how many samples ``other`` comes later, from the peak of their correlation."""
    size = 1 << (max(one.size, other.size) * 2).bit_length()
    spectrum = np.fft.rfft(other, size) * np.conj(np.fft.rfft(one, size))
    peak = int(np.fft.irfft(spectrum, size).argmax())
    return peak if peak < size // 2 else peak - size


COMPRESSED = ["wav_pcm16", "wav_stereo", "wav_mulaw", "wideband", "m4a", "opus_in_ogg", "raw_ulaw", "flac"]


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_audio_fits_and_neither_moves_nor_changes_its_loudness(
    corpus: Corpus, name: str, tmp_path: Path
) -> None:
    case, path, facts = looked_at(corpus, name)
    room = round(facts.seconds * 6_000) + 70_000  # too little for PCM, enough for mp3
    made = render(
        RenderRequest(
            ProbeRequest(path, raw_format=case.raw_format), V2_CALLS, AudioOptions(max_upload_bytes=room),
            tmp_path, "made",
        )
    )  # fmt: skip
    assert isinstance(made.plan, Transcode)
    assert made.plan.recipe.codec == "mp3"
    (output,) = made.outputs
    assert output.path.stat().st_size <= room
    true = decode(output.path)
    assert true is not None
    assert true.channels == facts.channels
    assert true.seconds == pytest.approx(facts.seconds, abs=SLACK_S)
    assert codes(probe(ProbeRequest(output.path)).findings) == set()
    if not case.before:
        for one, other in zip(samples_of(path), samples_of(output.path), strict=True):
            assert abs(lag(one, other)) <= 2  # at 8 kHz: a quarter of a millisecond
    assert ebur128(output.path) == pytest.approx(ebur128(path, *case.before), abs=0.5)


@pytest.mark.parametrize("name", ["wav_pcm16", "wav_stereo", "flac", "wav_24bit"])
def test_parts_put_together_are_the_whole(corpus: Corpus, name: str, tmp_path: Path) -> None:
    _, path, facts = looked_at(corpus, name)
    options = AudioOptions(max_upload_bytes=70_000, when_too_large="split")
    made = render(RenderRequest(ProbeRequest(path), V2_CALLS, options, tmp_path, "made"))
    assert isinstance(made.plan, Split)
    assert made.plan.parts == len(made.outputs) > 2
    assert all(output.path.stat().st_size <= 70_000 for output in made.outputs)
    whole = np.concatenate([samples_of(output.path) for output in made.outputs], axis=1)
    assert np.array_equal(whole, samples_of(path))
    assert whole.shape == (facts.channels, facts.samples)


# ── figures ─────────────────────────────────────────────────────────────────────────────────


def every(paths: list[Path], count: int) -> list[Path]:
    """Return about ``count`` of them, evenly spread."""
    return paths[:: max(1, len(paths) // count)]


def conversation(path: Path) -> Path:
    """Write a stereo call of two real people who take turns."""
    agent, caller, left = [], [], 60
    import wave

    for one in prompts("english", "wav", 30_000)[: left // 2]:
        with wave.open(str(one)) as reader:
            said = np.frombuffer(reader.readframes(reader.getnframes()), "<i2") / 32768
        agent += [said, np.zeros(len(said))]
        caller += [np.zeros(len(said)), said[::-1] * 0.5]
    path.write_bytes(honest(np.stack([np.concatenate(agent), np.concatenate(caller)])))
    return path


def material(kind: str, folder: Path) -> list[tuple[Path, tuple[str, ...]]]:
    """Return files of one kind with what tells the judge how to read them."""
    match kind:
        case "prompts wav":
            return [(one, ()) for one in every(prompts("english", "wav", 6_500), 40)]
        case "prompts g722":
            return [(one, ("-f", "g722")) for one in every(prompts("english", "g722", 3_300), 12)]
        case "prompts alaw":
            return [(one, ALAW) for one in every(prompts("italian", "alaw", 3_300), 30)]
        case "call":
            return [(conversation(folder / "call.wav"), ())]
        case _:
            (folder / "made.wav").write_bytes(honest(call(30.0)))
            return [(folder / "made.wav", ())]


KINDS = ["prompts wav", "prompts g722", "prompts alaw", "call", "made-up call"]


@pytest.mark.parametrize("kind", KINDS)
def test_levels_are_those_that_ffmpeg_measures(kind: str, tmp_path: Path) -> None:
    for path, before in material(kind, tmp_path):
        facts = probe(ProbeRequest(path))
        assert facts.quality is not None
        for mine, true in zip(facts.quality.channels, astats(path, *before), strict=True):
            assert mine.rms_db == pytest.approx(true.rms_db, abs=0.05), path
            assert mine.peak_db == pytest.approx(true.peak_db, abs=0.05), path
            assert mine.dc == pytest.approx(true.dc, abs=0.0005), path


@pytest.mark.parametrize("kind", KINDS)
def test_loudness_is_what_ffmpeg_measures(kind: str, tmp_path: Path) -> None:
    off = {}
    for path, before in material(kind, tmp_path):
        facts = probe(ProbeRequest(path))
        assert facts.quality is not None
        mine, true = facts.quality.loudness_lufs, ebur128(path, *before)
        if mine is None or abs(mine - true) > 0.3:
            off[path.name, round(facts.seconds, 2)] = (mine, true)
    assert not off


def test_levels_are_those_that_sox_measures(tmp_path: Path) -> None:
    for path, _ in (*material("prompts wav", tmp_path)[::3], *material("call", tmp_path)):
        facts = probe(ProbeRequest(path))
        assert facts.quality is not None
        for mine, true in zip(facts.quality.channels, sox_stats(path), strict=True):
            assert mine.rms_db == pytest.approx(true.rms_db, abs=0.05), path
            assert mine.peak_db == pytest.approx(true.peak_db, abs=0.05), path
            assert mine.dc == pytest.approx(true.dc, abs=0.0005), path


def test_a_prompt_too_short_for_the_standard_has_no_loudness(corpus: Corpus) -> None:
    _, _, facts = looked_at(corpus, "prompt_of_0_3_seconds")
    assert facts.quality is not None
    assert facts.quality.loudness_lufs is None


def test_figures_are_those_that_the_sound_was_made_with(corpus: Corpus) -> None:
    def quality(name: str):  # type: ignore[no-untyped-def]
        return looked_at(corpus, name)[2].quality

    assert quality("off_by_11_percent").channels[0].dc == pytest.approx(0.11, abs=0.002)
    assert quality("clipped").channels[0].clipped_runs > 100
    assert quality("wav_pcm16").channels[0].clipped_runs == 0
    assert quality("long_silence_first").channels[0].head_s == pytest.approx(35.1, abs=0.15)
    assert quality("mostly_silence").channels[0].silence_ratio == pytest.approx(29 / 30, abs=0.02)
    assert quality("fake_stereo").side_db < -100
    assert quality("fake_stereo_with_dither").side_db < -80
    assert quality("inverted_phase").correlation == pytest.approx(-1, abs=0.001)
    assert quality("hum").tone_ratio > 0.95
    assert quality("wav_pcm16").tone_ratio < 0.7
    assert quality("upsampled_to_44100").bandwidth_hz < 4_800
    assert quality("wideband").bandwidth_hz > 6_500


def test_no_prompt_that_ships_is_thought_to_be_a_fault() -> None:
    """Real speech: what its makers put on sale is neither tone nor silence nor clipped to pieces."""
    alarms: dict[str, set[str]] = {}
    for path in (
        *every(prompts("english", "wav", 10_000), 60),
        *every(prompts("italian", "alaw", 5_000), 60),
    ):
        facts = probe(ProbeRequest(path))
        said = codes(judge(facts, ALL_RULES)) - {"dc_offset", "short"}
        if said:
            alarms[path.name] = said
    assert not alarms


def test_nothing_but_an_item_s_error_comes_out(tmp_path: Path) -> None:
    for name, path in (("gone", tmp_path / "gone.wav"), ("folder", tmp_path)):
        with pytest.raises(ItemError):
            probe(ProbeRequest(path)), name
