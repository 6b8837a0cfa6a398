"""The POST that creates something, by what it is given: path, form, files, secrets, how to sort an answer.

What is known of it when it goes wrong is held against calls in ``test_v2``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.convirza.clients import Timeouts
from mediapipe.convirza.creating import Creation, Posting, create
from mediapipe.convirza.multipart import FilePart
from mediapipe.convirza.posts import open_posts
from mediapipe.convirza.session import Session
from mediapipe.convirza.tokens import ReadyToken
from mediapipe.convirza.uploads import Accepted, Answer, NotTaken, Refused, Unsure
from mediapipe.errors import Failed
from mediapipe.pacing import AdaptiveLimit, Pacer, Pause, RetryPolicy
from tests.convirza.server import Reply, Server, as_json, script, serving

QUICK = RetryPolicy(attempts=3, wait_initial=0.001, wait_max=0.002, total=5.0)


def sort(status: int, headers: Mapping[str, str], body: bytes, *, retry_503: bool) -> Answer:
    """Sort as nobody else does, so that it shows who sorted."""
    if status == 503:
        return NotTaken("busy", "busy") if retry_503 else Unsure("busy", "busy")
    return Accepted(said=body.decode()) if status == 299 else Refused(f"s{status}", body.decode())


def sent(server: Server, creation: Creation, begun: list[int], *, retry_503: bool = True) -> Answer:
    async def begin() -> None:
        begun.append(1)

    async def main() -> Answer:
        async with open_posts(Timeouts(2, 2, 2, 2), connections=1) as http:
            pacer = Pacer(AdaptiveLimit(1), Pause())
            session = Session(http, f"{server.url}/v9", ReadyToken("t0ken-t0ken", "V"), pacer, QUICK)
            posting = Posting(http, pacer, retry_503=retry_503)
            return await create(session, posting, creation, begin=begin)

    return anyio.run(main)


def creation(*parts: FilePart, **more: Any) -> Creation:
    given = {"fields": {"a": "b"}, "sort": sort, "doing": "make a thing", "what": "thing"}
    return Creation(path="/things", parts=parts, **{**given, **more})


@pytest.fixture
def parts(tmp_path: Path) -> list[FilePart]:
    made = []
    for number in range(3):
        path = tmp_path / str(number)
        path.write_bytes(bytes([number]) * 1000)
        made.append(FilePart(f"file_{number}", f"{number}.wav", "audio/wav", path, 1000))
    return made


def test_path_form_and_files_are_the_callers_and_so_is_the_meaning_of_the_answer(
    parts: list[FilePart],
) -> None:
    begun: list[int] = []
    with serving(script(Reply(299, b"made"))) as server:
        assert sent(server, creation(*parts), begun) == Accepted(said="made")
    (request,) = server.seen
    assert (request.method, request.target) == ("POST", "/v9/things")
    assert b'name="a"\r\n\r\nb\r\n' in request.body
    assert [request.body.count(part.path.read_bytes()) for part in parts] == [1, 1, 1]
    assert begun == [1]


def test_what_was_not_taken_is_sent_again_with_all_its_files(parts: list[FilePart]) -> None:
    begun: list[int] = []
    with serving(script(Reply(503), Reply(503), Reply(299, b"made"))) as server:
        assert sent(server, creation(*parts), begun) == Accepted(said="made")
    assert len(begun) == 3
    bodies = {request.body.replace(_boundary(request.body), b"") for request in server.seen}
    assert len(bodies) == 1
    with serving(script(Reply(503))) as server:
        assert sent(server, creation(*parts), begun, retry_503=False) == Unsure("busy", "busy")
    assert len(server.seen) == 1


def _boundary(body: bytes) -> bytes:
    return body.partition(b"\r\n")[0]


def test_every_secret_is_masked_and_none_is_shown(parts: list[FilePart]) -> None:
    secrets = ("s3cr3t-one", "s3cr3t-two")
    made = creation(fields={"x": secrets[0], "y": secrets[1]}, secrets=secrets)
    assert "s3cr3t" not in repr(made)
    with serving(script(as_json({"told": [*secrets, "t0ken-t0ken"]}, 400))) as server:
        got = sent(server, made, [])
    assert isinstance(got, Refused)
    assert "s3cr3t" not in got.message
    assert "t0ken" not in got.message
    assert all(secret.encode() in server.seen[0].body for secret in secrets)


def test_one_file_of_several_that_is_another_now_stops_all(parts: list[FilePart]) -> None:
    parts[2].path.write_bytes(b"shorter")
    begun: list[int] = []
    with serving(script(Reply(299))) as server, pytest.raises(Failed, match="has 7 bytes, not 1,000"):
        sent(server, creation(*parts), begun)
    assert (server.seen, begun) == ([], [])
