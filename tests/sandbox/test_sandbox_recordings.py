"""The recordings host."""

from __future__ import annotations

import httpx
import pytest


def test_bytes_are_the_calls_recording(shared):
    for call_id in shared.recorded()[:20]:
        answer = shared.http.get(shared.url(call_id))
        assert answer.status_code == 200
        assert answer.content == shared.box.state.recording_bytes(call_id)
        assert int(answer.headers["content-length"]) == len(answer.content)
        is_mp3 = shared.box.state.book.get(call_id).recording.container == "mp3"
        assert answer.headers["content-type"] == ("audio/mpeg" if is_mp3 else "audio/wav")


def test_url_has_the_documented_form(shared):
    call_id = shared.recorded()[0]
    url = httpx.URL(shared.url(call_id))
    assert url.path == f"/recordings-host/v3/recordings/{call_id}"
    assert list(url.params) == ["secret", "access", "expires", "file_name"]
    assert f"{url.scheme}://{url.netloc.decode()}" == shared.box.url
    assert shared.url(call_id) != str(url)


@pytest.mark.parametrize("key", ["secret", "access", "expires", "file_name"])
def test_a_changed_url_is_refused(shared, key):
    url = httpx.URL(shared.url(shared.recorded()[0]))
    assert shared.http.get(url.copy_set_param(key, "1")).status_code == 403
    assert shared.http.get(url.copy_remove_param(key)).status_code == 403
    other = str(url).replace(str(shared.recorded()[0]), str(shared.recorded()[1]))
    assert shared.http.get(other).status_code == 403


def test_expired_url_is_gone_and_a_fresh_one_works(sandbox):
    api = sandbox(url_seconds=100)
    url = api.url(api.recorded()[0])
    api.box.state.advance(99)
    assert api.http.get(url).status_code == 200
    api.box.state.advance(2)
    gone = api.http.get(url)
    assert gone.status_code == 410
    assert gone.json()["message"] == (
        "Recording URL has expired. Please re-fetch the call to get a fresh link."
    )
    assert api.http.get(api.url(api.recorded()[0])).status_code == 200


def test_ranges(shared):
    call_id = shared.recorded()[0]
    url, whole = shared.url(call_id), shared.box.state.recording_bytes(call_id)

    def part(value: str, **headers: str) -> httpx.Response:
        return shared.http.get(url, headers={"Range": value, **headers})

    middle = part("bytes=100-199")
    assert (middle.status_code, middle.content) == (206, whole[100:200])
    assert middle.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert part("bytes=1000-").content == whole[1000:]
    assert part("bytes=-10").content == whole[-10:]
    assert part(f"bytes={len(whole)}-").status_code == 416
    assert part("pages=1-2").status_code == 200
    tag = middle.headers["etag"]
    assert part("bytes=5-", **{"If-Range": tag}).status_code == 206
    assert part("bytes=5-", **{"If-Range": '"other"'}).status_code == 200


def test_ranges_tags_and_lengths_can_be_off(sandbox):
    api = sandbox(ranges=False, etags=False, lengths=False)
    call_id = api.recorded()[0]
    answer = api.http.get(api.url(call_id), headers={"Range": "bytes=5-"})
    assert answer.status_code == 200
    assert answer.content == api.box.state.recording_bytes(call_id)
    assert not answer.headers.keys() & {"etag", "content-length", "accept-ranges"}


def test_authorization_on_this_host_is_counted(api):
    url = api.url(api.recorded()[0])
    api.http.get(url)
    assert api.box.state.stats.recordings_host_authorization == 0
    api.http.get(url, headers=api.v3_headers)
    stats = api.http.get(f"{api.box.url}/_sandbox/stats").json()
    assert stats["recordings_host_authorization"] == 1
    assert stats["recording_fetches"] == {str(api.recorded()[0]): 2}


def test_a_call_without_recording_has_no_bytes(shared):
    state = shared.box.state
    call = next(call for call in state.calls if call.recording is None)
    part = state.signer.sign(f"call:{call.call_id}", "x.wav", int(state.now()) + 60)
    answer = shared.http.get(f"{shared.box.url}/recordings-host/v3/recordings/{call.call_id}?{part.query}")
    assert answer.status_code == 404
