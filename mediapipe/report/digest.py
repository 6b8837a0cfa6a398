"""What a page about many recordings shows, gathered while they go by: counts for its plots, and exhibits.

Memory is bounded whatever the number of recordings: plots are counts, and only so many faulty recordings are
kept, as finished drawings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mediapipe.audio.facts import AudioFacts, Finding, Level
from mediapipe.items import Outcome, Verdict
from mediapipe.report.counting import Buckets, Names
from mediapipe.report.plots import Plot, lying, standing
from mediapipe.report.waveform import Waveform, channel_name, draw

MOST_EXHIBITS = 200
EACH = 10
"""Exhibits of one kind of fault that go before those of which there are many."""

_LENGTHS = (
    (1, 5, 15, 30, 60, 180, 600, 1800, 3600, 7200),
    ("1 s", "5 s", "15 s", "30 s", "1 min", "3 min", "10 min", "30 min", "1 h", "2 h"),
)
_SIZES = (
    (10_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 25_000_000, 50_000_000, 200_000_000),
    ("10 kB", "100 kB", "300 kB", "1 MB", "3 MB", "10 MB", "25 MB", "50 MB", "200 MB"),
)
_LEVELS = (
    (-60, -50, -45, -40, -35, -30, -25, -20, -15, -10),
    tuple(f"{level}" for level in (-60, -50, -45, -40, -35, -30, -25, -20, -15, -10)),
)
_UNIT = "recordings"


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A recording that somebody should look at: what it is, what is wrong, and its picture if it has one.

    ``faults`` are numbered as the marks in the picture.
    """

    outcome: Outcome
    faults: tuple[Finding, ...]
    sound: str
    figures: tuple[str, ...]
    picture: Waveform | None

    @property
    def refused(self) -> bool:
        """Whether a fault of its audio keeps it from being sent."""
        return any(one.level is Level.BLOCK for one in self.faults)

    @property
    def anchor(self) -> str:
        """The name by which the page's table links here."""
        return f"row-{self.outcome.row}"


@dataclass(slots=True)
class Shelf:
    """Keeps a bounded number of exhibits, so that a frequent fault does not crowd out the rare ones."""

    chosen: list[Exhibit] = field(default_factory=list)
    spare: list[Exhibit] = field(default_factory=list)
    _kinds: dict[str, int] = field(default_factory=dict)

    def wants(self, faults: Sequence[Finding]) -> list[Exhibit] | None:
        """Return the list that an exhibit of these faults belongs in, None where there is no room."""
        codes = {one.code for one in faults}
        if any(self._kinds.get(code, 0) < EACH for code in codes) and len(self.chosen) < MOST_EXHIBITS:
            for code in codes:
                self._kinds[code] = self._kinds.get(code, 0) + 1
            return self.chosen
        return self.spare if len(self.spare) < MOST_EXHIBITS else None


@dataclass(slots=True)
class AudioDigest:
    """Takes each outcome as it comes, with the facts and faults of its audio where it was looked at."""

    fates: Names = field(default_factory=Names)
    faults: Names = field(default_factory=Names)
    formats: Names = field(default_factory=Names)
    rates: Names = field(default_factory=Names)
    lengths: Buckets = field(default_factory=lambda: Buckets(*_LENGTHS))
    sizes: Buckets = field(default_factory=lambda: Buckets(*_SIZES))
    levels: Buckets = field(default_factory=lambda: Buckets(*_LEVELS))
    seconds: float = 0.0
    faulty: int = 0
    _refused: Shelf = field(default_factory=Shelf)
    _warned: Shelf = field(default_factory=Shelf)

    def add(self, outcome: Outcome, facts: AudioFacts | None, faults: Sequence[Finding] = ()) -> None:
        """Count one recording; ``faults`` are those of its audio, warnings and worse."""
        self.fates.add(outcome.reason if outcome.verdict is Verdict.DONE else outcome.verdict.value)
        for code in sorted({one.code for one in faults}):
            self.faults.add(code)
        if facts is not None:
            self._measure(facts)
        if faults:
            self.faulty += 1
            serious = any(one.level is Level.BLOCK for one in faults)
            kept = (self._refused if serious else self._warned).wants(faults)
            if kept is not None:
                kept.append(_exhibit(outcome, facts, tuple(faults)))

    def _measure(self, facts: AudioFacts) -> None:
        self.seconds += facts.seconds
        self.formats.add(_format(facts))
        self.rates.add(f"{facts.sample_rate / 1000:g} kHz {_parties(facts.channels)}")
        self.lengths.add(facts.seconds)
        self.sizes.add(facts.size)
        if facts.quality is not None and facts.quality.channels:
            self.levels.add(max(one.active_db for one in facts.quality.channels))

    def plots(self) -> list[Plot]:
        """Return the plots that have something to show."""
        found = [
            lying("What becomes of them", self.fates.bars(), unit="rows"),
            lying("Faults", self.faults.bars(20), unit=_UNIT),
            standing("Length", self.lengths.bars(), self.lengths.marks(), unit=_UNIT),
            standing("Size", self.sizes.bars(), self.sizes.marks(), unit=_UNIT),
            lying("Format", self.formats.bars(), unit=_UNIT),
            lying("Sampling rate and channels", self.rates.bars(), unit=_UNIT),
            standing("Level of speech (dBFS)", self.levels.bars(), self.levels.marks(), unit=_UNIT),
        ]
        return [plot for plot in found if plot.boxes]

    def exhibits(self) -> list[Exhibit]:
        """Return at most ``MOST_EXHIBITS`` faulty recordings, some with each fault, refused ones first."""
        refused, warned = self._refused, self._warned
        shown = [*refused.chosen, *warned.chosen, *refused.spare, *warned.spare][:MOST_EXHIBITS]
        return sorted(shown, key=lambda one: (not one.refused, one.outcome.row or 0))


def _exhibit(outcome: Outcome, facts: AudioFacts | None, faults: tuple[Finding, ...]) -> Exhibit:
    if facts is None:
        return Exhibit(outcome, faults, "", (), None)
    sound = f"{_format(facts)}, {facts.sample_rate / 1000:g} kHz {_parties(facts.channels)}"
    return Exhibit(outcome, faults, sound, _figures(facts), draw(facts, faults))


def _figures(facts: AudioFacts) -> tuple[str, ...]:
    """Return what was measured, a line for each channel and one for all."""
    quality = facts.quality
    if quality is None:
        return ()
    count = len(quality.channels)
    lines = [
        f"{channel_name(number, count)}: speech at {one.active_db:.0f} dB, peak {one.peak_db:.1f} dB,"
        f" {one.silence_ratio:.0%} silence, clipped {one.clipped_runs:,} times,"
        f" zero line {round(one.dc, 3) + 0:+.1%}"
        for number, one in enumerate(quality.channels)
    ]
    whole = [f"bandwidth {quality.bandwidth_hz:,.0f} Hz"]
    if quality.loudness_lufs is not None:
        whole.insert(0, f"loudness {quality.loudness_lufs:.1f} LUFS")
    if quality.side_db is not None:
        whole.append(f"what the channels do not share at {round(quality.side_db)} dB")
    return (*lines, ", ".join(whole))


def _format(facts: AudioFacts) -> str:
    return facts.container if facts.codec == facts.container else f"{facts.container} {facts.codec}"


def _parties(channels: int) -> str:
    return {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
