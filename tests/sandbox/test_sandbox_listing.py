"""The list of calls and the call by id."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FEBRUARY_MS = 1_769_904_000_000


def instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_record_has_the_documented_fields(shared):
    answer = shared.list(
        limit=1, include="tags,comments,custom_sources,call_flow,recordings,transcription"
    ).json()
    assert answer.keys() == {"code", "message", "data", "request_id", "timestamp"}
    assert (answer["code"], answer["data"]["total"]) == (200, 400)
    record = answer["data"]["calls"][0]
    assert record.keys() >= {
        *("call_id", "provisioned_route_id", "org_unit_id", "disposition", "duration", "caller_id"),
        *("phone_number", "ring_to", "default_ring_to", "repeat_call", "call_started", "campaign_id"),
        *("campaign_name", "campaign_ext_id", "user_id", "group_name", "ai_caller_identity"),
        *("voiceagent_data", "call_detail", "custom_sources", "tags", "comments", "indicators", "summary"),
        "transcription",
    }
    assert record["call_detail"].keys() >= {"bill_second", "is_outbound", "call_ended", "call_created"}
    assert record["caller_id"].isdigit()
    assert record["call_started"].endswith("Z")


def test_recording_details(shared):
    records = shared.page(include="recordings")
    details = next(r["recording_details"] for r in records if "url" in (r.get("recording_details") or {}))
    assert details.keys() == {
        *("recording_id", "filename", "url", "expires_at", "channel_layout", "frequency", "format"),
        *("duration", "bitrate", "size"),
    }
    assert details["format"] == "wav"
    assert details["size"].endswith("kB")
    assert details["expires_at"] > datetime.now(UTC).timestamp() + 6 * 86_400


def test_missing_recordings_come_in_four_shapes(shared):
    shapes = set()
    for record in shared.page(include="recordings") + shared.page(include="recordings", offset=200):
        details = record.get("recording_details", "absent")
        if details == "absent" or not details or "url" not in details:
            shapes.add(str(details and "no_url" if isinstance(details, dict) and details else details))
    assert shapes == {"absent", "None", "{}", "no_url"}


def test_parts_come_only_when_included(shared):
    plain = shared.page(limit=1)[0]
    assert not plain.keys() & {"tags", "comments", "custom_sources", "recording_details", "transcription"}
    both = shared.http.get(
        f"{shared.env['CONVIRZA_V3_URL']}/conversations/calls?limit=1&include=tags&include=comments,call_flow"
        "&start=2026-02-01T00:00:00Z&end=2026-03-01T00:00:00Z",
        headers=shared.v3_headers,
    ).json()["data"]["calls"][0]
    assert both.keys() >= {"tags", "comments", "call_flow"}


def test_walk_is_newest_first_and_complete(shared):
    ids = shared.walk(limit=70)
    starts = [shared.box.state.book.get(i).started_ms for i in ids]
    assert starts == sorted(starts, reverse=True)
    assert sorted(ids) == sorted(call.call_id for call in shared.box.state.calls)


def test_defaults_are_fifty_and_seven_days(sandbox):
    api = sandbox(now=datetime(2026, 3, 1, tzinfo=UTC), count=300)
    answer = api.http.get(f"{api.env['CONVIRZA_V3_URL']}/conversations/calls", headers=api.v3_headers)
    data = answer.json()["data"]
    assert len(data["calls"]) == 50
    week = datetime(2026, 2, 22, tzinfo=UTC).timestamp() * 1000
    assert data["total"] == sum(call.started_ms >= week for call in api.box.state.calls)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}, 200),
        ({"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00.001Z"}, 400),
        ({"start": "2026-02-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}, 400),
        ({"start": "2026-02-02T00:00:00Z", "end": "2026-02-01T00:00:00Z"}, 400),
        ({"start": "yesterday"}, 400),
        ({"limit": 0}, 400),
        ({"limit": 201}, 400),
        ({"limit": "many"}, 400),
        ({"offset": -1}, 400),
        ({"offset": 100_000}, 200),
        ({"org_unit_id": 1201}, 200),
        ({"org_unit_id": 77}, 403),
        ({"org_unit_id": 0}, 400),
        ({"campaign_id": 0}, 400),
        ({"disposition": "NO ANSWER"}, 200),
        ({"disposition": "ANS"}, 400),
        ({"caller_id": "+18015551234"}, 200),
        ({"caller_id": "18015551234"}, 400),
        ({"include": "everything"}, 400),
    ],
)
def test_rules_of_the_query(shared, query, status):
    answer = shared.list(**query)
    assert answer.status_code == status
    assert answer.json()["code"] == status


def test_call_id_forces_single_record_mode(shared):
    call = shared.box.state.calls[5]
    data = shared.list(call_id=call.call_id, start="2020-01-01T00:00:00Z", offset=9).json()["data"]
    assert (data["total"], data["calls"][0]["call_id"]) == (1, call.call_id)
    assert shared.list(call_id=1).json()["data"] == {"total": 0, "calls": []}


OUTCOMES = ("ANSWERED", "NO ANSWER", "BUSY", "VOICEMAIL")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    span=st.tuples(st.integers(0, 28 * 86_400_000), st.integers(1, 31 * 86_400_000)),
    unit=st.sampled_from([None, 1200, 1201, 1203]),
    outcomes=st.sets(st.sampled_from(OUTCOMES), max_size=3),
    campaign=st.sampled_from([None, None, 311, 322]),
    like=st.one_of(st.none(), st.integers(0, 399)),
    by=st.sampled_from(["caller_id", "phone_number", "ring_to", "provisioned_route_id"]),
    offset=st.integers(0, 60),
    limit=st.integers(1, 200),
)
def test_filters_agree_with_a_naive_filter(shared, span, unit, outcomes, campaign, like, by, offset, limit):
    start, end = FEBRUARY_MS + span[0], FEBRUARY_MS + span[0] + span[1]
    calls = [c for c in shared.box.state.calls if start <= c.started_ms < end]
    query = {"start": instant(start), "end": instant(end), "offset": offset, "limit": limit}
    if unit:
        query["org_unit_id"] = unit
        calls = [c for c in calls if unit in (1200, c.org_unit_id)]
    if outcomes:
        query["disposition"] = sorted(outcomes)
        calls = [c for c in calls if c.disposition in outcomes]
    if campaign:
        query["campaign_id"] = campaign
        calls = [c for c in calls if c.campaign_id == campaign]
    if like is not None:
        attribute = "route_id" if by == "provisioned_route_id" else by
        value = getattr(shared.box.state.calls[like], attribute)
        query[by] = f"+{value}" if by == "caller_id" else value
        calls = [c for c in calls if getattr(c, attribute) == value]
    data = shared.list(**query).json()["data"]
    expected = sorted(calls, key=lambda c: (c.started_ms, c.call_id), reverse=True)
    assert data["total"] == len(expected)
    assert [c["call_id"] for c in data["calls"]] == [c.call_id for c in expected[offset : offset + limit]]


def test_by_id(shared):
    call = shared.box.state.calls[3]
    answer = shared.call(call.call_id)
    assert answer.json()["data"]["result"]["call_id"] == call.call_id
    assert answer.json()["code"] == 200
    assert shared.call(1).status_code == 404
    assert shared.http.get(answer.url).status_code == 401


def test_recording_appears_later(sandbox):
    api = sandbox(now=datetime(2026, 3, 1, tzinfo=UTC))
    late = [c for c in api.box.state.calls if c.recording and not c.available(api.box.state.now_ms)]
    assert len(late) >= 3
    details = api.call(late[0].call_id).json()["data"]["result"].get("recording_details")
    assert not details or "url" not in details
    api.box.state.advance(3 * 86_400)
    details = api.call(late[0].call_id).json()["data"]["result"]["recording_details"]
    assert details["recording_id"] == late[0].recording.recording_id
