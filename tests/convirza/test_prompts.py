"""Both prompt clients against lists that lie, refuse and drift: what they show is all, or they say so."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.convirza import pages
from mediapipe.convirza.prompts import V2Prompts, V3Prompts
from mediapipe.convirza.uploads import Accepted, NotTaken, Refused, Unsure
from mediapipe.errors import CredentialsError, Failed, MediapipeError, Rejected, Transient
from mediapipe.library.words import Listed, PromptType
from tests.convirza.prompt_bench import asked, listing, paged, query_of, sending, upload_of
from tests.convirza.server import Handler, Reply, Request, Server, as_json, script, serving

Kind = type[V2Prompts | V3Prompts]
KINDS: tuple[Kind, ...] = (V3Prompts, V2Prompts)
PROMPT, WHISPER = PromptType.PROMPT, PromptType.WHISPER


def entries(count: int, kind: str = "prompt") -> list[dict[str, Any]]:
    return [{"id": n, "type": kind, "name": f"p{n}"} for n in range(1, count + 1)]


def found(
    api: Kind, handler: Handler, kind: PromptType | None = None, name: str | None = None
) -> tuple[list[Listed], Server]:
    with serving(handler) as server:
        return asked(api, server.url, listing(kind, name)), server


def names(api: Kind, handler: Handler, kind: PromptType | None = None, name: str | None = None) -> list[str]:
    return [entry.name for entry in found(api, handler, kind, name)[0]]


both = pytest.mark.parametrize("api", KINDS)


# ── the list is read to its end ──────────────────────────────────────────────────────────────


@both
@settings(max_examples=12, deadline=None)
@given(
    count=st.sampled_from([0, 1, 49, 50, 51, 99, 100, 198, 199, 200, 201, 430]),
    cap=st.sampled_from([50, 100, 10_000]),
)
def test_every_page_is_read_whatever_its_length(api: Kind, count: int, cap: int) -> None:
    assert names(api, paged(entries(count), cap=cap)) == [f"p{n}" for n in range(1, count + 1)]


@both
@pytest.mark.parametrize("count", [1, 50, 99, 100, 199, 200, 350])
def test_a_server_that_shows_all_whatever_is_asked_is_read(api: Kind, count: int) -> None:
    assert len(names(api, paged(entries(count), offset=False, limit=False))) == count


@pytest.mark.parametrize(
    ("api", "count"), [(V3Prompts, 198), (V3Prompts, 199), (V2Prompts, 98), (V2Prompts, 99)]
)
def test_a_full_page_of_a_server_that_ignores_the_offset_may_be_all(api: Kind, count: int) -> None:
    assert len(names(api, paged(entries(count), offset=False))) == count


@both
@pytest.mark.parametrize("count", [200, 500])
def test_a_server_that_ignores_the_offset_shows_a_part_and_that_is_noticed(api: Kind, count: int) -> None:
    with pytest.raises(Transient, match="ignores the offset") as caught:
        names(api, paged(entries(count), offset=False))
    assert caught.value.code == "incomplete_list"


@both
@pytest.mark.parametrize("place", ["data", "outer", "pagination"])
def test_a_total_shows_what_a_capped_page_hides(api: Kind, place: str) -> None:
    def wrap(page: list[Any], total: int) -> Any:
        match place:
            case "data":
                return {"data": {"items": page, "total": str(total)}}
            case "outer":
                return {"data": page, "total": total}
            case _:
                return {"data": page, "pagination": {"total": total}}

    with pytest.raises(Transient, match="says 120 records and shows 50"):
        names(api, paged(entries(120), cap=50, offset=False, wrap=wrap))
    assert len(names(api, paged(entries(120), cap=50, wrap=wrap))) == 120


def test_a_total_that_does_not_know_the_filter_costs_nothing() -> None:
    records = [*entries(3), {"id": 9, "type": "whisper", "name": "w"}]
    handler = paged(records, filters=True, wrap=lambda page, _: {"data": {"items": page, "total": 4}})
    assert names(V3Prompts, handler, WHISPER) == ["w"]


@both
def test_a_list_without_an_end_is_no_list(api: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_PAGES", 4)

    def handle(request: Request) -> Reply:
        return as_json({"data": [{"id": int(query_of(request)["offset"]) + 1, "name": "x"}]})

    with pytest.raises(Transient) as caught:
        names(api, handle)
    assert caught.value.code == "endless_list"


def drifting(change: Callable[[list[Any], int], None], records: list[Any], cap: int) -> Handler:
    """Return a list that ``change`` is told of before every page."""
    lock, asked_for = threading.Lock(), [0]

    def handle(request: Request) -> Reply:
        with lock:
            asked_for[0] += 1
            change(records, asked_for[0])
            return paged(records, cap=cap)(request)

    return handle


@both
def test_an_entry_that_goes_meanwhile_hides_no_other(api: Kind) -> None:
    records = entries(120)

    def change(records: list[Any], number: int) -> None:
        if number == 2:
            del records[0]  # p51 slips from the second page to the first, which was read

    assert names(api, drifting(change, records, 50)) == [f"p{n}" for n in range(2, 121)]


@both
def test_an_entry_that_comes_meanwhile_doubles_no_other(api: Kind) -> None:
    records = [{"type": "prompt", "name": f"p{n}"} for n in range(120)]

    def change(records: list[Any], number: int) -> None:
        if number == 2:
            records.insert(0, {"type": "prompt", "name": "new"})

    assert names(api, drifting(change, records, 50)) == ["new", *(f"p{n}" for n in range(120))]


@both
def test_a_list_that_never_settles_is_no_list(api: Kind) -> None:
    def change(records: list[Any], number: int) -> None:
        records.insert(0, {"id": 1000 + number, "name": f"n{number}"})

    with pytest.raises(Transient, match="did not find the same") as caught:
        names(api, drifting(change, entries(120), 50))
    assert caught.value.code == "incomplete_list"


@both
def test_entries_without_an_id_that_are_alike_are_several(api: Kind) -> None:
    alike = [{"type": "prompt", "name": "a"}] * 2
    assert names(api, paged([*alike, {"type": "prompt", "name": "b"}]), PROMPT, "a") == ["a", "a"]


@both
def test_an_entry_shown_twice_under_its_id_is_one(api: Kind) -> None:
    assert names(api, paged([*entries(1), *entries(1), {"id": 1, "type": "whisper", "name": "p1"}])) == [
        "p1",
        "p1",
    ]


# ── what is shown, in every shape ────────────────────────────────────────────────────────────


@both
@pytest.mark.parametrize("key", ["items", "prompts", "media_prompts", "recordings", "result", "calls"])
def test_the_list_may_stand_in_many_places(api: Kind, key: str) -> None:
    handler = paged(entries(2), wrap=lambda page, total: {"data": {key: page, "total": total}})
    assert names(api, handler) == ["p1", "p2"]


@both
@pytest.mark.parametrize("empty", [{"data": []}, {"result": "error", "err": "no records found."}])
def test_an_empty_library_is_none(api: Kind, empty: Any) -> None:
    assert names(api, script(as_json(empty))) == []


@both
@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>Sign in</html>", {"Content-Type": "text/html"}),
        as_json({"data": None}),
        as_json({"code": 200}),
        as_json({"data": [*entries(3), "x"]}),
        as_json({"data": [{"type": "prompt"}]}),
        Reply(200, b'{"data": [', {}),
        Reply(drop=True),
        as_json({"message": "x"}, 500),
    ],
)
def test_what_cannot_be_read_is_no_empty_library(api: Kind, reply: Reply) -> None:
    with pytest.raises(Transient):
        names(api, script(reply))
    assert names(api, script(reply, *[as_json({"data": entries(1)})] * 3)) == ["p1"]


@both
def test_a_page_that_cannot_be_read_is_not_the_last(api: Kind) -> None:
    good = paged(entries(60), cap=50)

    def handle(request: Request) -> Reply:
        return good(request) if query_of(request)["offset"] == "0" else as_json({"data": None})

    with pytest.raises(Transient):
        names(api, handle)


# ── type and name ────────────────────────────────────────────────────────────────────────────

MIXED = [
    {"id": 1, "type": "prompt", "name": "welcome"},
    {"id": 2, "type": "whisper", "name": "welcome"},
    {"id": 3, "type": "prompt", "name": "welcome back"},
    {"id": 4, "type": "Prompt", "name": "Welcome"},
    {"id": 5, "type": "jingle", "name": "welcome"},
    {"id": 6, "type": "PROMPT", "name": "welcome"},
]


@both
@pytest.mark.parametrize("filters", [False, True])
def test_type_and_name_are_compared_here_too(api: Kind, filters: bool) -> None:
    """The platform may ignore its filters, or match in part."""
    handler = paged(MIXED, filters=filters)
    ids = [entry.prompt_id for entry in found(api, handler, PROMPT, "welcome")[0]]
    assert ids == (["1"] if filters and api is V3Prompts else ["1", "6"])
    assert [e.prompt_id for e in found(api, handler, WHISPER)[0]] == ["2"]
    assert [e.prompt_id for e in found(api, handler, None, "welcome")[0]] == ["1", "2", "5", "6"]
    assert len(found(api, handler)[0]) == 6


@both
def test_a_name_has_one_spelling(api: Kind) -> None:
    records = [{"id": 1, "type": "prompt", "name": "Gru\u0308n"}, {"id": 2, "type": "prompt", "name": "grün"}]
    for asked_for in ("Gr\u00fcn", "Gru\u0308n"):
        got, server = found(api, paged(records, filters=True), PROMPT, asked_for)
        assert got == [Listed("1", "prompt", "Gr\u00fcn")]
        assert all("name" not in query_of(request) for request in server.seen)


@both
def test_an_entry_without_a_type_is_neither_there_nor_absent(api: Kind) -> None:
    records = [*entries(2), {"id": 7, "name": "p7"}]
    assert names(api, paged(records), PROMPT, "p2") == ["p2"]
    assert names(api, paged(records)) == ["p1", "p2", "p7"]
    for name in ("p7", None):
        with pytest.raises(Transient, match="shows no type"):
            names(api, paged(records), PROMPT, name)


def test_v3_asks_by_type_and_name_and_v2_for_all() -> None:
    _, server = found(V3Prompts, paged(MIXED), PROMPT, "welcome back")
    assert query_of(server.seen[0]) == {
        "type": "prompt", "name": "welcome back", "limit": "199", "offset": "0"
    }  # fmt: skip
    assert server.seen[0].path == "/media-prompts"
    _, server = found(V2Prompts, paged(MIXED), PROMPT, "welcome back")
    assert query_of(server.seen[0]) == {"limit": "99", "offset": "0"}
    assert server.seen[0].path == "/misc/getaudiolist"


def refusing(*unwanted: str, status: int = 400, whole: Sequence[Any] = ()) -> Handler:
    """Return a server that does not like these parameters."""

    def handle(request: Request) -> Reply:
        if any(name in query_of(request) for name in unwanted):
            return as_json({"code": status, "message": f"unknown parameter {unwanted[0]}"}, status)
        return paged(whole, offset=False, limit=False)(request)

    return handle


@pytest.mark.parametrize("status", [400, 422])
def test_a_platform_that_knows_no_pages_is_asked_without(status: int) -> None:
    with serving(refusing("limit", "offset", status=status, whole=entries(300))) as server:

        async def twice(api: V3Prompts) -> Any:
            return [len(await api.list_prompts()), len(await api.list_prompts())]

        assert asked(V3Prompts, server.url, twice) == [300, 300]
    assert [query_of(request) for request in server.seen] == [{"limit": "199", "offset": "0"}, {}, {}]


def test_a_platform_that_refuses_an_offset_behind_the_end_has_been_read() -> None:
    def handle(request: Request) -> Reply:
        query = query_of(request)
        if int(query.get("offset", 0)) >= 3:
            return as_json({"message": "offset is too large"}, 400)
        return paged(entries(3))(request)

    assert names(V3Prompts, handle) == ["p1", "p2", "p3"]


def test_a_name_that_the_platform_dislikes_is_looked_for_without_it() -> None:
    assert names(V3Prompts, refusing("name", whole=MIXED), PROMPT, "welcome") == ["welcome", "welcome"]


@pytest.mark.parametrize("status", [400, 404])
def test_a_list_that_is_refused_altogether_raises(status: int) -> None:
    for api in KINDS:
        with pytest.raises(Rejected):
            names(api, script(as_json({"message": "no"}, status)), PROMPT, "x")
        with pytest.raises(CredentialsError):
            names(api, script(as_json({"message": "no"}, 403)))


# ── uploads ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + bytes(range(256)) * 40)
    return path


@both
@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (as_json({"code": 201, "data": {"id": 4001}}, 201), Accepted(made="4001")),
        (as_json({"result": "success", "err": None, "data": "1 file(s) uploaded"}), Accepted()),
        (as_json({"data": [{"recording_id": "r-7"}]}), Accepted(made="r-7")),
        (Reply(200, b"<html>Sign in</html>"), Unsure),
        (Reply(200, b""), Unsure),
        (Reply(drop=True), Unsure),
        (as_json({"message": "x"}, 500), Unsure),
        (as_json({"message": "x"}, 403), Refused),
        (as_json({"message": "x"}, 400), Refused),
        (as_json({"result": "error", "err": None, "data": "Incorrect File Format."}), Refused),
        (as_json({"message": "x"}, 401), NotTaken),
    ],
)
def test_an_answer_is_sorted_and_nothing_is_sent_twice(
    api: Kind, reply: Reply, answer: Any, audio: Path
) -> None:
    begun: list[int] = []
    with serving(script(reply)) as server:
        got = asked(api, server.url, sending([upload_of(audio)], begun))
    assert got == answer if isinstance(answer, Accepted) else isinstance(got, answer), got
    assert len(server.seen) == len(begun) == 1


@both
def test_what_had_no_effect_is_sent_again(api: Kind, audio: Path) -> None:
    begun: list[int] = []
    busy = as_json({"message": "busy"}, 503, **{"Retry-After": "0"})
    slow = as_json({"message": "slow"}, 429, **{"Retry-After": "0"})
    with serving(script(busy, slow, as_json({"data": {"id": 1}}))) as server:
        assert asked(api, server.url, sending([upload_of(audio)], begun)) == Accepted(made="1")
    assert len(server.seen) == len(begun) == 3
    assert audio.read_bytes() in server.seen[2].body


@both
def test_the_token_is_in_no_words(api: Kind, audio: Path) -> None:
    told = as_json({"message": "not for t0ken-of-the-run"}, 403)
    with serving(script(told)) as server:
        got = asked(api, server.url, sending([upload_of(audio)]))
    assert "t0ken" not in repr(got)
    assert "not for" in got.message


@both
def test_a_file_that_is_another_by_now_is_not_sent(api: Kind, audio: Path) -> None:
    begun: list[int] = []
    upload = upload_of(audio)
    audio.write_bytes(b"shorter")
    with serving(script(as_json({}))) as server, pytest.raises(Failed) as caught:
        asked(api, server.url, sending([upload], begun))
    assert caught.value.code == "source_changed"
    assert (server.seen, begun) == ([], [])


def test_v3_sends_type_name_and_the_file_in_the_part_that_is_set(audio: Path) -> None:
    for field in ("file", "audio"):
        with serving(script(as_json({"data": {}}))) as server:
            asked(V3Prompts, server.url, sending([upload_of(audio)]), file_field=field)
        (request,) = server.seen
        assert (request.method, request.path) == ("POST", "/media-prompts")
        assert b'name="type"\r\n\r\nprompt\r\n' in request.body
        assert b'name="name"\r\n\r\nwelcome\r\n' in request.body
        assert f'name="{field}"; filename="welcome.wav"'.encode() in request.body
        assert request.body.count(audio.read_bytes()) == 1


@pytest.mark.parametrize(("count", "parts"), [(1, ["file"]), (3, ["file_0", "file_1", "file_2"])])
def test_v2_sends_files_and_nothing_else(count: int, parts: list[str], audio: Path) -> None:
    uploads = [upload_of(audio, f"w{n}", WHISPER) for n in range(count)]
    with serving(script(as_json({"result": "success"}))) as server:
        assert asked(V2Prompts, server.url, sending(uploads)) == Accepted()
    (request,) = server.seen
    assert request.path == "/misc/upload/whisper"
    heads = [f'name="{part}"; filename="w{n}.wav"'.encode() for n, part in enumerate(parts)]
    assert [request.body.count(head) for head in heads] == [1] * count
    assert request.body.count(b"Content-Disposition") == count


@pytest.mark.parametrize(
    ("api", "types"),
    [
        (V3Prompts, []),
        (V3Prompts, [PROMPT] * 2),
        (V2Prompts, []),
        (V2Prompts, [PROMPT] * 16),
        (V2Prompts, [PROMPT, WHISPER]),
        (V2Prompts, [PromptType.SURVEY]),
    ],
)
def test_what_no_request_can_carry_is_a_mistake(api: Kind, types: list[PromptType], audio: Path) -> None:
    with pytest.raises(ValueError, match="takes"):
        asked(api, "http://127.0.0.1:1", sending([upload_of(audio, kind=kind) for kind in types]))


# ── deleting ─────────────────────────────────────────────────────────────────────────────────


def delete(server: Server, prompt_id: str) -> Any:
    return asked(V3Prompts, server.url, lambda api: api.delete(prompt_id))


@pytest.mark.parametrize("prompt_id", ["4001", "a/b", "..", ".", "a?b", "é", "%2e"])
def test_a_prompt_is_deleted_by_its_id_whatever_is_in_it(prompt_id: str) -> None:
    with serving(script(as_json({"code": 200}))) as server:
        assert delete(server, prompt_id) is True
    (request,) = server.seen
    assert request.method == "DELETE"
    assert request.target.startswith("/media-prompts/")
    assert request.target.count("/") == 2
    assert "." not in request.target
    assert "?" not in request.target


@pytest.mark.parametrize("prompt_id", ["", " "])
def test_without_an_id_nothing_is_deleted(prompt_id: str) -> None:
    with serving(script(as_json({}))) as server, pytest.raises(Failed) as caught:
        delete(server, prompt_id)
    assert caught.value.code == "no_id"
    assert not server.seen


def test_a_prompt_that_is_gone_or_out_of_reach() -> None:
    with serving(script(as_json({"message": "Recording not found"}, 404))) as server:
        assert delete(server, "1") is False
    with serving(script(as_json({"message": "no"}, 403))) as server, pytest.raises(Failed) as caught:
        delete(server, "1")
    assert caught.value.code == "forbidden"
    with serving(script(as_json({"message": "no"}, 401))) as server, pytest.raises(CredentialsError):
        delete(server, "1")


def test_v2_deletes_nothing_and_shows_no_routes() -> None:
    with pytest.raises(Failed) as caught:
        asked(V2Prompts, "http://127.0.0.1:1", lambda api: api.delete("1"))
    assert caught.value.code == "cannot_delete"
    routes = asked(V2Prompts, "http://127.0.0.1:1", lambda api: api.routes())
    assert (routes.visible, bool(routes.why)) == (False, True)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "name", "type", "data", "items", "total", "result", "whisper_id", "status"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=10, deadline=None)
@given(VALUES, VALUES)
def test_whatever_comes_is_a_list_or_one_of_our_errors(body: Any, data: Any) -> None:
    for answer in (body, {"data": data}, {"data": [data]}, {"data": {"items": [data]}}):
        reply = Reply(200, json.dumps(answer).encode())
        for api in KINDS:
            with serving(script(reply)) as server:
                try:
                    assert isinstance(asked(api, server.url, listing(PROMPT)), list)
                    asked(api, server.url, lambda api: api.routes())
                except MediapipeError:
                    continue
