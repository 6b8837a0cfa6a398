from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio import limits
from mediapipe.audio.facts import AudioFacts, Finding, Level
from mediapipe.audio.options import AudioOptions
from mediapipe.audio.plan import NOT_REWRAPPABLE, explain, kind, limit_of, make_plan, tighter
from mediapipe.audio.targets import (
    V2_CALLS,
    V3_PROMPTS,
    AsIs,
    Plan,
    Recipe,
    Reject,
    Rewrap,
    Split,
    Target,
    Transcode,
)

HOUR = 3600.0
OPTIONS = AudioOptions()
WIDTHS = {"pcm_u8": 1, "pcm_s16le": 2, "pcm_s24le": 3, "pcm_f32le": 4, "pcm_mulaw": 1, "pcm_alaw": 1}


def options(**changed: Any) -> AudioOptions:
    return AudioOptions(**changed)


def facts(
    codec: str = "pcm_s16le",
    container: str = "wav",
    *,
    seconds: float = 60.0,
    rate: int = 8_000,
    channels: int = 2,
    kbit: int = 64,
    **other: Any,
) -> AudioFacts:
    """Return a sound file without fault; ``kbit`` is its bitrate where the codec does not say."""
    samples = round(seconds * rate)
    width = WIDTHS.get(codec)
    given: dict[str, Any] = {
        "layout": "",
        "bits": (width or 0) * 8,
        "declared_s": seconds,
        "size": 44 + (samples * channels * width if width else round(seconds * kbit * 125)),
        "sha256": "0" * 64,
    }
    return AudioFacts(container, codec, rate, channels, samples=samples, **(given | other))


def planned(audio: AudioFacts, target: Target = V2_CALLS, **changed: Any) -> Plan:
    return make_plan(audio, target, options(**changed))


def recipe(plan: Plan) -> Recipe:
    assert isinstance(plan, Transcode | Split)
    return plan.recipe


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [one.code for one in findings]


# ── what is good enough stays as it is ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("container", "codec", "target"),
    [
        ("wav", "pcm_s16le", V2_CALLS),
        ("wav", "pcm_u8", V2_CALLS),
        ("wav", "pcm_f32le", V2_CALLS),
        ("mp3", "mp3", V2_CALLS),
        ("m4a", "aac", V3_PROMPTS),
        ("mp4", "aac", V3_PROMPTS),
        ("m4a", "alac", V3_PROMPTS),
        ("aac", "aac", V3_PROMPTS),
        ("ogg", "opus", V3_PROMPTS),
        ("webm", "vorbis", V3_PROMPTS),
        ("flac", "flac", V3_PROMPTS),
    ],
)
def test_what_the_target_takes_is_sent_as_it_is(container: str, codec: str, target: Target) -> None:
    audio = facts(codec, container)
    assert make_plan(audio, target, OPTIONS) == AsIs(audio.size)


def test_the_limit_itself_is_still_within_it() -> None:
    audio = facts()
    assert make_plan(audio, V2_CALLS, OPTIONS, limit=audio.size) == AsIs(audio.size)
    assert not isinstance(make_plan(audio, V2_CALLS, OPTIONS, limit=audio.size - 1), AsIs)


def test_tags_that_are_no_burden_stay() -> None:
    audio = facts("mp3", "mp3", overhead=OPTIONS.max_overhead)
    assert planned(audio) == AsIs(audio.size)


def test_the_lower_limit_of_target_and_settings_holds_unless_another_is_named() -> None:
    small = options(max_upload_bytes=2_000_000)
    assert limit_of(V2_CALLS, small) == 2_000_000
    assert limit_of(V2_CALLS, options(max_upload_bytes=10**9)) == V2_CALLS.limit
    audio = facts(seconds=100.0)  # 3.2 MB
    assert isinstance(make_plan(audio, V2_CALLS, small), Transcode)
    assert isinstance(make_plan(audio, V2_CALLS, small, limit=4_000_000), AsIs)
    large = facts(seconds=HOUR)  # 115 MB
    assert isinstance(make_plan(large, V2_CALLS, OPTIONS, limit=200_000_000), AsIs)


# ── a clean container ───────────────────────────────────────────────────────────────────────


def test_a_container_that_needs_repair_is_written_anew() -> None:
    audio = facts(needs=("size_unknown_in_header",))
    plan = planned(audio)
    assert isinstance(plan, Rewrap)
    assert (plan.container, plan.why) == ("wav", ("size_unknown_in_header",))
    assert audio.size <= plan.bytes <= audio.size + limits.TAG_BYTES


def test_heavy_tags_are_left_out() -> None:
    audio = facts("mp3", "mp3", seconds=HOUR, overhead=5_000_000, size=33_800_000)
    plan = planned(audio)
    assert isinstance(plan, Rewrap)
    assert (plan.container, plan.why) == ("mp3", ("overhead",))
    assert 28_800_000 <= plan.bytes < 28_900_000


def test_leaving_out_tags_may_be_what_makes_it_fit() -> None:
    audio = facts("mp3", "mp3", size=50_020_000, overhead=60_000)
    plan = planned(audio)
    assert isinstance(plan, Rewrap)
    assert plan.why == ("too_large",)
    assert plan.bytes <= 50_000_000


@pytest.mark.parametrize(
    ("container", "codec", "target", "home"),
    [
        ("wav", "mp3", V2_CALLS, "mp3"),
        ("mp4", "mp3", V2_CALLS, "mp3"),
        ("m4a", "mp3", V3_PROMPTS, "mp3"),
        ("webm", "aac", V3_PROMPTS, "m4a"),
        ("webm", "flac", V3_PROMPTS, "flac"),
        ("mp4", "opus", V3_PROMPTS, "ogg"),
    ],
)
def test_coded_audio_moves_home_undecoded(container: str, codec: str, target: Target, home: str) -> None:
    plan = make_plan(facts(codec, container), target, OPTIONS)
    assert isinstance(plan, Rewrap)
    assert plan.container == home
    assert plan.why == ("codec" if container in dict(target.accepts) else "container",)


def test_moving_is_counted_by_what_the_container_takes() -> None:
    large = facts("mp3", size=49_900_000, seconds=HOUR)
    assert isinstance(planned(large), Rewrap)
    boxed = facts("aac", "webm", size=49_900_000, seconds=HOUR)
    assert isinstance(make_plan(boxed, V3_PROMPTS, OPTIONS), Transcode)
    plan = make_plan(facts("aac", "webm", size=1_000_000), V3_PROMPTS, OPTIONS)
    assert isinstance(plan, Rewrap)
    assert plan.bytes == 1_020_000 + limits.TAG_BYTES


def test_what_is_made_may_be_as_large_as_the_limit() -> None:
    audio = facts("pcm_mulaw")
    size = limits.wav_bytes(audio.samples, 2, 2)
    assert recipe(make_plan(audio, V2_CALLS, OPTIONS, limit=size)).codec == "pcm_s16le"
    assert recipe(make_plan(audio, V2_CALLS, OPTIONS, limit=size - 1)).codec == "mp3"
    broken = facts(needs=("size_unknown_in_header",))
    repaired = broken.size + limits.TAG_BYTES
    assert isinstance(make_plan(broken, V2_CALLS, OPTIONS, limit=repaired), Rewrap)


def test_audio_in_two_data_chunks_goes_whole_or_not_at_all() -> None:
    warning = Finding("second_data_chunk", "half of it stands in a second data chunk")
    whole = facts(findings=(warning,), needs=("data_before_fmt",), overhead=1_000_000)
    assert planned(whole) == AsIs(whole.size, (warning,))
    for other in (facts("pcm_mulaw", findings=(warning,)), facts("mp3", findings=(warning,))):
        plan = planned(other)
        assert isinstance(plan, Reject)
        assert codes(plan.problems) == ["audio_in_two"]
        assert plan.warnings == (warning,)


def test_what_a_clean_container_would_change_is_left_alone_or_decoded_where_that_costs_nothing() -> None:
    odd = Finding(NOT_REWRAPPABLE, "its samples would not be the same", Level.INFO)
    joined = facts("mp3", container="mp3", needs=("header_duration",), findings=(odd,))
    assert planned(joined) == AsIs(joined.size)
    broken = facts(needs=("data_before_fmt",), findings=(odd,))
    assert recipe(planned(broken)).codec == "pcm_s16le"
    assert recipe(planned(facts("mp3", findings=(odd,)))).codec == "pcm_s16le"


# ── decoded ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("container", "codec", "why"),
    [
        ("wav", "pcm_mulaw", "codec"),
        ("wav", "gsm_ms", "codec"),
        ("wav", "adpcm_ima_wav", "codec"),
        ("mp3", "mp2", "codec"),
        ("m4a", "aac", "container"),
        ("ogg", "opus", "container"),
        ("amr", "amrnb", "container"),
        ("raw", "pcm_mulaw", "container"),
        ("raw", "pcm_s16le", "container"),
    ],
)
def test_what_is_not_taken_is_decoded_at_its_own_rate(container: str, codec: str, why: str) -> None:
    audio = facts(codec, container, rate=11_000, kbit=13)
    plan = planned(audio)
    assert isinstance(plan, Transcode)
    assert plan.recipe == Recipe("wav", "pcm_s16le", 11_000, 2)
    assert plan.why == (why,)
    assert plan.bytes == limits.wav_bytes(audio.samples, 2, 2)


def test_headerless_audio_is_never_taken_even_where_a_target_says_so() -> None:
    careless = Target("all", (("raw", frozenset({"pcm_s16le"})), ("wav", frozenset({"pcm_s16le"}))))
    assert isinstance(make_plan(facts(container="raw"), careless, OPTIONS), Transcode)


@pytest.mark.parametrize(
    ("codec", "bits", "kept"),
    [
        ("pcm_s24be", 24, "pcm_s24le"),
        ("pcm_s32be", 32, "pcm_s24le"),
        ("pcm_f32be", 32, "pcm_f32le"),
        ("pcm_f64le", 64, "pcm_f32le"),
        ("flac", 24, "pcm_s24le"),
        ("flac", 16, "pcm_s16le"),
        ("pcm_mulaw", 8, "pcm_s16le"),
        ("aac", 32, "pcm_s16le"),  # its decoder's floats are no width of the source
    ],
)
def test_the_width_is_kept(codec: str, bits: int, kept: str) -> None:
    assert recipe(planned(facts(codec, "aiff", bits=bits))).codec == kept


def test_16_bits_do_where_more_do_not_fit() -> None:
    foreign = planned(facts("pcm_s24be", "aiff", bits=24, seconds=1_200.0))
    assert recipe(foreign) == Recipe("wav", "pcm_s16le", 8_000, 2)
    assert isinstance(foreign, Transcode)
    assert foreign.why == ("container", "bits")
    taken = planned(facts("pcm_f32le", seconds=1_200.0))
    assert recipe(taken) == Recipe("wav", "pcm_s16le", 8_000, 2)
    assert isinstance(taken, Transcode)
    assert taken.why == ("too_large",)


def test_a_target_without_wide_pcm_gets_16_bits() -> None:
    plain = Target("plain", (("wav", frozenset({"pcm_s16le"})),))
    plan = make_plan(facts("pcm_f32le"), plain, OPTIONS)
    assert recipe(plan).codec == "pcm_s16le"


def test_no_wav_is_planned_beyond_what_riff_can_count() -> None:
    day = facts("pcm_mulaw", seconds=40 * HOUR)
    plan = make_plan(day, V2_CALLS, OPTIONS, limit=10**11)
    assert recipe(plan).codec == "mp3"
    streamed = facts(seconds=40 * HOUR, needs=("size_unknown_in_header",))
    assert recipe(make_plan(streamed, V2_CALLS, OPTIONS, limit=10**11)).codec == "mp3"


# ── compressed ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("hours", "rate", "bitrate"), [(1, 8_000, 64), (1, 16_000, 96), (2, 8_000, 48), (3, 8_000, 32)]
)
def test_what_is_too_large_gets_the_highest_bitrate_that_fits(hours: int, rate: int, bitrate: int) -> None:
    plan = planned(facts(seconds=hours * HOUR, rate=rate))
    assert isinstance(plan, Transcode)
    assert plan.recipe == Recipe("mp3", "mp3", rate, 2, bitrate)
    assert plan.why == ("too_large",)
    assert plan.warnings == ()
    assert plan.limit == 50_000_000


@pytest.mark.parametrize(
    ("rate", "used"), [(6_000, 8_000), (9_600, 11_025), (37_800, 44_100), (96_000, 48_000), (44_100, 44_100)]
)
def test_only_a_rate_that_mp3_lacks_is_changed(rate: int, used: int) -> None:
    plan = planned(facts(seconds=3_000.0, rate=rate), max_upload_bytes=20_000_000)
    assert recipe(plan).sample_rate == used
    assert isinstance(plan, Transcode)
    assert plan.why == (("too_large",) if used == rate else ("too_large", "sample_rate"))


def test_a_low_bitrate_is_warned_of() -> None:
    plan = planned(facts(seconds=4 * HOUR))
    assert recipe(plan).bitrate == 24
    (warning,) = plan.warnings
    assert (warning.code, warning.level) == ("low_bitrate", Level.WARN)
    assert "24 kb/s" in warning.message
    assert "32 kb/s" in warning.message
    assert planned(facts(seconds=4 * HOUR), warn_bitrate=24).warnings == ()


def test_no_bitrate_under_the_lowest_allowed() -> None:
    plan = planned(facts(seconds=4 * HOUR), min_bitrate=32)
    assert isinstance(plan, Reject)
    (problem,) = plan.problems
    assert (problem.code, problem.level) == ("too_large", Level.BLOCK)
    for figure in ("460.8 MB", "50.0 MB", "4h", "stereo", "57.6 MB", "32 kb/s", "lower min_bitrate"):
        assert figure in problem.message


def test_two_parties_stay_apart_unless_it_is_allowed_and_needed() -> None:
    long, longer = facts(seconds=3 * HOUR), facts(seconds=4 * HOUR)
    assert recipe(planned(longer)).channels == 2
    assert recipe(planned(long, downmix=True)) == Recipe("mp3", "mp3", 8_000, 2, 32)
    mixed = planned(longer, downmix=True)
    assert recipe(mixed) == Recipe("mp3", "mp3", 8_000, 1, 24)
    assert isinstance(mixed, Transcode)
    assert mixed.why == ("too_large", "downmix")
    alone = planned(facts(seconds=5 * HOUR, channels=1), downmix=True)
    assert recipe(alone) == Recipe("mp3", "mp3", 8_000, 1, 16)
    assert isinstance(alone, Transcode)
    assert alone.why == ("too_large",)
    # More than 8 kHz has is no reason to mix: one channel would get no more.
    assert recipe(planned(facts(seconds=HOUR), downmix=True, warn_bitrate=96)).channels == 2


def test_many_channels_are_kept_but_not_by_mp3() -> None:
    small = facts(channels=4)
    plan = planned(small)
    assert isinstance(plan, AsIs)
    assert codes(plan.warnings) == ["many_channels"]
    assert recipe(planned(facts("pcm_mulaw", channels=4))).channels == 4
    large = facts(channels=4, seconds=HOUR)
    refused = planned(large)
    assert isinstance(refused, Reject)
    assert codes(refused.problems) == ["too_many_channels"]
    assert "230.4 MB" in refused.problems[0].message
    assert refused.warnings == ()
    assert recipe(planned(large, downmix=True)) == Recipe("mp3", "mp3", 8_000, 1, 64)
    # One channel of it may fit without compression.
    assert recipe(planned(facts(channels=4, seconds=0.75 * HOUR), downmix=True)) == Recipe(
        "wav", "pcm_s16le", 8_000, 1
    )


# ── split, or refused ───────────────────────────────────────────────────────────────────────


def test_a_split_keeps_every_sample() -> None:
    audio = facts(seconds=HOUR)  # 115.2 MB
    plan = planned(audio, when_too_large="split")
    assert isinstance(plan, Split)
    assert plan.recipe == Recipe("wav", "pcm_s16le", 8_000, 2)
    assert (plan.parts, plan.samples, plan.why) == (3, 9_600_000, ("too_large",))
    assert plan.bytes >= audio.size
    wide = planned(facts("pcm_s24le", seconds=HOUR), when_too_large="split")
    assert recipe(wide).codec == "pcm_s24le"


def test_a_split_of_lossy_audio_is_not_blown_up() -> None:
    audio = facts("mp3", "mp3", seconds=6 * HOUR, kbit=24)  # 64.8 MB
    plan = planned(audio, when_too_large="split")
    assert isinstance(plan, Split)
    assert plan.recipe == Recipe("mp3", "mp3", 8_000, 2, 24)
    assert plan.parts == 2
    assert codes(plan.warnings) == ["low_bitrate"]
    assert planned(audio, when_too_large="split", min_bitrate=24) == plan
    surround = planned(replace(audio, channels=6), when_too_large="split")
    assert recipe(surround).codec == "pcm_s16le"
    none_legal = planned(audio, when_too_large="split", min_bitrate=128)
    assert recipe(none_legal).codec == "pcm_s16le"


def test_lossy_audio_that_fits_in_one_piece_is_not_split() -> None:
    audio = facts("opus", "ogg", seconds=HOUR, rate=16_000, kbit=24)  # as WAV 230 MB
    plan = planned(audio, when_too_large="split")
    assert isinstance(plan, Transcode)
    assert plan.recipe == Recipe("mp3", "mp3", 16_000, 2, 96)
    assert plan.why == ("container", "too_large")
    assert recipe(planned(replace(audio, size=43_200_000), when_too_large="split")).bitrate == 96
    # With fewer bits than it had, parts lose less.
    assert isinstance(planned(replace(audio, size=60_000_000), when_too_large="split"), Split)


def test_a_split_into_crumbs_is_refused() -> None:
    plan = planned(facts(seconds=HOUR), when_too_large="split", max_upload_bytes=10_000)
    assert isinstance(plan, Reject)
    assert codes(plan.problems) == ["too_large"]


def test_reject_rather_than_compress_where_that_is_wished() -> None:
    plan = planned(facts(seconds=HOUR), when_too_large="reject")
    assert isinstance(plan, Reject)
    (problem,) = plan.problems
    for figure in ("115.2 MB", "50.0 MB", "1h", "stereo", "8 kb/s", '"split"', '"compress"'):
        assert figure in problem.message
    assert recipe(planned(facts("pcm_mulaw"), when_too_large="reject")).codec == "pcm_s16le"


# ── findings ────────────────────────────────────────────────────────────────────────────────

WARN = Finding("header_duration", "the header says 61.0 s")
INFO = Finding("extension_mismatch", "named .mp3", Level.INFO)
BLOCK = Finding("mixed_format", "channels change midway", Level.BLOCK)
JUDGED = Finding("silent", "nothing is to be heard", Level.BLOCK)
CUT = Finding("shorter_than_header", "5.0 s of 10.0 s are there")


def test_warnings_go_with_the_plan_each_once_the_file_s_first() -> None:
    quiet = Finding("quiet", "speech is at -50 dBFS")
    plan = make_plan(facts(findings=(INFO, WARN)), V2_CALLS, OPTIONS, (quiet, WARN, INFO))
    assert isinstance(plan, AsIs)
    assert plan.warnings == (WARN, quiet)


def test_every_blocking_finding_is_told_at_once() -> None:
    plan = make_plan(facts(findings=(BLOCK, WARN, CUT)), V2_CALLS, OPTIONS, (JUDGED, BLOCK))
    assert isinstance(plan, Reject)
    assert codes(plan.problems) == ["mixed_format", "partial", "silent"]
    assert plan.warnings == (WARN,)
    assert {one.level for one in plan.problems} == {Level.BLOCK}


@pytest.mark.parametrize("level", Level)
def test_a_transfer_that_was_cut_off_is_refused_unless_it_is_wanted(level: Level) -> None:
    audio = facts(findings=(replace(CUT, level=level),))
    refused = planned(audio)
    assert isinstance(refused, Reject)
    assert codes(refused.problems) == ["partial"]
    assert CUT.message in refused.problems[0].message
    assert "keep_partial" in refused.problems[0].message
    kept = planned(audio, keep_partial=True)
    assert kept == AsIs(audio.size, (CUT,))


def test_a_file_without_audio_is_refused() -> None:
    plan = planned(facts(seconds=0.0))
    assert isinstance(plan, Reject)
    assert codes(plan.problems) == ["no_audio"]


# ── the second guard ────────────────────────────────────────────────────────────────────────


def test_the_next_plan_has_a_lower_bitrate() -> None:
    audio = facts(seconds=2 * HOUR)
    plan = planned(audio)
    assert recipe(plan).bitrate == 48
    following = tighter(plan, audio, V2_CALLS, OPTIONS, 50_000_001)
    assert recipe(following).bitrate == 40
    assert recipe(tighter(plan, audio, V2_CALLS, OPTIONS, 100_000_000)).bitrate == 16
    assert tighter(plan, audio, V2_CALLS, OPTIONS, 50_000_000) is plan


def test_the_next_plan_of_pcm_or_a_clean_container_is_mp3() -> None:
    audio = facts("mp3", "mp3", size=49_990_000, overhead=30_000, seconds=HOUR, needs=("no_xing",))
    plan = planned(audio)
    assert isinstance(plan, Rewrap)
    assert recipe(tighter(plan, audio, V2_CALLS, OPTIONS, 50_100_000)).codec == "mp3"
    companded = facts("pcm_mulaw", seconds=1_500.0)
    decoded = planned(companded)
    assert recipe(decoded).codec == "pcm_s16le"
    assert recipe(tighter(decoded, companded, V2_CALLS, OPTIONS, 50_100_000)).codec == "mp3"


def test_the_next_plan_of_a_split_has_shorter_parts() -> None:
    audio = facts(seconds=HOUR)
    changed = options(when_too_large="split")
    plan = make_plan(audio, V2_CALLS, changed, (WARN,), limit=40_000_000)
    assert isinstance(plan, Split)
    following = tighter(plan, audio, V2_CALLS, changed, 60_000_000)
    assert isinstance(following, Split)
    assert following.samples < plan.samples
    assert (plan.parts, following.parts) == (3, 6)
    assert (following.limit, following.warnings) == (40_000_000, (WARN,))


def test_the_end_of_the_ladder_says_what_was_rendered() -> None:
    audio = facts(seconds=10 * HOUR)
    plan = planned(audio)
    assert recipe(plan).bitrate == 8
    assert codes(plan.warnings) == ["low_bitrate"]
    last = tighter(plan, audio, V2_CALLS, OPTIONS, 51_000_000)
    assert isinstance(last, Reject)
    assert "51.0 MB" in last.problems[0].message
    assert last.warnings == ()
    assert tighter(last, audio, V2_CALLS, OPTIONS, 1) is last


def test_a_file_that_grew_since_it_was_looked_at_is_planned_anew() -> None:
    audio = facts(seconds=1_500.0)
    plan = planned(audio)
    assert isinstance(plan, AsIs)
    assert recipe(tighter(plan, audio, V2_CALLS, OPTIONS, 60_000_000)).codec == "mp3"


def test_every_plan_has_its_word() -> None:
    made = Recipe("wav", "pcm_s16le", 8_000, 1)
    plans: list[Plan] = [
        AsIs(1),
        Rewrap("wav", (), 1),
        Transcode(made, (), 1),
        Split(made, 2, 1, (), 1),
        Reject(()),
    ]
    assert [kind(plan) for plan in plans] == ["as_is", "rewrap", "transcode", "split", "reject"]


# ── for any file, settings and limit ────────────────────────────────────────────────────────

SORTS = {
    "wav": "pcm_s16le pcm_u8 pcm_s24le pcm_f32le pcm_mulaw mp3 gsm_ms adpcm_ms",
    "mp3": "mp3 mp2",
    "m4a": "aac alac",
    "mp4": "aac pcm_s16le",
    "webm": "opus aac",
    "ogg": "vorbis flac",
    "flac": "flac",
    "aiff": "pcm_s16be pcm_s24be",
    "amr": "amrnb",
    "asf": "wmav2",
    "raw": "pcm_mulaw pcm_s16le",
}
sorts = st.sampled_from([(name, codec) for name, codecs in SORTS.items() for codec in codecs.split()])
findings = st.builds(
    Finding,
    st.sampled_from(
        ["header_duration", "second_data_chunk", "shorter_than_header", "decode_errors", NOT_REWRAPPABLE]
    ),
    st.text(max_size=8),
    st.sampled_from([Level.INFO, Level.WARN, Level.WARN, Level.WARN, Level.BLOCK]),
)
few = st.lists(findings, max_size=2).map(tuple)
lengths = st.floats(0, 120) | st.floats(0, 5 * HOUR) | st.floats(0, 48 * HOUR)
bounds = st.integers(1_000, 10**6) | st.integers(10**6, 10**8) | st.integers(10**8, 10**11)
# Most limits are the settings' own: the two targets have the same.
targets = st.sampled_from([replace(V2_CALLS, limit=10**11), replace(V3_PROMPTS, limit=10**11), V2_CALLS])


@st.composite
def files(draw: st.DrawFn) -> AudioFacts:
    container, codec = draw(sorts)
    audio = facts(
        codec,
        container,
        seconds=draw(lengths),
        rate=draw(st.sampled_from(limits.MP3_RATES) | st.integers(4_000, 192_000)),
        channels=draw(st.sampled_from([1, 2, 2, 2]) | st.integers(1, 8)),
        kbit=draw(st.integers(4, 400)),
        findings=draw(few),
        needs=draw(st.sampled_from([(), (), ("size_unknown_in_header",), ("data_before_fmt", "no_xing")])),
    )
    extra = draw(st.sampled_from([0, 0, 500, 10**5, 10**7]))
    bits = draw(st.sampled_from([audio.bits, 16, 24, 32]))
    return replace(audio, size=audio.size + extra, overhead=extra, bits=bits)


@st.composite
def near(draw: st.DrawFn, audio: AudioFacts) -> int:
    """Return a limit that decides something: about the size that the audio has in one form or another."""
    rate = limits.mp3_rate(audio.sample_rate)
    bitrate = draw(st.sampled_from(limits.mp3_bitrates(rate)))
    sizes = [audio.size, *(limits.wav_bytes(audio.samples, audio.channels, width) for width in (2, 3, 4))]
    sizes += [limits.wav_bytes(audio.samples, 1, 2), limits.limit_for_mp3(audio.seconds, bitrate)]
    size = draw(st.sampled_from(sizes)) + draw(st.sampled_from([0, 0, -1, 1, -limits.TAG_BYTES]))
    return max(1_000, round(size * draw(st.sampled_from([1.0, 1.0, 1.01, 0.8, 1.3, 0.3]))))


@st.composite
def cases(draw: st.DrawFn, downmix: bool | None = None) -> tuple[AudioFacts, AudioOptions]:
    """Return a file and settings whose limit is of some weight for it."""
    audio = draw(files())
    return audio, draw(settings_of(near(audio) | bounds, downmix))


@st.composite
def settings_of(draw: st.DrawFn, most: st.SearchStrategy[int], downmix: bool | None) -> AudioOptions:
    return options(
        max_upload_bytes=draw(most),
        when_too_large=draw(st.sampled_from(["compress", "compress", "split", "reject"])),
        downmix=draw(st.booleans()) if downmix is None else downmix,
        min_bitrate=draw(st.sampled_from([8, 8, 16, 24, 64, 320])),
        warn_bitrate=draw(st.sampled_from([8, 32, 64, 320])),
        keep_partial=draw(st.booleans()),
    )


def largest(plan: Plan) -> int:
    """Return the estimate of the largest file that a plan sends."""
    if isinstance(plan, Reject):
        return 0
    return plan.bytes // plan.parts if isinstance(plan, Split) else plan.bytes


def lossy(plan: Plan) -> bool:
    return isinstance(plan, Transcode) and plan.recipe.bitrate is not None


@settings(deadline=None, max_examples=200)
@given(cases(), targets, few, st.none() | bounds)
def test_any_file_has_a_plan_that_keeps_to_the_rules(
    case: tuple[AudioFacts, AudioOptions], target: Target, judged: tuple[Finding, ...], limit: int | None
) -> None:
    audio, chosen = case
    plan = make_plan(audio, target, chosen, judged, limit)
    holds = limit_of(target, chosen) if limit is None else limit
    assert largest(plan) <= holds
    said = explain(plan, audio, target)
    assert said
    assert said == " ".join(said.split())
    assert make_plan(audio, target, chosen, judged, limit) == plan

    every = (*audio.findings, *judged)
    cut = [one for one in every if one.code == "shorter_than_header"]
    blocks = [one for one in every if one.level is Level.BLOCK and one not in cut]
    assert len(set(plan.warnings)) == len(plan.warnings)
    assert {one for one in every if one.level is Level.WARN and one not in cut} <= set(plan.warnings)
    assert all(one.level is Level.WARN for one in plan.warnings)
    if blocks or not audio.samples or (cut and not chosen.keep_partial):
        assert isinstance(plan, Reject)
        assert set(blocks) <= set(plan.problems)
    if isinstance(plan, Reject):
        assert plan.problems
        assert all(one.level is Level.BLOCK for one in plan.problems)
        return
    if cut:
        assert "shorter_than_header" in codes(plan.warnings)
    if isinstance(plan, AsIs):
        assert plan.bytes == audio.size
        assert audio.container != "raw"
        assert target.takes(audio.container, audio.codec)
    if isinstance(plan, Rewrap):
        assert target.takes(plan.container, audio.codec)
        assert not {"second_data_chunk", NOT_REWRAPPABLE} & set(codes(audio.findings))
    if not isinstance(plan, AsIs):
        assert plan.why
        assert plan.limit == holds


@settings(deadline=None, max_examples=200)
@given(cases(), targets)
def test_any_recipe_is_one_that_can_be_rendered_and_is_taken(
    case: tuple[AudioFacts, AudioOptions], target: Target
) -> None:
    audio, chosen = case
    plan = make_plan(replace(audio, findings=()), target, chosen)
    if not isinstance(plan, Transcode | Split):
        return
    made = plan.recipe
    assert target.takes(made.container, made.codec)
    if made.channels != audio.channels:
        assert chosen.downmix
        assert made.channels == 1
        assert "downmix" in plan.why
    if made.bitrate is None:
        assert made.sample_rate == audio.sample_rate
        assert plan.bytes <= limits.WAV_MOST or isinstance(plan, Split)
    else:
        assert made.channels <= 2
        assert made.sample_rate == limits.mp3_rate(audio.sample_rate)
        assert made.bitrate in limits.mp3_bitrates(made.sample_rate)
        assert made.bitrate >= chosen.min_bitrate
        assert ("low_bitrate" in codes(plan.warnings)) == (made.bitrate < chosen.warn_bitrate)
    assert ("many_channels" in codes(plan.warnings)) == (made.channels > 2)
    if isinstance(plan, Split):
        assert chosen.when_too_large == "split"
        assert 2 <= plan.parts <= limits.MOST_PARTS
        assert (plan.parts - 1) * plan.samples < audio.samples <= plan.parts * plan.samples


@settings(deadline=None, max_examples=200)
@given(cases(), targets)
def test_nothing_is_lost_where_nothing_needs_to_be(
    case: tuple[AudioFacts, AudioOptions], target: Target
) -> None:
    audio, chosen = case
    audio = replace(audio, findings=())
    plan, holds = make_plan(audio, target, chosen), limit_of(target, chosen)
    if not audio.samples:
        return
    taken = audio.container != "raw" and target.takes(audio.container, audio.codec)
    clean = not audio.needs and audio.overhead <= chosen.max_overhead
    if taken and clean and audio.size <= holds:
        assert isinstance(plan, AsIs)
    if taken and audio.size - audio.overhead + limits.TAG_BYTES <= holds and audio.container != "wav":
        assert isinstance(plan, AsIs | Rewrap)
    pcm = limits.wav_bytes(audio.samples, audio.channels, 2)
    if pcm <= min(holds, limits.WAV_MOST):
        assert not lossy(plan)
        assert not isinstance(plan, Split | Reject)
    if lossy(plan) and recipe(plan).channels == audio.channels:
        higher = [k for k in limits.mp3_bitrates(recipe(plan).sample_rate) if k > (recipe(plan).bitrate or 0)]
        assert all(limits.limit_for_mp3(audio.seconds, k) > holds for k in higher)


def loss(plan: Plan) -> tuple[int, int]:
    """Return how much a plan loses, to be compared."""
    if isinstance(plan, Transcode):
        width = {"pcm_s16le": -16}.get(plan.recipe.codec, -24)
        return (2, width) if plan.recipe.bitrate is None else (3, -plan.recipe.bitrate)
    if isinstance(plan, Split):
        return 4, 0
    return {AsIs: 0, Rewrap: 1, Reject: 5}[type(plan)], 0


@settings(deadline=None, max_examples=200)
@given(cases(downmix=False), targets, st.data())
def test_a_higher_limit_never_loses_more(
    case: tuple[AudioFacts, AudioOptions], target: Target, data: st.DataObject
) -> None:
    audio, chosen = case
    low, high = sorted((chosen.max_upload_bytes, data.draw(near(audio) | bounds, label="another limit")))
    tight, wide = (make_plan(audio, target, chosen, limit=limit) for limit in (low, high))
    assert loss(wide) <= loss(tight)


@settings(deadline=None, max_examples=200)
@given(cases(), targets, st.data())
def test_the_second_guard_comes_down_step_by_step_and_ends(
    case: tuple[AudioFacts, AudioOptions], target: Target, data: st.DataObject
) -> None:
    audio, chosen = case
    audio = replace(audio, findings=())
    plan, holds = make_plan(audio, target, chosen), limit_of(target, chosen)
    steps = 0
    while not isinstance(plan, Reject):
        excess = data.draw(st.integers(1, 1_000) | st.integers(1, 10**9), label="bytes over the limit")
        following = tighter(plan, audio, target, chosen, holds + excess)
        assert largest(following) < largest(plan)
        if isinstance(plan, Split) and isinstance(following, Split) and plan.recipe == following.recipe:
            assert following.samples < plan.samples
        assert largest(following) <= holds
        assert explain(following, audio, target)
        plan, steps = following, steps + 1
        assert steps < 150
