"""Every fault does what its name says, and no fault is without a test."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx
import pytest

from mediapipe.sandbox import FAULTS, FaultRule, running
from mediapipe.sandbox.scenario import Draw, Switch

TESTED: set[str] = set()


def covers(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    TESTED.update(names)
    return lambda function: function


def on(api: Any, name: str, **rule: Any) -> None:
    api.box.state.faults.set([FaultRule(name=name, **rule)])


def fetch(api: Any, index: int = 0, **headers: str) -> httpx.Response:
    answer: httpx.Response = api.http.get(api.url(api.recorded()[index]), headers=headers)
    return answer


def whole(api: Any, index: int = 0) -> bytes:
    data: bytes = api.box.state.recording_bytes(api.recorded()[index])
    return data


def statuses(ask: Callable[[], httpx.Response], times: int) -> list[int | str]:
    found: list[int | str] = []
    for _ in range(times):
        try:
            found.append(ask().status_code)
        except httpx.TransportError as error:
            found.append(type(error).__name__)
    return found


def prompt(api: Any) -> httpx.Response:
    url = f"{api.env['CONVIRZA_V3_URL']}/media-prompts"
    answer: httpx.Response = api.http.post(
        url,
        data={"type": "prompt", "name": "a"},
        files={"file": ("a.wav", whole(api))},
        headers=api.v3_headers,
    )
    return answer


def refresh(api: Any) -> httpx.Response:
    token = api.login().json()["refresh_token"]
    url = f"{api.env['CONVIRZA_V3_OAUTH_URL']}/refresh-token"
    answer: httpx.Response = api.http.post(url, json={"refresh_token": token})
    return answer


def upload(api: Any) -> httpx.Response:
    call_id = next(i for i in api.recorded() if api.box.state.book.get(i).recording.container == "wav")
    answer: httpx.Response = api.upload(api.box.state.recording_bytes(call_id))
    return answer


ASK: dict[str, Callable[[Any], httpx.Response]] = {
    "token": lambda api: api.login(),
    "refresh": refresh,
    "list": lambda api: api.list(),
    "call": lambda api: api.call(api.recorded()[0]),
    "recording": fetch,
    "upload": upload,
    "prompt": prompt,
    "prompt_list": lambda api: api.http.get(
        f"{api.env['CONVIRZA_V3_URL']}/media-prompts", headers=api.v3_headers
    ),
    "prompt_list_v2": lambda api: api.http.get(
        f"{api.env['CONVIRZA_V2_URL']}/misc/getaudiolist", headers=api.v2_headers
    ),
    "prompt_v2": lambda api: api.http.post(
        f"{api.env['CONVIRZA_V2_URL']}/misc/upload/whisper",
        files={"file": ("a.wav", whole(api))},
        headers=api.v2_headers,
    ),
    "prompt_delete": lambda api: api.http.delete(
        f"{api.env['CONVIRZA_V3_URL']}/media-prompts/4001", headers=api.v3_headers
    ),
    "routes": lambda api: api.http.get(
        f"{api.env['CONVIRZA_V3_URL']}/provisioned-routes", headers=api.v3_headers
    ),
    "route": lambda api: api.http.get(
        f"{api.env['CONVIRZA_V3_URL']}/provisioned-routes/1022", headers=api.v3_headers
    ),
}

PLAIN = {
    "token_500": 500,
    "token_429": 429,
    "token_reset": "ReadError",
    "refresh_401": 401,
    "refresh_500": 500,
    "list_500": 500,
    "list_429": 429,
    "list_reset": "ReadError",
    "call_500": 500,
    "call_429": 429,
    "call_404": 404,
    "call_reset": "ReadError",
    "recording_500": 500,
    "recording_429": 429,
    "upload_drop_before": "RemoteProtocolError",
    "upload_500_before": 500,
    "upload_503": 503,
    "upload_429": 429,
    "upload_400": 400,
    "upload_413": 413,
    "upload_schema_error": 400,
    "prompt_500_before": 500,
    "prompt_429": 429,
    "prompt_503": 503,
    "prompt_400": 400,
    "prompt_drop_before": "RemoteProtocolError",
    "prompt_list_500": 500,
    "prompt_list_429": 429,
}


@covers(*PLAIN)
@pytest.mark.parametrize("name", PLAIN)
def test_refusals_have_no_effect_and_pass_when_used_up(api, name):
    endpoint = "prompt_list" if name.startswith("prompt_list") else name.split("_")[0]
    on(api, name, first=2)
    good = 201 if endpoint == "prompt" else 200
    assert statuses(lambda: ASK[endpoint](api), 3) == [PLAIN[name]] * 2 + [good]
    assert len(api.box.state.uploads) == (endpoint == "upload")
    assert len(api.box.state.prompts) == (endpoint == "prompt")
    assert api.box.state.faults.hits(name) == 2


def test_429_carries_retry_after_when_it_has_seconds(api):
    on(api, "list_429", first=1)
    assert "retry-after" not in api.list().headers
    on(api, "list_429", first=1, seconds=3)
    assert api.list().headers["retry-after"] == "3"


COMMITTED = {
    "upload_commit_then_drop": "RemoteProtocolError",
    "upload_commit_then_500": 500,
    "upload_commit_then_504": 504,
    "upload_commit_then_html": 200,
    "prompt_commit_then_drop": "RemoteProtocolError",
    "prompt_commit_then_500": 500,
    "prompt_commit_then_html": 200,
}


@covers(*COMMITTED)
@pytest.mark.parametrize("name", COMMITTED)
def test_effect_without_its_answer(api, name):
    on(api, name, first=1)
    assert statuses(lambda: ASK[name.split("_")[0]](api), 1) == [COMMITTED[name]]
    assert len(api.box.state.uploads) + len(api.box.state.prompts) == 1


@covers("refresh_commit_then_drop")
def test_a_lost_refresh_breaks_the_chain(api):
    token = api.login().json()["refresh_token"]
    url = f"{api.env['CONVIRZA_V3_OAUTH_URL']}/refresh-token"
    on(api, "refresh_commit_then_drop", first=1)
    assert statuses(lambda: api.http.post(url, json={"refresh_token": token}), 2) == [
        "RemoteProtocolError",
        401,
    ]


@covers("token_wrapped")
def test_token_wrapped(api):
    on(api, "token_wrapped", first=1)
    assert "access_token" in api.login().json()["data"]
    assert "access_token" in api.login().json()


def test_token_faults_meet_both_generations(api):
    on(api, "token_500", first=2)
    assert [api.login().status_code, api.login_v2().status_code, api.login_v2().status_code] == [
        500,
        500,
        200,
    ]


@covers("unauthorized_mid_run", "forbidden")
def test_token_dies_mid_run(api):
    on(api, "unauthorized_mid_run", first=1, skip=1)
    assert statuses(api.list, 3) == [200, 401, 401]
    api.v3_headers = {"Authorization": f"Bearer {api.login().json()['access_token']}"}
    assert api.list().status_code == 200
    on(api, "forbidden")
    assert api.list().status_code == 403


@covers("list_slow", "recording_slow", "upload_slow")
@pytest.mark.parametrize("endpoint", ["list", "recording", "upload"])
def test_slow(api, endpoint):
    on(api, f"{endpoint}_slow", seconds=0.15)
    begin = time.monotonic()
    assert ASK[endpoint](api).status_code == 200
    assert time.monotonic() - begin >= 0.15


HANGING = {
    "recording_hang": 0,
    "upload_hang": 0,
    "upload_commit_then_hang": 1,
    "prompt_hang": 0,
    "prompt_commit_then_hang": 1,
}


@covers(*HANGING)
@pytest.mark.parametrize(("name", "made"), HANGING.items())
def test_hang(api, name, made):
    on(api, name, seconds=30)
    api.http.timeout = httpx.Timeout(0.3)
    assert statuses(lambda: ASK[name.split("_")[0]](api), 1) == ["ReadTimeout"]
    assert len(api.box.state.uploads) + len(api.box.state.prompts) == made


def test_hang_ends_in_a_drop(api):
    on(api, "recording_hang", seconds=0.05)
    assert statuses(lambda: fetch(api), 1) == ["RemoteProtocolError"]


HTML = {
    "list_html_200": "list",
    "recording_html_200": "recording",
    "upload_html": "upload",
    "prompt_html": "prompt",
    "prompt_list_html_200": "prompt_list",
}


@covers(*HTML)
@pytest.mark.parametrize("name", HTML)
def test_html_with_status_200(api, name):
    on(api, name)
    answer = ASK[HTML[name]](api)
    assert (answer.status_code, answer.headers["content-type"][:9]) == (200, "text/html")
    assert not api.box.state.uploads
    assert not api.box.state.prompts


@covers("upload_result_error", "upload_data_error", "upload_empty_200", "upload_result_json")
def test_upload_answers(api):
    on(api, "upload_result_error")
    assert upload(api).json() == {"result": "error", "err": "Failed to upload  File."}
    on(api, "upload_data_error")
    assert upload(api).json()["data"] == "Failed to upload  File."
    assert not api.box.state.uploads
    on(api, "upload_result_json")
    assert upload(api).json()["result"] == "success"
    on(api, "upload_empty_200")
    assert upload(api).content == b""
    assert len(api.box.state.uploads) == 2


@pytest.mark.parametrize("how", ["drop", "500", "504", "hang", "html"])
def test_what_was_refused_was_not_committed_and_its_answer_is_not_spoilt(api, how):
    api.box.state.faults.set(
        [FaultRule(name=f"upload_commit_then_{how}", seconds=0.1), FaultRule(name="upload_duplicate_refused")]
    )
    assert api.upload(whole(api), group_id="77").json()["err"] == "You are unauthorized for this group."
    assert api.upload(whole(api), caller_id="").status_code == 400
    assert not api.box.state.uploads
    for _ in range(2):
        try:
            answer = api.upload(whole(api), external_id="a")
        except httpx.RemoteProtocolError:
            answer = None
    assert answer is not None
    assert answer.json() == {"result": "error", "err": "Duplicate external ID."}
    assert [upload.external_id for upload in api.box.state.uploads] == ["a"]


@covers("upload_indexed_late")
def test_upload_shows_in_the_list_late(api):
    on(api, "upload_indexed_late", seconds=0.2)
    before = api.list(limit=1).json()["data"]["total"]
    upload(api)
    assert api.list(limit=1).json()["data"]["total"] == before
    deadline = time.monotonic() + 5
    while api.list(limit=1).json()["data"]["total"] == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert api.list(limit=1).json()["data"]["total"] == before + 1


@covers("upload_duplicate_refused")
def test_an_external_id_is_taken_once(api):
    on(api, "upload_duplicate_refused")
    audio = whole(api)
    assert api.upload(audio, external_id="a").content == b""
    assert api.upload(audio, external_id="a").json() == {"result": "error", "err": "Duplicate external ID."}
    assert api.upload(audio, external_id="b").content == b""
    assert api.upload(audio, external_id=None).content == b""
    assert api.upload(audio, external_id=None).content == b""
    assert [upload.external_id for upload in api.box.state.uploads] == ["a", "b", "", ""]


@covers("upload_fetch_late")
@pytest.mark.parametrize("also", [(), ("upload_indexed_late",)])
def test_an_address_is_fetched_after_the_answer(api, also):
    rules = [FaultRule(name=name, seconds=0.2) for name in ("upload_fetch_late", *also)]
    source = api.url(api.recorded()[0])
    api.box.state.faults.set(rules)
    assert api.upload(None, recording_url=source).content == b""
    for bad in (f"{source}0", "file:///etc/hosts", "https://files.example/a.wav"):
        assert api.upload(None, recording_url=bad).content == b""
    assert api.upload(whole(api)).content == b""  # a file is there at once
    first, *others, last = [upload.call_id for upload in api.box.state.uploads]
    assert (api.box.state.book.get(first) is None) == bool(also)
    deadline = time.monotonic() + 5
    while not has_recording(api, first) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert api.box.state.recording_bytes(first) == whole(api)
    assert api.http.get(api.url(first)).content == whole(api)
    assert api.box.state.book.get(first).duration > 0
    assert not any(has_recording(api, call_id) for call_id in others)
    assert has_recording(api, last)


def has_recording(api: Any, call_id: int) -> bool:
    call = api.box.state.book.get(call_id)
    return call is not None and call.available(api.box.state.now_ms) is not None


@covers("list_unstable_order")
def test_unstable_order(api):
    on(api, "list_unstable_order")
    ids = api.walk(limit=40)
    assert len(ids) == 120
    assert len(set(ids)) < 120


@covers("list_duplicates")
def test_duplicates(api):
    on(api, "list_duplicates")
    ids = api.walk(limit=50)
    assert len(ids) > len(set(ids)) == 120


@covers("list_drifting_total")
def test_drifting_total(api):
    on(api, "list_drifting_total")
    totals = {api.list().json()["data"]["total"] for _ in range(12)}
    assert len(totals) > 1
    assert 120 not in totals
    assert len(api.walk()) == 120


@covers("list_insert_mid_walk")
def test_insert_mid_walk(api):
    on(api, "list_insert_mid_walk", amount=2)
    ids = api.walk(limit=50)
    assert len(api.box.state.calls) == 122
    assert len(ids) > len(set(ids)) == 120
    again = api.walk(limit=50)
    assert len(again) == len(set(again)) == 122
    assert set(again) > set(ids)


@covers("list_never_settles")
def test_never_settles(api):
    day = {"start": "2026-02-10T00:00:00Z", "end": "2026-02-11T00:00:00Z"}
    on(api, "list_never_settles", days=frozenset({"2026-02-10"}))
    walks = [frozenset(api.walk(limit=3, **day)) for _ in range(5)]
    assert all(one != other for one, other in pairwise(walks))
    total = api.list(**day).json()["data"]["total"]
    assert all(len(walk) < total for walk in walks)
    other = {"start": "2026-02-11T00:00:00Z", "end": "2026-02-12T00:00:00Z"}
    assert api.walk(**other) == api.walk(**other)


@covers("list_ignores_offset", "list_page_cap")
def test_ignored_offset_and_capped_page(api):
    on(api, "list_ignores_offset")
    assert api.page(offset=50, limit=10) == api.page(offset=0, limit=10)
    on(api, "list_page_cap", amount=7)
    assert len(api.page(limit=200)) == 7
    assert len(set(api.walk())) == 120


@covers("recording_403_once", "recording_410")
@pytest.mark.parametrize(("name", "status"), [("recording_403_once", 403), ("recording_410", 410)])
def test_once_per_call(api, name, status):
    on(api, name)
    assert [fetch(api).status_code, fetch(api).status_code, fetch(api, 1).status_code] == [
        status,
        200,
        status,
    ]


def test_410_kills_the_url_and_not_the_recording(api):
    on(api, "recording_410")
    url = api.url(api.recorded()[0])
    assert statuses(lambda: api.http.get(url), 3) == [410] * 3
    assert "has expired" in api.http.get(url).json()["message"]
    assert fetch(api).status_code == 200


@covers("recording_410_forever", "recording_poison", "recording_404")
@pytest.mark.parametrize(
    ("name", "status"), [("recording_410_forever", 410), ("recording_poison", 500), ("recording_404", 404)]
)
def test_for_good(api, name, status):
    on(api, name, rate=0.4, seed=1)
    first = [fetch(api, n).status_code for n in range(15)]
    assert first == [fetch(api, n).status_code for n in range(15)]
    assert set(first) == {status, 200}
    on(api, name, calls=frozenset({api.recorded()[2]}))
    assert [fetch(api, n).status_code for n in range(4)] == [200, 200, status, 200]


@covers("recording_reset", "recording_truncated", "recording_wrong_length")
@pytest.mark.parametrize("name", ["recording_reset", "recording_truncated", "recording_wrong_length"])
def test_body_ends_before_its_declared_length(api, name):
    on(api, name, first=1)
    got = bytearray()
    declared = 0

    def read() -> None:
        nonlocal declared
        with api.http.stream("GET", api.url(api.recorded()[0])) as answer:
            declared = int(answer.headers["content-length"])
            for chunk in answer.iter_raw():
                got.extend(chunk)

    with pytest.raises(httpx.TransportError) as caught:
        read()
    assert type(caught.value).__name__ == (
        "ReadError" if name == "recording_reset" else "RemoteProtocolError"
    )
    assert whole(api).startswith(got)
    if name == "recording_wrong_length":
        assert (got, declared) == (whole(api), len(got) + 1000)
    else:
        assert len(got) < declared == len(whole(api))
    assert fetch(api).content == whole(api)


@covers(
    "recording_short", "recording_no_length", "recording_empty", "recording_json_200", "recording_no_range"
)
def test_other_bodies(api):
    on(api, "recording_short")
    short = fetch(api)
    assert short.content == whole(api)[: len(whole(api)) // 2]
    assert "content-length" not in short.headers
    on(api, "recording_no_length")
    assert "content-length" not in fetch(api).headers
    assert fetch(api).content == whole(api)
    on(api, "recording_empty")
    assert (fetch(api).status_code, fetch(api).content) == (200, b"")
    on(api, "recording_json_200")
    assert (fetch(api).status_code, fetch(api).headers["content-type"]) == (200, "application/json")
    on(api, "recording_no_range")
    assert fetch(api, Range="bytes=10-").status_code == 200


@covers("recording_redirect_foreign", "recording_redirect_same")
def test_redirects(api):
    on(api, "recording_redirect_same")
    assert fetch(api).status_code == 302
    assert api.http.get(api.url(api.recorded()[0]), follow_redirects=True).content == whole(api)
    with running(api.box.state.config) as foreign:
        on(api, "recording_redirect_foreign", target=foreign.url)
        answer = api.http.get(api.url(api.recorded()[0]), follow_redirects=True)
        assert str(answer.url).startswith(foreign.url)
        assert foreign.state.stats.recording_fetches == {api.recorded()[0]: 1}
        assert foreign.state.stats.recordings_host_authorization == 0
    on(api, "recording_redirect_foreign")
    assert fetch(api).headers["location"].startswith("http://localhost.invalid/")


@covers("recording_etag_changes")
def test_etag_changes(api):
    on(api, "recording_etag_changes")
    url = api.url(api.recorded()[0])
    with pytest.raises(httpx.RemoteProtocolError), api.http.stream("GET", url) as first:
        first.read()
    rest = api.http.get(url, headers={"Range": "bytes=2000-"})
    assert rest.status_code == 206
    assert rest.headers["etag"] != first.headers["etag"]
    assert rest.content != whole(api)[2000:]
    assert len(rest.content) == len(whole(api)) - 2000


def test_a_rate_is_drawn_anew_for_every_request_from_the_seed(api):
    on(api, "recording_500", rate=0.5, seed=5)
    first = statuses(lambda: fetch(api), 30)
    on(api, "recording_500", rate=0.5, seed=5)
    assert statuses(lambda: fetch(api), 30) == first
    assert 5 < first.count(500) < 25


def test_several_faults_stand_around_each_other(api):
    api.box.state.faults.set([FaultRule(name="list_500", first=1), FaultRule(name="list_429", first=1)])
    assert statuses(api.list, 3) == [500, 429, 200]


def test_sticky_with_first_strikes_that_many_calls():
    switch = Switch(FaultRule(name="x", first=2), Draw.STICKY)
    assert [switch.fires(n) for n in (1, 2, 3, 1, 2)] == [True, True, False, True, True]


@covers("groups_500", "groups_403")
def test_the_list_of_groups_fails(api):
    url = f"{api.env['CONVIRZA_V3_URL']}/groups/list"
    for name, status in (("groups_500", 500), ("groups_403", 403)):
        on(api, name)
        assert api.http.get(url, headers=api.v3_headers).status_code == status
    api.box.state.faults.set([])
    assert api.http.get(url, headers=api.v3_headers).json()["data"]["total"] == 4


@covers("prompt_half_made")
@pytest.mark.parametrize("endpoint", ["prompt", "prompt_v2"])
def test_half_a_prompt_is_kept(api, endpoint):
    on(api, "prompt_half_made", first=1)
    assert statuses(lambda: ASK[endpoint](api), 1) == ["RemoteProtocolError"]
    (kept,) = api.box.state.prompts
    assert api.box.state.prompt_bytes(kept.prompt_id) == whole(api)[: len(whole(api)) // 2]
    assert kept.size == len(whole(api)) // 2


def entries(api: Any, endpoint: str = "prompt_list") -> int:
    return len(ASK[endpoint](api).json()["data"])


@covers("prompt_listed_late")
@pytest.mark.parametrize("of", ["prompt", "prompt_v2"])
def test_a_prompt_shows_in_lists_late(api, of):
    on(api, "prompt_listed_late", seconds=100)
    assert ASK[of](api).is_success
    assert (entries(api), entries(api, "prompt_list_v2")) == (0, 0)
    api.box.state.advance(101)
    assert (entries(api), entries(api, "prompt_list_v2")) == (1, 1)


@covers("prompt_list_stale")
def test_a_list_may_be_old(api):
    prompt(api)
    api.box.state.advance(100)
    on(api, "prompt_list_stale", seconds=50)
    assert entries(api) == entries(api, "prompt_list_v2") == 1
    prompt(api)
    ASK["prompt_delete"](api)
    assert entries(api) == 1  # the new one is not there yet, the deleted one is still
    api.box.state.faults.set([])
    assert entries(api) == entries(api, "prompt_list_v2") == 1
    on(api, "prompt_list_stale", seconds=101)
    assert entries(api) == 0


@pytest.mark.parametrize(("name", "status"), [("prompt_list_500", 500), ("prompt_list_429", 429)])
def test_the_older_list_fails_as_the_newer_does(api, name, status):
    on(api, name, first=1)
    assert statuses(lambda: ASK["prompt_list_v2"](api), 2) == [status, 200]


@covers("prompt_delete_500", "prompt_delete_429", "prompt_delete_then_drop")
@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("prompt_delete_500", [500, 200]),
        ("prompt_delete_429", [429, 200]),
        ("prompt_delete_then_drop", ["RemoteProtocolError", 404]),
    ],
)
def test_deleting_fails(api, name, answers):
    prompt(api)
    on(api, name, first=1)
    assert statuses(lambda: ASK["prompt_delete"](api), 2) == answers
    assert not api.box.state.prompts


@covers("routes_500", "routes_403")
@pytest.mark.parametrize(("name", "status"), [("routes_500", 500), ("routes_403", 403)])
def test_routes_fail(api, name, status):
    on(api, name, first=2)
    assert statuses(lambda: ASK["routes"](api), 1) == [status]
    assert statuses(lambda: ASK["route"](api), 2) == [status, 200]


def test_every_fault_is_tested():
    assert set(FAULTS) == TESTED
