"""The check as a job: real files, real worker processes, everything said about every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mediapipe.call_services import open_check
from mediapipe.errors import ExitCode, UsageError
from mediapipe.items import Outcome, Verdict
from mediapipe.jobs.check_calls import Ask, CheckCalls, Result, check
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.roots import Root
from mediapipe.settings import load_settings
from mediapipe.verdicts import Judged
from tests.manifests import manifest, named, recordings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Checked:
    """One run of the job."""

    result: Result
    rows: list[Judged] = field(default_factory=list)
    expected: int = 0

    @property
    def outcomes(self) -> list[Outcome]:
        return [row.outcome for row in self.rows]

    @property
    def reasons(self) -> list[str]:
        return [outcome.reason for outcome in self.outcomes]


async def checked(path: Path, *, audio: bool = True, pictures: bool = False, **flags: Any) -> Checked:
    settings = load_settings(
        None, {name.replace("__", "."): value for name, value in flags.items()}, {}
    ).settings
    ask = Ask(CallManifest.open(path), Root(path.parent), audio=audio, pictures=pictures)
    rows: list[Judged] = []
    expected: list[int] = []

    def sink(some: Sequence[Judged]) -> None:
        rows.extend(some)

    result = await check(open_check(settings), ask, sink=sink, expect=expected.append)
    return Checked(result, rows, sum(expected))


async def test_every_row_comes_in_order_with_what_becomes_of_it(tmp_path: Path) -> None:
    recordings(tmp_path / "calls")
    files = (
        "good.wav",
        "good.mp3",
        "call.ogg",
        "one_sided.wav",
        "cut.wav",
        "empty.wav",
        "page.wav",
        "none.wav",
    )
    found = await checked(manifest(tmp_path / "m.csv", *named(*(f"calls/{file}" for file in files))))
    assert [outcome.row for outcome in found.outcomes] == list(range(1, 9))
    assert found.reasons == [
        "as_is", "as_is", "transcode", "as_is", "partial", "empty_file", "error_page", "no_such_file"
    ]  # fmt: skip
    verdicts = [outcome.verdict for outcome in found.outcomes]
    assert verdicts == [Verdict.DONE] * 4 + [Verdict.REJECTED] * 4
    assert found.result.exit_code is ExitCode.ITEMS
    assert found.expected == 8
    assert [one.code for one in found.outcomes[3].warnings] == ["dead_channel"]
    assert found.outcomes[3].warnings[0].channel == 1
    assert all("line " in outcome.message for outcome in found.outcomes[4:])
    assert found.outcomes[0].bytes == (tmp_path / "calls" / "good.wav").stat().st_size


async def test_the_estimate_is_of_the_good_rows_alone(tmp_path: Path) -> None:
    recordings(tmp_path)
    path = manifest(tmp_path / "m.csv", *named("good.wav", "good.mp3", "cut.wav"))
    estimate = (await checked(path, pace__requests_per_second=4, audio__uplink=1_000)).result.estimate
    sizes = [(tmp_path / name).stat().st_size for name in ("good.wav", "good.mp3")]
    assert (estimate.bytes, estimate.requests) == (sum(sizes), 2)
    assert estimate.seconds == pytest.approx(sum(sizes) / 1_000)
    assert estimate.audio_s == pytest.approx(8.0, abs=0.2)


async def test_without_audio_nothing_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no audio at all")
    path = manifest(tmp_path / "m.csv", *named("a.wav", "b.wav"), {"recording_url": "https://h.example/x"})
    found = await checked(path, audio=False)
    assert found.reasons == ["unchecked", "no_such_file", "unchecked"]
    assert found.result.estimate.requests == 0
    assert (await checked(path)).reasons[0] != "unchecked"


async def test_what_stands_elsewhere_is_pending(tmp_path: Path) -> None:
    rows = [{"recording_file": "s3://bucket/key"}, {"recording_url": "https://h.example/x?secret=hush"}]
    found = await checked(manifest(tmp_path / "m.csv", *rows))
    assert {outcome.verdict for outcome in found.outcomes} == {Verdict.PENDING}
    assert found.result.exit_code is ExitCode.OK
    assert found.result.notes() == ["unchecked: 2 rows, which are in no estimate"]


async def test_the_manifest_s_length_is_held_against_the_audio(tmp_path: Path) -> None:
    recordings(tmp_path)
    rows = [{"recording_file": "good.wav", "duration": text} for text in ("4", "0:00:08", "60")]
    found = await checked(manifest(tmp_path / "m.csv", *rows))
    codes = [[one.code for one in outcome.warnings] for outcome in found.outcomes]
    assert codes == [[], ["rate_suspect"], ["manifest_duration"]]


async def test_channels_are_swapped_by_preset_and_direction(tmp_path: Path) -> None:
    recordings(tmp_path)
    rows = [
        {"recording_file": "good.wav", "is_outbound": "yes"},
        {"recording_file": "good.wav", "is_outbound": "no"},
        {"recording_file": "good.wav"},
        {"recording_file": "mono.wav", "swap_channels": "true"},
    ]
    flags = {"audio__source_preset": "freeswitch", "audio__platform_agent_channel": "right"}
    found = await checked(manifest(tmp_path / "m.csv", *rows), **flags)
    swaps = [outcome.audio["swap_channels"]["value"] for outcome in found.outcomes if outcome.audio]
    assert swaps == [True, False, None, None]
    assert found.reasons[3] == "swap_on_mono"


async def test_an_unknown_preset_is_said_before_anything(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="source_preset"):
        await checked(manifest(tmp_path / "m.csv", *named("a.wav")), audio__source_preset="acme")


async def test_rules_and_limits_come_from_the_settings(tmp_path: Path) -> None:
    recordings(tmp_path)
    path = manifest(tmp_path / "m.csv", *named("one_sided.wav", "good.wav"))
    strict = await checked(path, quality__dead_channel="block")
    assert strict.reasons == ["dead_channel", "as_is"]
    small = await checked(path, audio__max_upload_bytes=100_000)
    assert small.reasons == ["transcode", "transcode"]
    assert all(outcome.bytes <= 100_000 for outcome in small.outcomes)
    refused = await checked(path, audio__max_upload_bytes=100_000, audio__when_too_large="reject")
    assert refused.reasons == ["too_large", "too_large"]
    parts = await checked(path, audio__max_upload_bytes=100_000, audio__when_too_large="split")
    assert parts.reasons == ["too_large", "too_large"], "a row is one call"
    assert parts.result.estimate.requests == 0


@pytest.mark.parametrize("pictures", [False, True])
async def test_outlines_are_measured_only_for_pictures_and_kept_only_of_faulty_recordings(
    tmp_path: Path, pictures: bool
) -> None:
    recordings(tmp_path)
    path = manifest(tmp_path / "m.csv", *named("good.wav", "one_sided.wav"))
    drawn = []
    for row in (await checked(path, pictures=pictures)).rows:
        assert row.facts is not None
        assert row.facts.quality is not None
        drawn.append(row.facts.quality.envelope is not None)
    assert drawn == [False, pictures]


async def test_a_file_that_cannot_be_read_now_has_failed_and_is_not_rejected(tmp_path: Path) -> None:
    recordings(tmp_path)
    ask = Ask(CallManifest.open(manifest(tmp_path / "m.csv", *named("good.wav"))), Root(tmp_path))
    (row,) = ask.manifest.rows(ask.root)
    (tmp_path / "good.wav").unlink()  # it was there when its row was read
    job = CheckCalls(open_check(load_settings(None, {}, {}).settings), ask, print)
    outcome = (await job.survey().look(row)).outcome
    assert (outcome.verdict, outcome.reason, outcome.row) == (Verdict.FAILED, "unreadable", 1)


async def test_a_quote_that_is_never_closed_stops_after_the_rows_before_it(tmp_path: Path) -> None:
    recordings(tmp_path)
    path = manifest(tmp_path / "m.csv", *named("good.wav"))
    with path.open("a") as file:
        file.write('2026,1,1,"open,')
    found = await checked(path)
    assert isinstance(found.result.ending.fatal, UsageError)
    assert found.result.exit_code is ExitCode.USAGE


async def test_totals_are_told_by_outcome_reason_and_warning(tmp_path: Path) -> None:
    recordings(tmp_path)
    path = manifest(tmp_path / "m.csv", *named("good.wav", "one_sided.wav", "one_sided.wav", "cut.wav"))
    result = (await checked(path)).result
    told = result.as_json()
    assert told["reasons"] == {"done": {"as_is": 3}, "rejected": {"partial": 1}}
    assert told["warnings"]["dead_channel"] == 2
    assert told["estimate"]["requests"] == 3
    assert "2 dead_channel" in result.notes()[0]
