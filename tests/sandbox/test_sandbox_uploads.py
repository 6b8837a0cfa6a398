"""Uploading calls: the form's rules, duplicates, and the way back through the list."""

from __future__ import annotations

import hashlib
import io
import threading
import wave
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mediapipe.sandbox.calls import call_of
from mediapipe.sandbox.records import iso
from mediapipe.sandbox.sniff import sniff


def tone(seconds: float = 1.5) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x10\x00" * int(8000 * seconds))
    return buffer.getvalue()


def test_an_upload_is_answered_with_nothing_and_comes_back_in_the_list(api):
    audio = tone()
    answer = api.upload(
        audio,
        external_id="crm-7",
        tracking_number="18015550099",
        tag_name="Old",
        custom_source_type_2="Radio",
    )
    assert (answer.status_code, answer.content) == (200, b"")
    upload = api.box.state.uploads[0]
    assert (upload.external_id, upload.sha256) == ("crm-7", hashlib.sha256(audio).hexdigest())
    day = {"start": "2026-02-10T09:59:00Z", "end": "2026-02-10T10:01:00Z"}
    parts = "recordings,tags,custom_sources"
    records = api.page(caller_id="+18015551234", include=parts, **day)
    record = next(r for r in records if r["call_id"] == upload.call_id)
    assert record["call_started"] == "2026-02-10T10:00:00.000Z"
    assert (record["org_unit_id"], record["duration"]) == (1201, 2)
    assert record["phone_number"] == "18015550099"
    assert [tag["tag_name"] for tag in record["tags"]] == ["API Calls", "Old"]
    assert record["custom_sources"]["custom_source_type_2"]["custom_source_name"] == "Radio"
    assert "crm-7" not in str(record)
    assert api.http.get(record["recording_details"]["url"]).content == audio


def test_answer_may_be_json(sandbox):
    assert sandbox(upload_answer="json").upload(tone()).json() == {"result": "success", "err": None}


def test_a_repeat_makes_another_call(api):
    before = len(api.box.state.calls)
    for _ in range(3):
        assert api.upload(tone(), external_id="same").status_code == 200
    assert len(api.box.state.calls) == before + 3
    assert [u.external_id for u in api.box.state.uploads] == ["same"] * 3


def test_an_upload_is_created_when_it_comes_and_started_when_it_says(api):
    created = {u["call_detail"]["call_created"]: u["call_started"] for u in api.page()}
    assert all(made == started for made, started in created.items())
    api.box.state.advance(600)
    before = api.box.state.now_ms
    api.upload(tone())
    call = api.box.state.book.get(api.box.state.uploads[0].call_id)
    assert before <= call.created_ms <= api.box.state.now_ms
    record = api.call(call.call_id).json()["data"]["result"]
    assert record["call_started"] == "2026-02-10T10:00:00.000Z"
    assert record["call_detail"]["call_created"] == iso(call.created_ms)


def test_calls_of_an_older_sandbox_are_read(api):
    call = api.box.state.calls[0]
    kept = call._replace(created_ms=7).as_json()
    assert call_of(kept).created_ms == 7
    del kept["created_ms"]
    assert call_of(kept) == call


def test_what_was_uploaded_can_be_asked_for(api):
    audio = tone()
    assert api.http.get(f"{api.box.url}/_sandbox/uploads").json() == {"uploads": []}
    api.upload(audio, external_id="a")
    api.upload(audio, external_id="a", city="Zürich")
    first, second = api.http.get(f"{api.box.url}/_sandbox/uploads").json()["uploads"]
    assert (first["external_id"], second["external_id"]) == ("a", "a")
    assert first["call_id"] != second["call_id"]
    assert (first["sha256"], first["size"]) == (hashlib.sha256(audio).hexdigest(), len(audio))
    assert second["fields"]["city"] == "Zürich"


def test_mp3_is_accepted(api):
    call_id = next(i for i in api.recorded() if api.box.state.book.get(i).recording.container == "mp3")
    audio = api.box.state.recording_bytes(call_id)
    assert api.upload(audio).status_code == 200
    assert api.box.state.recording_bytes(api.box.state.uploads[0].call_id) == audio


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("call_date", None),
        ("call_date", ""),
        ("call_date", "null"),
        ("caller_id", None),
        ("caller_id", ""),
        ("caller_id", "+18015551234"),
        ("group_id", None),
        ("group_id", "main"),
        ("tracking_number", ""),
        ("ring_to", ""),
        ("is_outbound", "123"),
        ("is_outbound", ""),
        ("tag_name", ""),
        ("line_type", ""),
        ("assign_to", "null"),
    ],
)
def test_schema(shared, field, value):
    answer = shared.upload(tone(), **{field: value})
    assert answer.status_code == 400
    assert answer.json()["message"] == "Validation errors"
    assert answer.json()["errors"][0]["name"] == field


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("call_date", "2026-02-10T10:00:00.000", "valid date and time"),
        ("call_date", "2026-02-30T10:00:00.000Z", "valid date and time"),
        ("group_id", "77", "unauthorized for this group"),
        ("tracking_number", "123", "valid tracking number"),
        ("ring_to", "123456789", "valid ring to"),
        ("disposition", "ANS", "Invalid disposition"),
        ("channel_id", "123", "Invalid channel id"),
        ("zip_code", "123456", "valid zip code"),
    ],
)
def test_business_rules(shared, field, value, text):
    answer = shared.upload(tone(), **{field: value})
    assert answer.status_code == 200
    assert answer.json()["result"] == "error"
    assert text in answer.json()["err"]


def test_audio_is_required_and_checked(shared):
    assert "enter call recording file" in shared.upload(None).json()["err"]
    assert shared.upload(b"\xd0\xcf\x11\xe0 a spreadsheet").json()["err"] == "Invalid audio format."
    url = f"{shared.env['CONVIRZA_V2_URL']}/call/upload"
    assert shared.http.post(url, json={}, headers=shared.v2_headers).status_code == 400
    assert shared.http.post(url, headers=shared.v3_headers).status_code == 401


def test_external_group_id_stands_in_for_the_group(api):
    assert api.upload(tone(), group_id=None, group_ext_id="EXT-1203").status_code == 200
    assert api.box.state.book.get(api.box.state.uploads[0].call_id).org_unit_id == 1203


def test_too_large_and_read_only(sandbox):
    assert sandbox(upload_limit_bytes=1000).upload(tone()).status_code == 413
    assert sandbox(role_id=3).upload(tone()).status_code == 403


def test_a_url_is_stored_and_only_fetched_from_this_machine(api):
    audio = tone()

    class Shelf(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/a.wav" else 404)
            self.end_headers()
            self.wfile.write(audio)

        def log_message(self, *args: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Shelf) as shelf:
        thread = threading.Thread(target=shelf.serve_forever)
        thread.start()
        base = f"http://127.0.0.1:{shelf.server_port}"
        assert api.upload(None, recording_url=f"{base}/a.wav").content == b""
        assert "valid recording url" in api.upload(None, recording_url=f"{base}/b.wav").json()["err"]
        shelf.shutdown()
        thread.join()
    assert api.upload(None, recording_url="https://files.example/a.wav").content == b""
    assert "valid recording url" in api.upload(None, recording_url="file:///etc/hosts").json()["err"]
    near, far = api.box.state.uploads
    assert api.box.state.recording_bytes(near.call_id) == audio
    assert (far.sha256, api.box.state.book.get(far.call_id).recording) == ("", None)
    assert far.fields["recording_url"] == "https://files.example/a.wav"


def test_uploads_and_prompts_survive_a_restart(sandbox, tmp_path):
    first = sandbox(data=tmp_path, until=None, now=datetime(2026, 3, 1, tzinfo=UTC))
    audio = tone()
    first.upload(audio, external_id="kept")
    call_id = first.box.state.uploads[0].call_id
    late = first.box.state.insert_call(1_772_000_000_000, available_ms=2**52)
    first.box.state.reveal_recording(late.call_id)
    url = f"{first.env['CONVIRZA_V3_URL']}/media-prompts"
    for name in ("a", "b"):
        form = {"type": "prompt", "name": name}
        first.http.post(url, data=form, files={"file": ("a.wav", audio)}, headers=first.v3_headers)
    first.http.delete(f"{url}/4001", headers=first.v3_headers)
    with (tmp_path / "calls.jsonl").open("ab") as journal:
        journal.write(b'{"call_id": 1, "torn')
    second = sandbox(data=tmp_path, seed=99, count=5, until=None, now=datetime(2026, 3, 9, tzinfo=UTC))
    assert list(second.box.state.calls) == list(first.box.state.calls)
    assert second.box.state.uploads == first.box.state.uploads
    assert second.box.state.recording_bytes(call_id) == audio
    assert [(p.name, second.box.state.prompt_bytes(p.prompt_id)) for p in second.box.state.prompts] == [
        ("b", audio)
    ]
    second.upload(audio, external_id="after the torn line")
    third = sandbox(data=tmp_path, now=datetime(2026, 3, 2, tzinfo=UTC))
    assert [u.external_id for u in third.box.state.uploads] == ["kept", "after the torn line"]
    assert list(third.box.state.calls) == list(second.box.state.calls)
    url = f"{third.env['CONVIRZA_V3_URL']}/media-prompts"
    assert third.http.get(url, headers=first.v3_headers).status_code == 200


def test_sniff_tells_audio_from_other_things():
    assert sniff(tone(2)) == ("wav", 2.0, 1)
    assert sniff(b"") is None
    assert sniff(b"RIFF\x00\x00\x00\x00WAVE") == ("wav", 0.0, 1)
    assert sniff(b"ID3\x04\x00\x00\x00\x00\x00\x02ab<html>") is None
