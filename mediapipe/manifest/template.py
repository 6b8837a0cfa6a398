"""An example manifest that explains itself: every column, and rows that pass."""

from __future__ import annotations

from collections.abc import Mapping

from mediapipe.manifest.written import csv_text

COLUMNS: Mapping[str, str] = {
    "recording_file": "the audio: a path below the folder of the manifest (or --root), or s3://bucket/key",
    "recording_url": "or the audio's https:// address; each row has a file or an address, never both",
    "external_id": "NEEDED. The call's id in your system, one for each call: by it none is sent twice",
    "call_date": "NEEDED. 2026-02-03T09:30:00-05:00; without an offset it is local time in --tz",
    "caller_id": "NEEDED. The caller's number: 18015550123, +1 801 555 0123",
    "group_id": "NEEDED, or the next one. The number of the group that the call belongs to",
    "group_ext_id": "or the group's id in your system",
    "tracking_number": "the number that was called",
    "ring_to": "the number that it was put through to",
    "disposition": "how the call ended: ANSWERED, NO ANSWER, BUSY, FAILED, VOICEMAIL …",
    "line_type": "kind of the caller's line",
    "channel_id": "the number of the marketing channel",
    "campaign_id": "the number of the campaign",
    "assign_to": "whom the call is assigned to",
    "custom_source_type_1": "your own sources of calls; so for 2, 3, 4 and 5",
    "custom_source_type_2": "",
    "custom_source_type_3": "",
    "custom_source_type_4": "",
    "custom_source_type_5": "",
    "caller_name": "the caller; names are taken as they are",
    "company_name": "the caller's company",
    "address": "the caller's street and number",
    "city": "the caller's town",
    "state": "the caller's state",
    "zip_code": "the caller's postal code; keep its zeros: 02134",
    "tag_name": "a tag that the call gets",
    "swap_channels": "true where the agent is on the other channel than usual; empty: as the settings say",
    "is_outbound": "true for a call that was made, false for one that came in",
    "transcribe": "true to have the call transcribed",
    "duration": "182.5 or 0:03:02. Compared with the audio, never sent",
}
"""What each column is for, the needed ones first; an empty text goes with the line before."""

_HEAD = """\
A call manifest: one line for each call, columns in any order, only the needed ones must be there.
Lines that begin with # may stand before the header. Save it as CSV UTF-8, ids and numbers as text.
An empty cell is not sent. Yes and no: true, false. Other headers and words: [manifest] in a profile.
Try it:   mediapipe calls check MANIFEST   then   mediapipe calls import MANIFEST
"""
_COMMON = {"call_date": "2026-02-03T09:30:00-05:00", "caller_id": "18015550123", "group_id": "12345"}
EXAMPLES: tuple[Mapping[str, str], ...] = (
    {
        **_COMMON,
        "recording_file": "2026/02/call-0001.wav",
        "external_id": "call-0001",
        "tracking_number": "18015550199",
        "disposition": "ANSWERED",
        "caller_name": "Zoë Ångström, Ltd.",
        "zip_code": "02134",
        "is_outbound": "false",
    },
    {
        **_COMMON,
        "recording_url": "https://recordings.example.com/call-0002.mp3",
        "external_id": "call-0002",
        "call_date": "2026-02-03T14:45:10Z",
        "is_outbound": "true",
    },
)
"""Rows that an import would take, given the audio."""


def template() -> str:
    """Return the example, without the end of its last line."""
    used = [name for name in COLUMNS if any(name in row for row in EXAMPLES)]
    width = max(map(len, COLUMNS))
    told = [f"{name:<{width}}  {text}" for name, text in COLUMNS.items() if text]
    rows = [[row.get(name, "") for name in used] for row in EXAMPLES]
    comments = [f"# {line}".rstrip() for line in (*_HEAD.splitlines(), "", *told)]
    return "\n".join((*comments, csv_text([used, *rows])))
