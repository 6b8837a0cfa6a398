"""``prompts preview``: a page on which every prompt of a manifest is heard before anything is sent.

All prompts are rendered and judged as an apply would, so that blocked ones and those that stand out from the
set are told. What cannot be sent stands on the page too. Nothing is changed anywhere but for the page.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import anyio.to_thread

from mediapipe.audio.mastering import ListenRequest, Players
from mediapipe.audio.requests import ProbeRequest
from mediapipe.errors import ExitCode, Failed
from mediapipe.items import Outcome, Tally, Verdict
from mediapipe.library.desired import Desired, desire, missing_languages
from mediapipe.library.plan import Action, Change
from mediapipe.library.preparing import Wishes, refused
from mediapipe.library.preview import Base, PreviewItem, Standing, compare, gather, no_longer
from mediapipe.library.publishing import about
from mediapipe.library.releases import MEDIA_TYPES
from mediapipe.library.studio import Studio
from mediapipe.line import Ending, Sink
from mediapipe.report.preview_page import Card, Preview, PreviewFile, Trouble, check_place, writing
from mediapipe.report.small_waves import draw_evenness, draw_waves
from mediapipe.report.summary import exit_code
from mediapipe.survey import Looked, Survey, survey

JOB = "prompts.preview"
_HELD = Action.CREATE
"""What every prompt is rendered as: nothing is sent, so no other action means anything."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is previewed, into which file, against what; ``changed`` leaves unchanged prompts out."""

    wishes: Wishes
    out: Path
    base: Base
    changed: bool = False


@dataclass(slots=True)
class Previewed:
    """What came of it: ``counts`` are prompts by what became of them, ``notes`` what else is to be known.

    ``written`` is False where the run was stopped before the page was whole; an earlier page is left then.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    outliers: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    shown: int = 0
    written: bool = False
    notes: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    ending: Ending = field(default_factory=Ending)
    exit_code: ExitCode = ExitCode.OK


async def preview_prompts(
    studio: Studio,
    ask: Ask,
    *,
    sink: Sink,
    expect: Callable[[int], None] | None = None,
    signals: bool = False,
) -> Previewed:
    """Render the set and write its page. Raises ``UsageError`` before, where the page has no place."""
    check_place(ask.out)
    done = Previewed(notes=[*ask.wishes.manifest.warnings, *ask.base.notes])
    desired, faulty = await anyio.to_thread.run_sync(_read, ask.wishes)
    keys = {one.key for one in desired}

    def tell(outcome: Outcome) -> None:
        done.tally.add(outcome)
        sink(outcome)

    def rendered(outcome: Outcome) -> None:
        wanted = by_key[outcome.key]
        tell(_foreseen(outcome, compare(wanted, ask.base.prompts, keys)[0]))

    if expect is not None:
        expect(len(desired) + len(faulty))
    for outcome in faulty:
        tell(outcome)
    by_key = {one.key: one for one in desired}
    changes = [Change(_HELD, one.key, desired=one) for one in desired]
    session = await studio.render(changes, envelope=True, progress=rendered, signals=signals)
    done.ending = session.ending
    if not _stopped(done.ending):
        items = gather(desired, session, ask.base)
        _conclude(done, ask, items, faulty, desired)
        await _write(studio, ask, items, faulty, done, signals=signals)
    code = exit_code(done.tally, interrupted=done.ending.interrupted, fatal=done.ending.fatal)
    done.exit_code = ExitCode.ITEMS if code is ExitCode.OK and done.lacking else code
    return done


def _read(wishes: Wishes) -> tuple[list[Desired], list[Outcome]]:
    """Return what sound rows ask for, and the outcomes of the others. Reads all audio; blocking."""
    faulty = [refused(row, row.problems) for row in wishes.manifest.rows if row.problems]
    desired: list[Desired] = []
    for one in desire(wishes.manifest.rows, wishes.profiles, wishes.usual, as_is=wishes.as_is):
        if isinstance(one, Desired):
            desired.append(one)
        else:
            faulty.append(refused(one[0], [one[1]]))
    return desired, sorted(faulty, key=lambda outcome: outcome.row or 0)


def _foreseen(outcome: Outcome, standing: Standing) -> Outcome:
    """Return the outcome of a prompt that is only looked at: unchanged ones would be skipped."""
    if outcome.verdict is not Verdict.PENDING:
        return outcome
    unchanged = standing is Standing.UNCHANGED
    return replace(outcome, verdict=Verdict.SKIPPED if unchanged else Verdict.PENDING, reason=standing.value)


def _stopped(ending: Ending) -> bool:
    return ending.interrupted or ending.fatal is not None


def _conclude(
    done: Previewed, ask: Ask, items: Sequence[PreviewItem], faulty: Sequence[Outcome], desired: list[Desired]
) -> None:
    """Fill in what is known once everything is rendered."""
    counts = {standing.value: 0 for standing in Standing}
    for item in items:
        if not item.blocked:
            counts[item.standing.value] += 1
    done.counts = {"blocked": len(faulty) + sum(bool(one.blocked) for one in items), **counts}
    languages = ask.wishes.languages
    done.lacking = missing_languages(desired, languages) if languages else {}
    done.gone = no_longer(desired, {one.key for one in faulty}, ask.base)
    done.outliers = tuple(str(one) for item in items for one in item.outliers)


# ── the page ────────────────────────────────────────────────────────────────────────────────


async def _write(
    studio: Studio,
    ask: Ask,
    items: Sequence[PreviewItem],
    faulty: Sequence[Outcome],
    done: Previewed,
    *,
    signals: bool,
) -> None:
    """Write the page, its sounds made one after the other; unless all went well an earlier one stays."""
    shown = [one for one in items if one.changed or one.blocked or not ask.changed]
    done.shown = len(shown)
    cards = [card_of(number, item) for number, item in enumerate(shown, 1)]
    preview = _preview(ask, items, cards, faulty, done)
    with writing(ask.out, preview) as page:
        ending = await _sounds(studio, page, shown, done, signals=signals)
        if _stopped(ending):
            done.ending = ending
            page.give_up()
    done.written = not _stopped(done.ending)


def _preview(
    ask: Ask, items: Sequence[PreviewItem], cards: Sequence[Card], faulty: Sequence[Outcome], done: Previewed
) -> Preview:
    troubles = [Trouble(one.key, one.message, one.source) for one in faulty]
    troubles += [
        Trouble(f"{one.type}/{one.name}", one.blocked, one.file, one.number) for one in cards if one.blocked
    ]
    figures = [one.rendered.mastered.figures for one in items if one.rendered.mastered is not None]
    known = [one for one in figures if one is not None]
    return Preview(
        manifest=ask.wishes.manifest.path.name,
        made=f"looked at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        compared=ask.base.said,
        counts=done.counts,
        cards=cards,
        troubles=troubles,
        lacking=done.lacking,
        languages=ask.wishes.languages,
        gone=done.gone,
        notes=done.notes,
        evenness=draw_evenness([one.active_db_before for one in known], [one.active_db for one in known]),
        left_out=len(items) - len(cards),
    )


def card_of(number: int, item: PreviewItem) -> Card:
    """Return what the page says of a prompt."""
    wanted, mastered = item.desired, item.rendered.mastered
    card = Card(
        number,
        wanted.type.value,
        wanted.name,
        item.standing.value,
        item.changed,
        wanted.language,
        wanted.profile_name,
        wanted.file,
        wanted.row,
        item.why,
        item.blocked,
        tuple(str(one).removeprefix(f"{one.key}: ") for one in item.outliers),
        tuple(one.message for one in item.rendered.outcome.warnings),
    )
    if mastered is None:
        return card
    figures = mastered.figures
    cut = figures.head_cut_s if figures else 0.0
    card = replace(
        card, seconds=(mastered.made or mastered.source).seconds,
        waves=draw_waves(mastered.source, mastered.made, cut),
    )  # fmt: skip
    if figures is None:
        return card
    return replace(
        card,
        level_before=figures.active_db_before,
        level_after=figures.active_db,
        gain=figures.gain_db,
        limited=figures.limited_db,
        true_peak=figures.true_peak_db,
        head_cut=figures.head_cut_s,
        tail_cut=figures.tail_cut_s,
        pace=figures.pace,
    )


async def _sounds(
    studio: Studio, page: PreviewFile, shown: Sequence[PreviewItem], done: Previewed, *, signals: bool
) -> Ending:
    """Write the sounds of each prompt in the page's order; what cannot be heard is noted and left out."""
    numbers = {one.desired.key: number for number, one in enumerate(shown, 1)}

    async def source() -> AsyncGenerator[Sequence[PreviewItem], None]:
        yield [one for one in shown if one.rendered.mastered is not None]

    async def look(item: PreviewItem) -> Looked[Players]:
        return Looked(item.rendered.outcome, await studio.audio.players(_request(studio, item)))

    def sink(heard: Sequence[Looked[Players]]) -> None:
        for one in heard:
            if one.found is None:
                done.notes.append(f"{one.outcome.key} cannot be listened to: {one.outcome.message}")
                continue
            _put(page, numbers[one.outcome.key], one.found, containers.get(one.outcome.key, "wav"))

    containers = {one.desired.key: one.rendered.ready.entry.container for one in shown if one.rendered.ready}
    job = Survey("listen", source, look, lambda one: about(one.rendered.change), sink, studio.workers)
    return await survey(job, signals=signals)


def _request(studio: Studio, item: PreviewItem) -> ListenRequest:
    if item.desired.path is None:
        raise Failed("there is no audio for it", code="no_audio")
    probe = ProbeRequest(
        item.desired.path, raw_format=studio.raw_format, max_seconds=studio.max_seconds, quality=False
    )
    mastered = item.rendered.mastered
    return ListenRequest(probe, mastered.output.path if mastered and mastered.output else None)


def _put(page: PreviewFile, number: int, heard: Players, container: str) -> None:
    page.audio(number, "source", heard.source, MEDIA_TYPES["wav"])
    if heard.rendered is not None:
        page.audio(number, "rendered", heard.rendered, MEDIA_TYPES.get(container, MEDIA_TYPES["wav"]))
    page.audio(number, "heard", heard.heard, MEDIA_TYPES["wav"])
