"""One row's audio, decoded and judged: what a check tells and an import does, without doing it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mediapipe.audio.channels import Swap, decide_swap
from mediapipe.audio.facts import AudioFacts
from mediapipe.audio.options import AudioOptions, QualityRules
from mediapipe.audio.plan import make_plan
from mediapipe.audio.requests import ProbeRequest
from mediapipe.audio.rules import judge
from mediapipe.audio.targets import Plan, Target
from mediapipe.audio.workers import AudioWorkers
from mediapipe.errors import ItemError
from mediapipe.manifest.calls import CallRow
from mediapipe.verdicts import Judged, channels_sent, decided, undecodable


@dataclass(frozen=True, slots=True)
class Ear:
    """What a recording is judged by, and who decodes it."""

    audio: AudioWorkers
    options: AudioOptions
    rules: QualityRules
    target: Target

    async def listen(self, row: CallRow, path: Path, *, envelope: bool = False) -> Judged:
        """Return what would become of a row with this audio; ``envelope`` keeps its outline for a drawing."""
        options = self.options
        request = ProbeRequest(
            path, raw_format=options.raw_format, max_seconds=options.max_seconds, envelope=envelope
        )
        try:
            facts = await self.audio.probe(request)
        except ItemError as error:
            return undecodable(row, error)
        plan = make_plan(
            facts, self.target, options, judge(facts, self.rules, row.duration_s, options.duration_slack)
        )
        return decided(row, facts, plan, self.swap(row, plan, facts), self.target)

    def swap(self, row: CallRow, plan: Plan, facts: AudioFacts) -> Swap:
        """Return whether the platform is told to swap a recording's channels."""
        return decide_swap(
            asked=row.swap_channels,
            preset=self.options.source_preset,
            agent_channel=self.options.agent_channel,
            platform_agent_channel=self.options.platform_agent_channel,
            outbound=row.is_outbound,
            channels=channels_sent(plan, facts),
        )
