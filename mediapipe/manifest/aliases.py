"""Other systems' headers that mean one thing only, and which column of ours that is.

Left out is what reads as two things: a ``date`` beside a ``time``, ``called_number`` (ours, or the
customer's), ``direction``, ``status``. Names are normalised.
"""

from __future__ import annotations

from collections.abc import Mapping

ALIASES: Mapping[str, str] = {
    theirs: ours
    for ours, names in {
        "recording_file": (
            *("file", "filename", "file_name", "path", "file_path", "filepath", "audio_file", "audio_path"),
            *("recording_path", "recording_filename", "recording_file_name", "recordingfile", "wav_file"),
        ),
        "recording_url": ("url", "audio_url", "file_url", "download_url", "recordingurl"),
        "external_id": (
            *("id", "call_id", "callid", "call_uuid", "ucid", "uniqueid", "unique_id", "contact_id"),
            *("externalid", "ext_id", "callsid", "call_sid"),
        ),
        "call_date": (
            *("calldate", "call_datetime", "call_date_time", "call_start", "call_start_time", "call_started"),
            *("start_time", "starttime", "started_at", "datetime", "date_time", "call_timestamp"),
        ),
        "caller_id": (
            *("caller", "from", "ani", "callerid", "caller_number", "caller_phone", "calling_number"),
            *("from_number", "caller_phone_number"),
        ),
        "tracking_number": ("dnis", "did", "trackingnumber", "tracking_phone", "tracking_phone_number"),
        "group_id": ("groupid",),
        "caller_name": ("callername",),
        "company_name": ("company",),
        "zip_code": ("zip", "zipcode", "postal_code", "postcode"),
        "is_outbound": ("outbound", "isoutbound"),
        "swap_channels": ("swapchannels",),
        "duration": ("duration_s", "duration_sec", "duration_seconds", "call_duration", "recording_duration"),
    }.items()
    for theirs in names
}
"""Our names by theirs."""
