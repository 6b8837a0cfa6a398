from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from mediapipe.audio.channels import decide_swap
from mediapipe.audio.options import AudioOptions, Judgement, QualityRules
from mediapipe.audio.targets import DEFAULT_LIMIT


def test_nothing_set_means_the_limit_of_the_platform_and_no_sound_refused() -> None:
    assert AudioOptions().max_upload_bytes == DEFAULT_LIMIT
    levels = [value for value in QualityRules().model_dump().values() if isinstance(value, str)]
    assert set(levels) <= set(get_args(Judgement)) - {"block"}


def test_sizes_may_be_written_as_people_write_them() -> None:
    assert AudioOptions(max_upload_bytes="25MB").max_upload_bytes == 25_000_000  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        {"max_upload_bytes": 10},
        {"min_bitrate": 4},
        {"when_too_large": "shrink"},
        {"agent_channel": "middle"},
        {"worker_memory": 2**20},
        {"max_upload_byte": 10**6},
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AudioOptions(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", ["error", "", "Warn"])
def test_a_rule_passes_warns_or_blocks(level: str) -> None:
    with pytest.raises(ValidationError):
        QualityRules(clipping=level)  # type: ignore[arg-type]


def test_without_settings_no_channels_are_swapped_on_our_own_account() -> None:
    options = AudioOptions()
    swap = decide_swap(
        asked=None,
        preset=options.source_preset,
        agent_channel=options.agent_channel,
        platform_agent_channel=options.platform_agent_channel,
        outbound=False,
        channels=2,
    )
    assert swap.value is None
