"""Serving, the sandbox's own endpoints, and scenario files."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest

from mediapipe.sandbox import FaultRule, SandboxConfig, load_scenario, running
from mediapipe.sandbox.scenario import rules_of

SERVE = """
from mediapipe.sandbox import SandboxConfig, serve
serve(SandboxConfig(count=3), port=0, ready=lambda box: print(box.url, flush=True))
"""


def test_running_leaves_nothing_behind():
    threads = threading.active_count()
    with running(SandboxConfig(count=3)) as box:
        assert httpx.get(f"{box.url}/_sandbox/stats").json()["calls"] == 3
    assert threading.active_count() == threads
    with pytest.raises(httpx.ConnectError):
        httpx.get(box.url)


def test_environment_names_every_base():
    with running(SandboxConfig(count=1)) as box:
        assert box.environment() == {
            "CONVIRZA_V3_URL": f"{box.url}/v3",
            "CONVIRZA_V3_OAUTH_URL": f"{box.url}/v3-oauth/oauth",
            "CONVIRZA_V2_URL": f"{box.url}/v2",
            "CONVIRZA_V2_OAUTH_URL": f"{box.url}/v2-oauth/oauth",
            "CONVIRZA_EMAIL": "demo@sandbox.example",
            "CONVIRZA_PASSWORD": "sandbox-password",
            "CONVIRZA_CLIENT_ID": "sandbox-client",
            "CONVIRZA_CLIENT_SECRET": "sandbox-client-secret",
        }


def test_a_taken_port_is_an_os_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError), running(port=taken.getsockname()[1]):
            pass


def test_serve_ends_on_sigterm():
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert httpx.get(f"{url}/_sandbox/stats").status_code == 200
        finally:
            os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) in (0, -signal.SIGTERM)


def test_unknown_paths(shared):
    assert shared.http.get(f"{shared.box.url}/v3/users/me", headers=shared.v3_headers).json()["code"] == 404
    assert shared.http.get(f"{shared.box.url}/v2/call/list").json()["statusCode"] == 404
    assert shared.http.delete(f"{shared.box.url}/v3/conversations/calls").status_code == 405


def test_stats_count_requests(api):
    call_id = api.recorded()[0]
    api.url(call_id)
    api.list(limit=0)
    stats = api.http.get(f"{api.box.url}/_sandbox/stats").json()
    assert stats["logins"] == {"v3": 1, "v2": 1}
    assert stats["requests"]["call"] == {"200": 1}
    assert stats["requests"]["list"] == {"400": 1}
    assert stats["call_fetches"] == {str(call_id): 1}
    assert stats["peak_in_flight"] == 1


def test_faults_are_set_and_read(api):
    url = f"{api.box.url}/_sandbox/faults"
    assert api.http.post(url, json={"fault": [{"name": "list_500", "first": 1}]}).status_code == 200
    assert [api.list().status_code for _ in range(2)] == [500, 200]
    answer = api.http.get(url).json()
    assert (answer["fault"][0]["name"], answer["fault"][0]["hits"]) == ("list_500", 1)
    assert "recording_poison" in answer["names"]
    assert api.http.get(f"{api.box.url}/_sandbox/stats").json()["faults"] == {"list_500": 1}
    unknown = api.http.post(url, json={"fault": [{"name": "lost_500"}]})
    assert unknown.status_code == 400
    assert "list_500" in unknown.json()["message"]
    assert api.http.post(url, content=b"[]").status_code == 400
    assert api.http.post(url, json={}).status_code == 200
    assert api.list().status_code == 200


def test_calls_and_recordings_are_inserted(api):
    calls = f"{api.box.url}/_sandbox/calls"
    made = api.http.post(calls, json={"started": "2026-02-03T04:05:06Z", "count": 2, "recorded": False})
    first, second = made.json()["call_ids"]
    page = api.page(start="2026-02-03T04:05:06Z", end="2026-02-03T04:05:07Z")
    assert [record["call_id"] for record in page] == [second, first]
    assert api.http.post(f"{api.box.url}/_sandbox/recordings/{first}").status_code == 200
    assert api.http.get(api.url(first)).status_code == 200
    late = api.http.post(calls, json={"started": "2026-02-03T00:00:00Z", "available_in": 60}).json()
    assert "url" not in (
        api.call(late["call_ids"][0]).json()["data"]["result"].get("recording_details") or {}
    )
    clock = f"{api.box.url}/_sandbox/clock"
    assert api.http.post(clock, json={"advance": 61}).json() != api.http.get(clock).text
    assert api.http.get(api.url(late["call_ids"][0])).status_code == 200
    assert api.http.post(f"{api.box.url}/_sandbox/recordings/1").status_code == 404
    assert api.http.post(calls, json={"started": "soon"}).status_code == 400
    assert api.http.post(clock, json={"advance": "far"}).status_code == 400


def test_tokens_can_be_killed(api):
    assert api.http.delete(f"{api.box.url}/_sandbox/tokens").status_code == 204
    assert api.list().status_code == 401


def test_scenario_file(tmp_path):
    path = tmp_path / "storm.toml"
    path.write_text(
        'seed = 3\n[[fault]]\nname = "list_500"\nrate = 0.5\n[[fault]]\nname = "recording_500"\n'
        'calls = [1, 2]\nseed = 4\ndays = ["2026-02-01"]\n'
    )
    assert load_scenario(path) == (
        FaultRule(name="list_500", rate=0.5, seed=3),
        FaultRule(name="recording_500", calls=frozenset({1, 2}), seed=4, days=frozenset({"2026-02-01"})),
    )
    path.write_text("[[fault")
    with pytest.raises(ValueError, match=r"storm\.toml"):
        load_scenario(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"faults": []},
        {"fault": [{"rate": 0.5}]},
        {"fault": [{"name": "list_500", "often": 1}]},
        {"fault": [{"name": "list_500", "rate": 2}]},
        {"fault": [{"name": "list_500", "first": -1}]},
        {"fault": [{"name": "list_500", "rate": "x"}]},
    ],
)
def test_wrong_scenarios(wrong):
    with pytest.raises(ValueError, match=r"key|must|needs|fault"):
        rules_of(wrong)


def test_unknown_fault_at_construction_names_the_known_ones():
    with (
        pytest.raises(ValueError, match="list_reset"),
        running(SandboxConfig(faults=(FaultRule(name="nonsense"),))),
    ):
        pass


def test_signed_urls_take_the_public_base(sandbox):
    api = sandbox(public_url="https://recordings.example/")
    assert api.url(api.recorded()[0]).startswith("https://recordings.example/recordings-host/v3/recordings/")
