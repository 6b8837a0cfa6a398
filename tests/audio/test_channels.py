from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.audio.channels import CONVENTIONS, Swap, check_preset, decide_swap
from mediapipe.audio.facts import Level
from mediapipe.errors import UsageError


def decide(
    *,
    asked: bool | None = None,
    preset: str = "",
    agent_channel: str = "",
    platform_agent_channel: str = "right",
    outbound: bool | None = None,
    channels: int = 2,
) -> Swap:
    return decide_swap(
        asked=asked,
        preset=preset,
        agent_channel=agent_channel,
        platform_agent_channel=platform_agent_channel,
        outbound=outbound,
        channels=channels,
    )


@pytest.mark.parametrize(
    ("preset", "inbound", "outbound", "unknown"),
    [
        ("amazon-connect", "right", "right", "right"),
        ("twilio-conference", "right", "left", None),
        ("freeswitch", "right", "left", None),
        ("freeswitch-swap", "left", "right", None),
        ("asterisk-mixmonitor", "right", "left", None),
    ],
)
def test_where_each_system_has_the_agent(
    preset: str, inbound: str, outbound: str, unknown: str | None
) -> None:
    convention = CONVENTIONS[preset]
    assert convention.agent(False) == inbound
    assert convention.agent(True) == outbound
    assert convention.agent(None) == unknown


def test_every_preset_is_tested_above() -> None:
    assert len(CONVENTIONS) == 5


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="'gong'") as caught:
        check_preset("gong")
    assert all(name in caught.value.hint for name in CONVENTIONS)
    with pytest.raises(UsageError, match="source_preset"):
        decide(preset="Amazon-Connect")


def test_no_preset_is_no_error() -> None:
    assert check_preset("") is None
    assert check_preset("freeswitch") is CONVENTIONS["freeswitch"]


@pytest.mark.parametrize(
    ("outbound", "platform", "value"),
    [(False, "right", False), (False, "left", True), (True, "right", True), (True, "left", False)],
)
def test_a_preset_decides_by_direction(outbound: bool, platform: str, value: bool) -> None:
    swap = decide(preset="freeswitch", outbound=outbound, platform_agent_channel=platform)
    assert swap.value is value
    assert swap.problem is None
    assert "freeswitch" in swap.why
    assert platform in swap.why


def test_without_the_direction_nothing_is_decided_where_it_matters() -> None:
    swap = decide(preset="freeswitch")
    assert swap.value is None
    assert "is_outbound" in swap.why
    assert decide(preset="amazon-connect", platform_agent_channel="left").value is True


def test_the_agent_channel_of_the_settings_wins_over_the_preset() -> None:
    swap = decide(preset="amazon-connect", agent_channel="left")
    assert swap.value is True
    assert "agent_channel" in swap.why
    assert decide(agent_channel="right").value is False


def test_the_manifest_wins_over_everything() -> None:
    for asked in (True, False):
        swap = decide(asked=asked, preset="amazon-connect", agent_channel="right")
        assert swap == Swap(asked, "the manifest says so")
        assert decide(asked=asked, platform_agent_channel="").value is asked


def test_nothing_is_decided_while_the_platform_s_side_is_unknown() -> None:
    swap = decide(preset="amazon-connect", agent_channel="left", platform_agent_channel="")
    assert swap.value is None
    assert "platform_agent_channel" in swap.why


def test_nothing_is_decided_while_the_recordings_side_is_unknown() -> None:
    swap = decide()
    assert swap.value is None
    assert "source_preset" in swap.why


def test_a_swap_asked_for_mono_is_a_problem() -> None:
    swap = decide(asked=True, channels=1)
    assert swap.value is None
    assert swap.problem is not None
    assert (swap.problem.code, swap.problem.level) == ("swap_on_mono", Level.BLOCK)
    assert decide(asked=False, channels=1) == Swap(False, "the manifest says so")


@pytest.mark.parametrize(
    ("channels", "why"), [(1, "there is one channel"), (3, "only two channels can be swapped")]
)
def test_only_two_channels_are_decided_upon(channels: int, why: str) -> None:
    swap = decide(preset="amazon-connect", platform_agent_channel="left", channels=channels)
    assert swap == Swap(None, why)


sides = st.sampled_from(["", "left", "right"])
maybe = st.sampled_from([None, False, True])


@given(maybe, st.sampled_from(["", *CONVENTIONS]), sides, sides, maybe, st.integers(1, 8))
def test_a_swap_that_is_sent_puts_the_agent_where_the_platform_expects_it(
    asked: bool | None, preset: str, agent: str, platform: str, outbound: bool | None, channels: int
) -> None:
    swap = decide(
        asked=asked,
        preset=preset,
        agent_channel=agent,
        platform_agent_channel=platform,
        outbound=outbound,
        channels=channels,
    )
    assert swap.why
    if swap.problem is not None:
        assert asked is True
        assert channels == 1
    elif asked is not None:
        assert swap.value is asked
    elif swap.value is not None:
        source = agent or CONVENTIONS[preset].agent(outbound)
        assert source
        swapped = {"left": "right", "right": "left"}[source]
        assert (swapped if swap.value else source) == platform
        assert channels == 2
