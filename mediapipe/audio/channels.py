"""Who is on which channel, and whether the platform is to swap them. Pure.

A preset is here only where a system's convention is a documented fact. Systems that ask instead, per call
or per account (Gong, Google CCAI, Allo-Media), have none: say ``agent_channel`` for theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mediapipe.audio.facts import Finding, Level
from mediapipe.errors import UsageError

Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Convention:
    """The channel that has the agent in calls from outside, and in calls to the outside."""

    inbound: Side
    outbound: Side

    def agent(self, outbound: bool | None) -> Side | None:
        """Return the agent's channel, None where it depends on a direction that is not known."""
        if outbound is None:
            return self.inbound if self.inbound == self.outbound else None
        return self.outbound if outbound else self.inbound


CONVENTIONS: dict[str, Convention] = {
    # Amazon's guide to recordings: customer, and whoever else comes in, left; agent right.
    "amazon-connect": Convention(inbound="right", outbound="right"),
    # Twilio's changelog: who joins first has the first channel, everybody else the second. A caller is
    # there before the agent; in a call that the agent places, the agent is.
    "twilio-conference": Convention(inbound="right", outbound="left"),
    # FreeSWITCH's reference of RECORD_STEREO: caller left, receiver right; the caller is who dialled.
    "freeswitch": Convention(inbound="right", outbound="left"),
    # The same with RECORD_STEREO_SWAP, which exchanges the two.
    "freeswitch-swap": Convention(inbound="left", outbound="right"),
    # Asterisk's reference of MixMonitor, option D: first what comes from the recorded channel, then what
    # goes to it. It runs on the channel that began the call: the caller's, or the agent's who dials out.
    "asterisk-mixmonitor": Convention(inbound="right", outbound="left"),
}


@dataclass(frozen=True, slots=True)
class Swap:
    """What to send as ``swap_channels``: None is "do not send it". ``why`` is for people."""

    value: bool | None
    why: str
    problem: Finding | None = None


def check_preset(name: str) -> Convention | None:
    """Return the convention of a preset, None for no preset; raises ``UsageError`` for an unknown one."""
    if not name:
        return None
    if name not in CONVENTIONS:
        raise UsageError(
            f"audio.source_preset: there is no preset {name[:40]!r}",
            hint=f"use one of {', '.join(CONVENTIONS)}, or say agent_channel = left or right",
        )
    return CONVENTIONS[name]


def decide_swap(
    *,
    asked: bool | None,
    preset: str,
    agent_channel: str,
    platform_agent_channel: str,
    outbound: bool | None,
    channels: int,
) -> Swap:
    """Return whether the platform is to swap the channels of one call.

    ``asked`` is the manifest's own word and wins; None means that it says nothing. Then the channel that
    has the agent in the recording (``agent_channel``, else by preset and direction) is held against the
    one where the platform expects it. ``channels`` counts those of the audio that is sent. Raises
    ``UsageError`` for an unknown preset.
    """
    convention = check_preset(preset)
    if asked is not None:
        return _asked(asked, channels)
    if channels != 2:
        return Swap(None, "only two channels can be swapped" if channels > 2 else "there is one channel")
    if not platform_agent_channel:
        return Swap(None, "where the platform expects the agent is not set (platform_agent_channel)")
    agent, said = agent_channel, "agent_channel"
    if not agent and convention is not None:
        agent, said = convention.agent(outbound) or "", preset
        if not agent:
            return Swap(None, f"{preset} needs the call's direction (is_outbound), which is not known")
    if not agent:
        return Swap(None, "where the recordings have the agent is not set (agent_channel, source_preset)")
    why = f"the agent is on the {agent} ({said}), the platform expects the {platform_agent_channel}"
    return Swap(agent != platform_agent_channel, why)


def _asked(asked: bool, channels: int) -> Swap:
    if asked and channels == 1:
        message = "swap_channels is true, and the audio has one channel: leave it empty for this row"
        return Swap(None, message, Finding("swap_on_mono", message, Level.BLOCK))
    return Swap(asked, "the manifest says so")
