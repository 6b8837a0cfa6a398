"""What only the folder store does: links, permissions, full disks, dead runs."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest
from anyio import to_thread

from mediapipe.errors import CredentialsError, DiskFull, Failed, MediapipeError, Transient, UsageError
from mediapipe.stores import disk
from mediapipe.stores.folder import FolderStore
from mediapipe.stores.interface import Conflict, Created, NotThere, Same
from tests.lacking import lacking

pytestmark = pytest.mark.anyio

_PROC = Path("/proc/self/fd").exists()
BYTES = b"a call" * 1000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "archive")


async def put(store: FolderStore, key: str, data: bytes = BYTES) -> Created | Same:
    return await store.put(key, io.BytesIO(data), size=len(data), sha256=hashlib.sha256(data).hexdigest())


async def keys(store: FolderStore) -> list[str]:
    return [entry.key async for entry in store.list("")]


def temporary(store: FolderStore) -> list[str]:
    folder = Path(store.url.removeprefix("file://")) / ".mediapipe/tmp"
    return os.listdir(folder) if folder.exists() else []


async def test_a_folder_is_plain_files(store: FolderStore, tmp_path: Path) -> None:
    await put(store, "a/b/c.wav")
    assert (tmp_path / "archive/a/b/c.wav").read_bytes() == BYTES
    assert temporary(store) == []


async def test_looking_makes_no_folder(store: FolderStore, tmp_path: Path) -> None:
    assert await keys(store) == []
    assert await store.head("a") is None
    assert os.listdir(tmp_path) == []


async def test_one_name_for_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    spellings: list[Path | str] = ["real", "./real/", "link", f"{tmp_path}/x/../real", tmp_path / "link"]
    assert {FolderStore(spelled).url for spelled in spellings} == {(tmp_path / "real").as_uri()}


@pytest.mark.parametrize("target", ["outside", "inside"])
async def test_a_link_among_the_folders_is_refused(store: FolderStore, tmp_path: Path, target: str) -> None:
    await put(store, "kept/x")
    root = tmp_path / "archive"
    leads_to = tmp_path / "elsewhere" if target == "outside" else root / "kept"
    leads_to.mkdir(exist_ok=True)
    (leads_to / "secret").write_text("not a recording")
    (root / "link").symlink_to(leads_to)
    for key in ("link/new", "link/deeper/new", "link/secret"):
        with pytest.raises(UsageError):
            await put(store, key)
        with pytest.raises(UsageError):
            await store.read(key)
    assert sorted(os.listdir(leads_to)) == (["secret"] if target == "outside" else ["secret", "x"])
    assert not any(key.startswith("link") for key in await keys(store))
    assert temporary(store) == []


async def test_a_link_in_the_place_of_a_recording(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(BYTES)
    await put(store, "a/x")
    for name, target in {"link": tmp_path / "secret", "dangling": tmp_path / "nothing"}.items():
        (tmp_path / "archive/a" / name).symlink_to(target)
        assert await store.head(f"a/{name}") is None
        with pytest.raises(NotThere):
            await store.read(f"a/{name}")
        with pytest.raises(Conflict):
            await put(store, f"a/{name}")
    assert not (tmp_path / "nothing").exists()
    assert await keys(store) == ["a/x"]


async def test_what_is_no_file_is_no_recording(store: FolderStore, tmp_path: Path) -> None:
    await put(store, "a/x")
    os.mkfifo(tmp_path / "archive/a/pipe")
    assert await store.head("a/pipe") is None
    with pytest.raises(Conflict):
        await put(store, "a/pipe")
    with pytest.raises(Conflict):
        await put(store, "a")
    with pytest.raises(Conflict):
        await put(store, "a/x/y")
    assert await keys(store) == ["a/x"]


async def test_foreign_names_are_not_listed(store: FolderStore, tmp_path: Path) -> None:
    await put(store, "a")
    for name in (b"new\nline", b"not-utf8-\xff"):
        (tmp_path / "archive" / os.fsdecode(name)).write_bytes(b"x")
    assert await keys(store) == ["a"]


async def test_leftovers_of_dead_runs_go_after_a_day(store: FolderStore, tmp_path: Path) -> None:
    folder = tmp_path / "archive/.mediapipe/tmp"
    folder.mkdir(parents=True)
    for name, age in {"old.part": 25, "young.part": 23}.items():
        (folder / name).write_bytes(b"x")
        then = time.time() - age * 3600
        os.utime(folder / name, (then, then))
    await put(store, "a")
    assert temporary(store) == ["young.part"]


async def test_a_folder_removed_meanwhile_is_made_again(store: FolderStore, tmp_path: Path) -> None:
    await put(store, "a/b/x")
    (tmp_path / "archive/a/b/x").unlink()
    (tmp_path / "archive/a/b").rmdir()
    assert await put(store, "a/b/x") == Created()


async def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for root in (tmp_path / "file", tmp_path / "file/below"):
        store = FolderStore(root)
        with pytest.raises(UsageError):
            await store.prove()
        with pytest.raises(UsageError):
            await put(store, "a")


async def test_a_folder_that_may_not_be_written(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir(mode=0o500)
    with as_nobody(), pytest.raises(CredentialsError):
        await store.prove()


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Give root's powers up for a while: permissions do not hold for root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, DiskFull, "disk_full"),
        (errno.EDQUOT, DiskFull, "disk_full"),
        (errno.EFBIG, DiskFull, "disk_full"),
        (errno.EACCES, CredentialsError, "credentials"),
        (errno.EPERM, CredentialsError, "credentials"),
        (errno.EROFS, UsageError, "usage"),
        (errno.EXDEV, UsageError, "usage"),
        (errno.EOPNOTSUPP, UsageError, "usage"),
        (errno.EIO, Transient, "transient"),
        (errno.ESTALE, Transient, "transient"),
        (errno.ENAMETOOLONG, Failed, "name_too_long"),
        (errno.ENXIO, Failed, "store"),
    ],
)
def test_errors_in_our_words(number: int, kind: type[MediapipeError], code: str) -> None:
    error = disk.translate(OSError(number, os.strerror(number)), "writing a")
    assert type(error) is kind
    assert error.code == code


async def test_a_filesystem_without_hard_links(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(UsageError, match="hard links"):
        await store.prove()
    with pytest.raises(UsageError, match="hard links"):
        await put(store, "a")
    assert temporary(store) == []


async def test_a_filesystem_that_replaces_is_refused(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def replacing(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if target in os.listdir(dst_dir_fd):
            os.unlink(target, dir_fd=dst_dir_fd)
        link(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "link", replacing)
    with pytest.raises(MediapipeError) as caught:
        await store.prove()
    assert caught.value.code == "unsafe_destination"
    assert temporary(store) == []


async def test_the_order_that_makes_a_put_durable(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, link = os.fsync, os.link

    def noted_fsync(fd: int) -> None:
        done.append("sync " + os.readlink(f"/proc/self/fd/{fd}").removeprefix(str(tmp_path)))
        fsync(fd)

    def noted_link(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        done.append(f"link {target}")
        link(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    await store.prove()
    if not _PROC:
        lacking("needs /proc to know a descriptor's path")
    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "link", noted_link)
    await put(store, "a/b/x")
    assert done[0].endswith(".part")
    assert done[1:] == ["sync /archive", "sync /archive/a", "link x", "sync /archive/a/b"]
    done.clear()
    assert await put(store, "a/b/x") == Same()
    assert done[1:] == ["link x", "sync /archive/a/b/x", "sync /archive/a/b"]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
{_WRITER}
async def main():
    store = FolderStore({str(tmp_path)!r})
    assert await put(store, "small", bytes(200_000))
    try:
        await put(store, "large", bytes(400_000))
    except DiskFull:
        assert [entry.key async for entry in store.list("")] == ["small"]
        assert await put(store, "other", bytes(200_000))
        print("as it should be")
anyio.run(main)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "as it should be\n"
    assert list((tmp_path / ".mediapipe/tmp").iterdir()) == []


async def test_killed_at_any_moment_nothing_half_written_shows(tmp_path: Path) -> None:
    await to_thread.run_sync(_kill_writers, tmp_path)
    store = FolderStore(tmp_path / "archive")
    found = await keys(store)
    assert found
    for key in found:
        expected = random.Random(int(key.rpartition("/")[2])).randbytes(40_000)
        assert await store.read(key) == expected
        assert await put(store, key, expected) == Same()
    for number in range(3):
        assert await put(store, f"k/new/{number}") == Created()


def _kill_writers(tmp_path: Path) -> None:
    program = f"""
import random
{_WRITER}
async def main():
    store = FolderStore({str(tmp_path / "archive")!r})
    print("ready", flush=True)
    for number in range(100_000):
        data = random.Random(number).randbytes(40_000)
        await put(store, f"k/{{number % 7}}/{{number}}", data)
anyio.run(main)
"""
    chance = random.Random(7)
    for _ in range(5):
        with _running(program) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0.01, 0.25))
            os.kill(process.pid, signal.SIGKILL)


async def test_a_stream_closes_its_file(store: FolderStore) -> None:
    await put(store, "a", bytes(3 * 1024 * 1024))
    before = len(os.listdir("/proc/self/fd")) if _PROC else None
    async with aclosing(store.stream("a")) as chunks:  # type: ignore[type-var]
        async for _ in chunks:
            break
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before


_WRITER = """
import anyio, hashlib, io
from mediapipe.errors import DiskFull
from mediapipe.stores.folder import FolderStore
async def put(store, key, data):
    return await store.put(key, io.BytesIO(data), size=len(data), sha256=hashlib.sha256(data).hexdigest())
"""


@contextmanager
def _running(program: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
