from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.datastructures import UploadFile
from starlette.requests import Request

from mediapipe.convirza.multipart import CHUNK, Body, FilePart, SourceChanged, measured, opened_body
from mediapipe.errors import Failed, Rejected

NAMES = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n\0'), min_size=1, max_size=30)


def made(fields: Mapping[str, str], *parts: FilePart) -> tuple[Body, bytes]:
    async def main() -> tuple[Body, bytes]:
        async with opened_body(fields, parts) as body:
            return body, b"".join([chunk async for chunk in body.chunks()])

    return anyio.run(main)


def parsed(body: Body, raw: bytes) -> list[tuple[str, str | tuple[str | None, str | None, bytes]]]:
    """Read a body with the parser of a web framework."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def main() -> list[tuple[str, str | tuple[str | None, str | None, bytes]]]:
        headers = [(b"content-type", body.content_type.encode())]
        request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
        async with request.form() as form:
            return [
                (name, (value.filename, value.content_type, await value.read()))
                if isinstance(value, UploadFile)
                else (name, value)
                for name, value in form.multi_items()
            ]

    return anyio.run(main)


def part(path: Path, filename: str = "a.wav", size: int | None = None) -> FilePart:
    return FilePart("recording_file", filename, "audio/wav", path, size)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_fields_come_first_and_the_file_whole(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(os.urandom(size))
    body, raw = made({"caller_id": "1801", "city": "Zürich"}, part(path))
    assert body.length == len(raw)
    assert parsed(body, raw) == [
        ("caller_id", "1801"),
        ("city", "Zürich"),
        ("recording_file", ("a.wav", "audio/wav", path.read_bytes())),
    ]


def test_a_form_without_a_file() -> None:
    body, raw = made({"recording_url": "https://h/a?b=c&d=e"})
    assert body.length == len(raw)
    assert parsed(body, raw) == [("recording_url", "https://h/a?b=c&d=e")]
    assert b"filename" not in raw


@given(
    st.dictionaries(st.sampled_from("abc"), st.text(max_size=20)),
    st.lists(st.tuples(NAMES, st.binary(max_size=300)), max_size=15),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_several_files_arrive_whole_and_in_order(
    tmp_path: Path, fields: dict[str, str], files: list[tuple[str, bytes]]
) -> None:
    parts = []
    for number, (filename, audio) in enumerate(files):
        path = tmp_path / str(number)
        path.write_bytes(audio)
        parts.append(FilePart(f"file_{number}", filename, "audio/wav", path, len(audio)))
    body, raw = made(fields, *parts)
    assert body.length == len(raw)
    sent = [(f"file_{n}", (filename, "audio/wav", audio)) for n, (filename, audio) in enumerate(files)]
    assert parsed(body, raw) == [*fields.items(), *sent]


def test_one_file_of_several_that_changed_spoils_the_body_and_leaves_none_open(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    before = set(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
    with pytest.raises(Failed, match="has 5 bytes, not 6"):
        made({}, part(tmp_path / "a"), part(tmp_path / "a", size=6))
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) <= len(before)


def test_names_are_escaped_as_browsers_do() -> None:
    _, raw = made({'a"b\r\nc\\d': "x"})
    assert b'name="a%22b%0D%0Ac\\d"\r\n\r\nx\r\n' in raw


def test_a_filename_ends_no_header(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    _, raw = made({}, part(path, 'a"\r\nX-Evil: 1\r\n\r\n.wav'))
    assert b'filename="a%22%0D%0AX-Evil: 1%0D%0A%0D%0A.wav"\r\nContent-Type: audio/wav\r\n\r\nx\r\n' in raw


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n'), min_size=1), st.text()
    )
)
def test_values_arrive_as_they_are(fields: dict[str, str]) -> None:
    body, raw = made(fields)
    assert body.length == len(raw)
    separator = f"--{body.content_type.partition('boundary=')[2]}".encode()
    sections = raw.split(separator)
    assert sections[0] == b""
    assert sections[-1] == b"--\r\n"
    values = [section.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for section in sections[1:-1]]
    assert values == [value.encode() for value in fields.values()]


@given(st.dictionaries(NAMES, st.text(max_size=200), max_size=6), st.binary(max_size=3000), NAMES)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_servers_parser_reads_what_was_meant(
    tmp_path: Path, fields: dict[str, str], audio: bytes, filename: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(audio)
    body, raw = made(fields, part(path, filename))
    assert body.length == len(raw)
    assert parsed(body, raw) == [*fields.items(), ("recording_file", (filename, "audio/wav", audio))]


def test_the_boundary_is_in_no_field(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["aa", "bb", "cc"])
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(drawn))
    body, raw = made({"x": "--aa--", "bb": "y"})
    assert body.content_type.endswith("boundary=cc")
    assert raw.endswith(b"\r\n--cc--\r\n")


def test_every_body_has_a_boundary_of_its_own() -> None:
    assert made({})[0].content_type != made({})[0].content_type


@pytest.mark.parametrize("fields", [{"x": "\ud800"}, {"\udcff": "x"}])
def test_what_utf8_cannot_carry_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(Rejected, match=r"\\ud") as caught:
        made(fields)
    assert caught.value.code == "not_text"


def test_a_file_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert anyio.run(measured, part(path)).size == 5
    assert anyio.run(measured, part(path, size=5)).size == 5
    with pytest.raises(Failed, match="has 5 bytes, not 1,234,567"):
        anyio.run(measured, part(path, size=1_234_567))
    with pytest.raises(Failed, match="has 5 bytes, not 0"):
        made({}, part(path, size=0))


@pytest.mark.parametrize(("kind", "code"), [("missing", "source_changed"), ("loop", "source_unreadable")])
def test_a_file_that_cannot_be_opened(kind: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    if kind == "loop":
        path.symlink_to(path)
    with pytest.raises(Failed) as caught:
        made({}, part(path))
    assert caught.value.code == code


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_waited_for(make: object, tmp_path: Path) -> None:
    path = tmp_path / "a"
    make(path)  # type: ignore[operator]
    with pytest.raises(Failed, match="no file any more"):
        made({}, part(path))


def test_no_more_is_sent_than_was_said_and_less_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(2 * CHUNK))

    async def main(length: int) -> int:
        async with opened_body({}, [part(path)]) as body:
            os.truncate(path, length)
            return body.length - sum([len(chunk) async for chunk in body.chunks()])

    assert anyio.run(main, 5 * CHUNK) == 0
    with pytest.raises(SourceChanged):
        anyio.run(main, CHUNK)
