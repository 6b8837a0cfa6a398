"""The rules of ``mediapipe.stores.interface``, held against every store there is."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mediapipe.errors import Failed, Transient
from mediapipe.stores.interface import (
    Conflict,
    Created,
    Listed,
    NotThere,
    ObjectInfo,
    Same,
    Store,
    check_key,
    is_key,
)
from mediapipe.stores.open import open_store
from mediapipe.stores.options import StoreOptions
from tests.s3.front import Fault
from tests.s3.server import RunningS3

pytest_plugins = ["tests.s3.fixtures"]
pytestmark = pytest.mark.anyio

KEY = "recordings/year=2026/month=02/day=14/17-4.wav"
BYTES = bytes(range(256)) * 40
OTHER = BYTES[:-1] + b"\x00"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Place:
    """A destination of one kind, new for the test; ``open`` gives a store that knows nothing yet."""

    kind: str
    dest: str
    options: StoreOptions
    s3: RunningS3 | None = None

    def open(self) -> Store:
        return open_store(self.dest, self.options)

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        store = self.open()
        try:
            yield store
        finally:
            await store.aclose()


@pytest.fixture(params=["folder", "s3", "s3-in-parts"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Place("folder", f"{tmp_path}/archive of calls", StoreOptions())
    s3: RunningS3 = request.getfixturevalue("s3")
    options = StoreOptions(multipart_threshold=1) if request.param == "s3-in-parts" else StoreOptions()
    return Place(request.param, f"s3://{s3.make_bucket()}/the archive/of calls", options, s3)


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    async with place.store() as store:
        yield store


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def put(store: Store, key: str, data: bytes, **more: object) -> Created | Same:
    given = {"size": len(data), "sha256": digest(data), **more}
    return await store.put(key, io.BytesIO(data), **given)  # type: ignore[arg-type]


async def keys(store: Store, prefix: str = "") -> list[str]:
    return [entry.key async for entry in store.list(prefix)]


async def bytes_of(store: Store, key: str) -> bytes:
    async with aclosing(store.stream(key)) as chunks:  # type: ignore[type-var]
        return b"".join([chunk async for chunk in chunks])


async def test_a_key_is_created_once_and_the_same_bytes_are_the_same(store: Store) -> None:
    assert await put(store, KEY, BYTES) == Created()
    assert await put(store, KEY, BYTES) == Same()
    assert await put(store, KEY, BYTES) == Same()
    assert await bytes_of(store, KEY) == BYTES
    assert [entry async for entry in store.list("")] == [Listed(KEY, len(BYTES))]


async def test_another_process_finds_the_same(place: Place) -> None:
    async with place.store() as first:
        assert await put(first, KEY, BYTES) == Created()
    async with place.store() as second:
        assert await put(second, KEY, BYTES) == Same()


async def test_other_bytes_are_a_conflict_and_change_nothing(store: Store) -> None:
    await put(store, KEY, BYTES)
    for other in (OTHER, BYTES + b"\x00", b"", BYTES * 2):
        with pytest.raises(Conflict) as caught:
            await put(store, KEY, other)
        assert caught.value.code == "conflict"
    assert await bytes_of(store, KEY) == BYTES


async def test_head_tells_size_hash_and_metadata(store: Store) -> None:
    metadata = {"call-id": "17", "note": " é 100 % done, twice  ", "empty": ""}
    await put(store, KEY, BYTES, content_type="audio/wav", metadata=metadata)
    assert await store.head(KEY) == ObjectInfo(KEY, len(BYTES), digest(BYTES), metadata)


async def test_unusable_metadata_names_are_refused(store: Store) -> None:
    for name in ["sha256", "Upper", "under_score", "", "a b", "é"]:
        with pytest.raises(ValueError):
            await put(store, KEY, BYTES, metadata={name: "x"})


async def test_many_writers_of_the_same_bytes(place: Place) -> None:
    results: list[Created | Same] = []

    async def write(store: Store) -> None:
        results.append(await put(store, KEY, BYTES))

    async with place.store() as first, place.store() as second, anyio.create_task_group() as group:
        for writer in [first, second] * 6:
            group.start_soon(write, writer)
    assert results.count(Created()) == 1
    assert results.count(Same()) == 11


async def test_many_writers_of_different_bytes(place: Place) -> None:
    created: list[bytes] = []
    conflicts: list[bytes] = []

    async def write(store: Store, data: bytes) -> None:
        try:
            assert await put(store, KEY, data) == Created()
        except Conflict:
            conflicts.append(data)
        else:
            created.append(data)

    async with place.store() as first, place.store() as second:
        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(write, [first, second][number % 2], BYTES + bytes([number]))
        assert len(created) == 1
        assert len(conflicts) == 11
        assert await bytes_of(first, KEY) == created[0]


async def test_bytes_that_are_not_as_said_create_nothing(store: Store) -> None:
    wrong: list[dict[str, object]] = [{"size": size} for size in (0, len(BYTES) - 1, len(BYTES) + 1)]
    wrong.append({"sha256": digest(OTHER)})
    for fault in wrong:
        with pytest.raises(Failed) as caught:
            await put(store, KEY, BYTES, **fault)
        assert caught.value.code == "checksum"
        assert await store.head(KEY) is None
    assert await keys(store) == []
    assert await put(store, KEY, BYTES) == Created()


async def test_what_is_no_sha256_is_refused(store: Store) -> None:
    for sha256 in ["", "0" * 63, digest(BYTES).upper(), "g" * 64]:
        with pytest.raises(ValueError):
            await put(store, KEY, BYTES, sha256=sha256)


async def test_the_body_is_read_from_its_start_and_left_open(store: Store) -> None:
    body = io.BytesIO(BYTES)
    body.seek(77)
    await store.put(KEY, body, size=len(BYTES), sha256=digest(BYTES))
    assert not body.closed
    assert await bytes_of(store, KEY) == BYTES


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 1024 * 1024 + 1, 11 * 1024 * 1024])
async def test_sizes(place: Place, store: Store, size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert await put(store, "a/b", data) == Created()
    assert await put(store, "a/b", data) == Same()
    async with aclosing(store.stream("a/b")) as stream:  # type: ignore[type-var]
        chunks = [chunk async for chunk in stream]
    assert b"".join(chunks) == data
    assert max(map(len, chunks), default=0) <= 1024 * 1024
    info = await store.head("a/b")
    assert info is not None
    assert (info.size, info.sha256) == (size, digest(data))


BAD_KEYS = ["", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "./a", "a\x00b", "a\nb", "\x7f"]
BAD_KEYS += [
    "x" * 256,
    "é" * 128,
    "/".join(["x" * 200] * 6),
    "\ud800",
    "a/\udc80",
    ".mediapipe/x",
    ".mediapipe",
]


async def test_an_unusable_key_is_refused_everywhere(store: Store) -> None:
    calls: list[Callable[[str], Awaitable[object]]] = [
        lambda key: put(store, key, BYTES),
        store.head,
        store.read,
        lambda key: bytes_of(store, key),
    ]
    for key in BAD_KEYS:
        for call in calls:
            with pytest.raises(ValueError):
                await call(key)
    assert await keys(store) == []


_CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/")
_PART = st.text(_CHARACTERS, min_size=1, max_size=20)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.lists(_PART, min_size=1, max_size=4).map("/".join))
@example(key="a+b %2F&c=d?e#f/%/\\/~")
@example(key=" leading and trailing ")
@example(key="-rf/*/$(x)/'\"<>")
@example(key="…/.../..a")
@example(key="\U0001f600/é/e\u0301/ÿ")
async def test_any_usable_key_comes_back_as_it_was(store: Store, key: str) -> None:
    if not is_key(key):
        return
    # A prefix of its own for each example: a folder can't hold a file and a folder of one name.
    above = digest(key.encode())[:8]
    assert await put(store, f"{above}/{key}", b"x") in (Created(), Same())
    assert await keys(store, f"{above}/") == [f"{above}/{key}"]
    info = await store.head(f"{above}/{key}")
    assert info is not None
    assert info.key == check_key(f"{above}/{key}")


async def test_listing_is_in_key_order_and_by_plain_prefix(store: Store) -> None:
    names = ["a/b/1", "a/b-c", "a/b.d/2", "a/ba", "ab", "b/é", "b/z", "b/Z", "b/\U0001f600", "b/\uffee"]
    for name in names:
        await put(store, name, name.encode())
    assert await keys(store) == sorted(names, key=str.encode)
    for prefix in ["a", "a/", "a/b", "a/b/", "a/b/1", "a/b/12", "b/z", "c", "/", "../", "a/b/1/"]:
        assert await keys(store, prefix) == sorted((n for n in names if n.startswith(prefix)), key=str.encode)


async def test_listing_may_be_left_early(store: Store) -> None:
    for name in "abc":
        await put(store, name, b"x")
    async with aclosing(store.list("")) as entries:  # type: ignore[type-var]
        async for entry in entries:
            assert entry == Listed("a", 1)
            break


async def test_ranges(store: Store) -> None:
    await put(store, KEY, BYTES)
    await put(store, "empty", b"")
    for start in [0, 1, 100, len(BYTES) - 1, len(BYTES), len(BYTES) + 7]:
        for length in [None, 0, 1, 44, len(BYTES) * 2]:
            end = None if length is None else start + length
            assert await store.read(KEY, start, length) == BYTES[start:end]
            assert await store.read("empty", start, length) == b""


async def test_ranges_that_are_none(store: Store) -> None:
    await put(store, KEY, BYTES)
    with pytest.raises(ValueError):
        await store.read(KEY, -1)
    with pytest.raises(ValueError):
        await store.read(KEY, 0, -1)


async def test_what_is_not_there(store: Store) -> None:
    await put(store, "a/b/c", b"x")
    for key in ["nothing", "nothing/below", "a", "a/b/c/d"]:
        assert await store.head(key) is None
        for length in (None, 0, 5):
            with pytest.raises(NotThere):
                await store.read(key, 0, length)
        with pytest.raises(NotThere):
            await bytes_of(store, key)


async def test_a_place_never_written_to_is_empty(store: Store) -> None:
    assert await keys(store) == []
    assert await store.head(KEY) is None


async def test_a_stream_left_early_lets_go(store: Store) -> None:
    await put(store, KEY, BYTES * 500)
    async with aclosing(store.stream(KEY)) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            assert chunk
            break


async def test_the_proof_leaves_nothing_to_see(place: Place) -> None:
    for _ in range(2):
        async with place.store() as store:
            await store.prove()
            await store.prove()
            assert await keys(store) == []
            assert await keys(store, ".mediapipe") == []


async def test_recordings_beside_the_proof_are_listed(store: Store) -> None:
    await store.prove()
    for key in ("a", ".mediapipex", "x/.mediapipe/y"):
        await put(store, key, b"x")
    assert await keys(store) == [".mediapipex", "a", "x/.mediapipe/y"]


async def test_a_lost_answer_is_healed_by_putting_again(place: Place, store: Store) -> None:
    if place.s3 is not None:
        method = "POST" if place.kind == "s3-in-parts" else "PUT"
        target = "uploadId" if place.kind == "s3-in-parts" else KEY
        place.s3.front.faults.append(Fault("lose_answer", method, target))
        with pytest.raises(Transient):
            await put(store, KEY, BYTES)
        assert await put(store, KEY, BYTES) == Same()
    else:
        await put(store, KEY, BYTES)
        assert await put(place.open(), KEY, BYTES) == Same()
    assert await bytes_of(store, KEY) == BYTES


async def test_cancelled_writes_leave_all_or_nothing(place: Place) -> None:
    data = BYTES * 60
    async with place.store() as store:
        for number in range(6):
            with anyio.move_on_after(0.002 * number):
                await put(store, f"k/{number}", data)
        async for entry in store.list(""):
            assert entry.size == len(data)
        for number in range(6):
            assert await put(store, f"k/{number}", data) in (Created(), Same())


async def test_the_name_of_a_place_leads_there_again(place: Place, store: Store) -> None:
    await put(store, KEY, BYTES)
    again = open_store(store.url, place.options)
    assert again.url == store.url
    assert await bytes_of(again, KEY) == BYTES
    await again.aclose()


async def test_closing_twice_is_fine(store: Store) -> None:
    await put(store, KEY, BYTES)
    await store.aclose()
    await store.aclose()
