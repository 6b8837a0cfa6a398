"""The prompt endpoints of both generations."""

from __future__ import annotations

from typing import Any

import httpx
import pytest


def wav(api: Any) -> bytes:
    state = api.box.state
    call_id = next(i for i in api.recorded() if state.book.get(i).recording.container == "wav")
    audio: bytes = state.recording_bytes(call_id)
    return audio


def add(
    api: Any, kind: str = "prompt", name: str = "welcome", file: str = "w.wav", **more: Any
) -> httpx.Response:
    url = f"{api.env['CONVIRZA_V3_URL']}/media-prompts"
    files = {"file": (file, more.get("audio") or wav(api))}
    answer: httpx.Response = api.http.post(
        url, data={"type": kind, "name": name}, files=files, headers=api.v3_headers
    )
    return answer


def listed(api: Any, **query: str) -> list[dict[str, Any]]:
    url = f"{api.env['CONVIRZA_V3_URL']}/media-prompts"
    items: list[dict[str, Any]] = api.http.get(url, params=query, headers=api.v3_headers).json()["data"]
    return items


def test_upload_list_delete(api):
    created = add(api)
    assert created.status_code == 201
    prompt = created.json()["data"]
    assert (prompt["type"], prompt["name"]) == ("prompt", "welcome")
    assert listed(api) == [prompt]
    assert api.box.state.prompt_bytes(prompt["id"]) == wav(api)
    url = f"{api.env['CONVIRZA_V3_URL']}/media-prompts/{prompt['id']}"
    assert api.http.delete(url, headers=api.v3_headers).status_code == 200
    assert api.http.delete(url, headers=api.v3_headers).status_code == 404
    assert listed(api) == []
    assert [p.deleted for p in api.box.state.library.everything] == [True]
    with pytest.raises(KeyError):
        api.box.state.prompt_bytes(prompt["id"])


def test_list_filters_by_type_and_part_of_the_name(api):
    for kind, name in (("prompt", "welcome"), ("prompt", "welcome back"), ("whisper", "welcome")):
        add(api, kind, name)
    assert len(listed(api, name="welcome")) == 3
    assert [p["name"] for p in listed(api, type="prompt", name="back")] == ["welcome back"]
    assert [p["type"] for p in listed(api, type="whisper")] == ["whisper"]


def test_exact_names_and_no_id_by_config(sandbox):
    api = sandbox(prompt_name_partial=False, prompt_id_key="")
    add(api, name="welcome back")
    assert "id" not in listed(api)[0]
    assert listed(api, name="welcome") == []


def test_the_list_comes_whole_or_in_pages(sandbox):
    api = sandbox()
    for number in range(5):
        add(api, name=f"p{number}")
    assert len(listed(api, limit="2", offset="4")) == 5
    assert all("size" in prompt for prompt in listed(api))
    api = sandbox(prompt_page_size=3, prompt_shows_size=False)
    for number in range(5):
        add(api, name=f"p{number}")
    assert [prompt["name"] for prompt in listed(api)] == ["p0", "p1", "p2"]
    assert [prompt["name"] for prompt in listed(api, limit="2", offset="2")] == ["p2", "p3"]
    assert [prompt["name"] for prompt in listed(api, limit="200", offset="3")] == ["p3", "p4"]
    assert listed(api, offset="5") == []
    assert not any("size" in prompt for prompt in listed(api))
    url = f"{api.env['CONVIRZA_V3_URL']}/media-prompts"
    assert api.http.get(url, params={"limit": "x"}, headers=api.v3_headers).status_code == 400


def test_a_wrapped_list_says_how_many_there_are(sandbox):
    api = sandbox(prompt_page_size=1, prompt_list_wrapped=True)
    add(api, "whisper")
    add(api, name="second")
    data: Any = listed(api)
    assert (len(data["items"]), data["total"]) == (1, 2)
    whispers: Any = listed(api, type="whisper")
    assert whispers["total"] == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"kind": "jingle"}, 400),
        ({"file": "w.txt"}, 400),
        ({"file": "w.flac"}, 201),
        ({"audio": b"0" * 50_000_000}, 201),
        ({"audio": b"0" * 50_000_001}, 413),
    ],
)
def test_rules(api, change, status):
    assert add(api, **change).status_code == status


def test_wrong_field_and_wrong_body(api):
    url = f"{api.env['CONVIRZA_V3_URL']}/media-prompts"
    wrong = api.http.post(url, data={"type": "prompt"}, files={"audio": b"x"}, headers=api.v3_headers)
    assert wrong.status_code == 400
    assert api.http.post(url, json={}, headers=api.v3_headers).status_code == 400
    assert api.http.get(url, params={"type": "x"}, headers=api.v3_headers).status_code == 400
    assert api.http.get(url, headers=api.v2_headers).status_code == 401


def test_read_only_role_creates_and_deletes_nothing(sandbox):
    api = sandbox(role_id=3)
    assert add(api).status_code == 403
    url = f"{api.env['CONVIRZA_V3_URL']}/media-prompts/4001"
    assert api.http.delete(url, headers=api.v3_headers).status_code == 403


def v2_upload(api: Any, kind: str, *files: str, audio: bytes | None = None) -> dict[str, Any]:
    names = ["file"] if len(files) == 1 else [f"file_{n}" for n in range(len(files))]
    parts = [(part, (name, audio or wav(api))) for part, name in zip(names, files, strict=True)]
    url = f"{api.env['CONVIRZA_V2_URL']}/misc/upload/{kind}"
    body: dict[str, Any] = api.http.post(url, files=parts, headers=api.v2_headers).json()
    return body


def v2_list(api: Any, **query: Any) -> dict[str, Any]:
    url = f"{api.env['CONVIRZA_V2_URL']}/misc/getaudiolist"
    body: dict[str, Any] = api.http.get(url, params=query, headers=api.v2_headers).json()
    return body


def test_v2_uploads_and_list(api):
    assert v2_upload(api, "prompt", "hello.wav")["result"] == "success"
    assert v2_upload(api, "whisper", *(f"w{n}.mp3" for n in range(15)))["result"] == "success"
    items = v2_list(api)["data"]
    assert len(items) == 16
    assert items[0].keys() == {"uploaded_on", "file_name", "org_unit_id", "type", "reference_id", "recordURL"}
    assert items[0]["file_name"] == "hello"
    assert api.http.get(items[0]["recordURL"]).content == wav(api)
    assert [i["file_name"] for i in v2_list(api, filter="type=whisper", limit=2, offset=1)["data"]] == [
        "w1",
        "w2",
    ]
    assert len(v2_list(api, filter="file_name=hello")["data"]) == 1
    assert v2_list(api, filter="file_name=hello.wav")["data"] == []


def test_v2_errors_stand_in_data(api):
    sixteen = v2_upload(api, "prompt", *(f"w{n}.mp3" for n in range(16)))
    assert sixteen["result"] == "error"
    assert "15" in sixteen["data"]
    wrong = v2_upload(api, "prompt", "a.mp4")
    assert (wrong["result"], wrong["data"]) == ("error", "Incorrect File Format. It Should Be mp3/wav")
    assert v2_upload(api, "whisper", "a.wav", audio=b"text")["result"] == "error"
    assert v2_list(api)["data"] == []


def test_v2_list_filters_answer_as_recorded(api):
    assert v2_list(api, filter="type=")["err"] == "Please provide valid data."
    assert v2_list(api, filter="uploaded_on=soon")["err"].startswith("Query error in ctPool")
    assert v2_list(api, filter="uploaded_on=null")["data"] == []
    assert v2_list(api, limit="x")["result"] == "error"
