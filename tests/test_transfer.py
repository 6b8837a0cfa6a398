"""One recording from its URL into a folder: only audio arrives, nothing is overwritten, crashes mend."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.convirza.clients import Timeouts, open_http
from mediapipe.convirza.hosts import HostPolicy
from mediapipe.convirza.models import read_call
from mediapipe.convirza.signed import Downloader
from mediapipe.errors import Failed, MediapipeError, Rejected, Throttled, Transient
from mediapipe.layout import Layout
from mediapipe.pacing import AdaptiveLimit, ByteBudget, Pacer, Pause, RetryPolicy
from mediapipe.stores.folder import FolderStore
from mediapipe.stores.interface import Conflict, ObjectInfo
from mediapipe.transfer import Kept, NeedsGrant, Tools, Transfer, transfer
from tests.convirza.server import Reply, Request, serving

STARTED = datetime(2026, 2, 14, 12, tzinfo=UTC)
STEM = "recordings/year=2026/month=02/day=14/5-9"
QUICK = RetryPolicy(attempts=2, wait_initial=0.001, wait_max=0.002, total=5.0)


def wav(seconds: float = 0.2, fill: int = 0, rate: int = 8000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(rate)
        file.writeframes(bytes([fill]) * int(seconds * rate))
    return out.getvalue()


def mp3(frames: int = 20, art: int = 0) -> bytes:
    """Return MPEG-1 layer III at 128 kbit/s, with an ID3 tag of ``art`` bytes in front."""
    size = bytes((art >> shift) & 0x7F for shift in (21, 14, 7, 0))
    tag = b"ID3\x04\x00\x00" + size + b"\x00" * art if art else b""
    return tag + (b"\xff\xfb\x90\xc0" + b"\x00" * 413) * frames


def flac() -> bytes:
    info = bytes.fromhex("10001000000000000000" + "0ac442f0" + "0000ac44") + b"\x11" * 16
    return b"fLaC\x80\x00\x00\x22" + info + b"\x00" * 64


def record(**changes: Any) -> dict[str, Any]:
    details = {
        "recording_id": 9,
        "url": "https://x/y?secret=s3cr3t&access=acc3ss",
        "expires_at": "2026-02-15",
    }
    return {"call_id": 5, "call_started": "2026-02-14T12:00:00Z", "recording_details": details, **changes}


class Site:
    """The recordings host, the folder and everything a transfer needs."""

    def __init__(self, folder: Path, url: str, requests: list[Request]) -> None:
        self.folder, self.url, self.requests = folder, url, requests
        self.reply = Reply(body=wav())

    def task(self, **changes: Any) -> Transfer:
        call = read_call(record(), server_time=0)
        task = Transfer("5", "9", STARTED, call.record, f"{self.url}/rec?secret=s3cr3t", 0.2)
        return replace(task, **changes)

    def run(self, task: Transfer | None = None, wrap: Callable[[Any], Any] | None = None, **more: Any) -> Any:
        """Transfer; ``wrap`` may put something around the store."""

        async def main() -> Kept | NeedsGrant:
            async with open_http(Timeouts(5, 5, 5), connections=2) as http:
                pacer = Pacer(AdaptiveLimit(2), Pause())
                hosts = HostPolicy.of((), (self.url,))
                tools = Tools(
                    downloader=Downloader(http, hosts, pacer, QUICK, max_bytes=10_000_000),
                    store=(wrap or (lambda store: store))(FolderStore(self.folder)),
                    layout=Layout(),
                    retry=QUICK,
                    budget=ByteBudget(1_000_000),
                    spool_memory=1000,
                    **more,
                )
                return await transfer(task or self.task(), tools)

        return anyio.run(main)

    def put(self, name: str, body: bytes) -> tuple[str, ...]:
        """Put a file where an earlier run, or somebody else, left it; return what stands there."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return tuple(self.files)

    @property
    def files(self) -> dict[str, bytes]:
        """Every file that readers see, by key."""
        found = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        named = {path.relative_to(self.folder).as_posix(): path for path in found}
        return {key: path.read_bytes() for key, path in named.items() if not key.startswith(".mediapipe")}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with made(tmp_path) as it:
        yield it


@contextmanager
def made(folder: Path) -> Iterator[Site]:
    requests: list[Request] = []
    box: list[Site] = []

    def handle(request: Request) -> Reply:
        requests.append(request)
        return box[0].reply

    with serving(handle) as server:
        box.append(Site(folder / "archive", server.url, requests))
        yield box[0]


# ── fetched ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "extension"),
    [(wav(), "wav"), (mp3(), "mp3"), (mp3(art=300), "mp3"), (b"OggS" + b"\0" * 99, "ogg")],
)
@pytest.mark.parametrize("said", ["audio/wav", "audio/mpeg", "text/html", ""])
def test_the_bytes_decide_the_extension_not_what_the_host_says(
    site: Site, body: bytes, extension: str, said: str
) -> None:
    site.reply = Reply(body=body, headers={"Content-Type": said} if said else {})
    kept = site.run(keep_unreadable=True)
    assert isinstance(kept, Kept)
    assert (kept.how, kept.key, kept.size) == ("fetched", f"{STEM}.{extension}", len(body))
    assert kept.sha256 == hashlib.sha256(body).hexdigest()
    assert list(site.files) == sorted([f"{STEM}.{extension}", f"{STEM}.json"])
    assert site.files[kept.key] == body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<!DOCTYPE html><html>Service unavailable</html>", "error_page"),
        (b'{"statusCode": 500, "message": "oops"}', "error_page"),
        (b"<Error><Code>AccessDenied</Code></Error>", "error_page"),
        (b"Internal Server Error", "error_page"),
        (b"\x00\x01\x02\x03" * 40, "not_audio"),
        (b"", "empty_body"),
    ],
)
def test_what_is_no_audio_never_becomes_an_object(site: Site, body: bytes, code: str) -> None:
    site.reply = Reply(body=body, headers={"Content-Type": "audio/wav"})
    with pytest.raises(Transient) as caught:
        site.run(keep_unreadable=True)
    assert caught.value.code == code
    assert site.files == {}
    assert len(site.requests) == QUICK.attempts  # it may have been a passing fault


def test_an_error_page_is_quoted_without_its_secrets(site: Site) -> None:
    site.reply = Reply(body=b"<html>no: /rec?secret=s3cr3t&x=1</html>")
    with pytest.raises(Transient) as caught:
        site.run()
    assert "s3cr3t" not in str(caught.value)
    assert "<html>" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "reason"), [(410, "url_expired"), (403, "url_refused"), (401, "url_refused")]
)
def test_a_spent_url_asks_for_a_new_one(site: Site, status: int, reason: str) -> None:
    site.reply = Reply(status, b"gone")
    needs = site.run()
    assert isinstance(needs, NeedsGrant)
    assert needs.reason == reason
    assert "s3cr3t" not in needs.message
    assert site.files == {}


def test_a_header_nobody_can_read_fails_unless_told_to_keep_it(site: Site) -> None:
    body = wav()[:12] + b"LIST" + b"\x08\0\0\0" + b"x" * 8
    site.reply = Reply(body=body)
    with pytest.raises(Failed) as caught:
        site.run()
    assert caught.value.code == "unreadable_header"
    assert site.files == {}
    kept = site.run(keep_unreadable=True)
    assert kept.warnings == ("header_unreadable",)
    assert site.files[f"{STEM}.wav"] == body


@pytest.mark.parametrize("framing", ["length", "close"])
def test_a_short_body_is_kept_only_when_its_length_was_vouched_for(site: Site, framing: str) -> None:
    """The platform's own truncated recordings are kept as they are; a cut connection is not."""
    body = wav(1.0)[:-4000]
    site.reply = Reply(body=body, framing=framing)
    if framing == "close":
        with pytest.raises(Transient) as caught:
            site.run()
        assert caught.value.code == "short_body"
        assert site.files == {}
    else:
        assert site.run().warnings == ("shorter_than_header",)


def test_a_body_without_a_length_is_kept_when_it_is_whole_and_says_so(site: Site) -> None:
    site.reply = Reply(body=wav(0.2), framing="close")
    assert site.run().warnings == ("length_unproven",)
    assert json.loads(site.files[f"{STEM}.json"])["warnings"] == []


# ── sidecars ────────────────────────────────────────────────────────────────────────────────────


def test_a_sidecar_says_what_the_recording_is_and_holds_no_grant(site: Site) -> None:
    kept = site.run()
    raw = site.files[f"{STEM}.json"]
    body = json.loads(raw)
    assert (body["key"], body["sha256"], body["bytes"]) == (kept.key, kept.sha256, kept.size)
    assert (body["call_id"], body["recording_id"], body["schema"]) == ("5", "9", 1)
    assert body["media"]["sample_rate"] == 8000
    assert body["call"]["recording_details"] == {"recording_id": 9}
    for secret in (b"s3cr3t", b"acc3ss", b"http", site.url.encode()):
        assert secret not in raw


@pytest.mark.parametrize(
    "body", [wav(), mp3(), mp3(art=100_000), flac()], ids=["wav", "mp3", "mp3 art", "flac"]
)
def test_a_sidecar_is_the_same_whoever_writes_it(tmp_path: Path, body: bytes) -> None:
    """Written in one go, in another place, or by the run that adopts: the same bytes."""
    written = []
    for name in ("one", "two"):
        with made(tmp_path / name) as site:
            site.reply = Reply(body=body)
            fetched = site.run()
            written.append(site.files[f"{STEM}.json"])
            (site.folder / f"{STEM}.json").unlink()
            adopted = site.run(site.task(present=(fetched.key,)))
            assert adopted.how == "adopted"
            written.append(site.files[f"{STEM}.json"])
    assert len(set(written)) == 1


# ── what stands there already ───────────────────────────────────────────────────────────────────


def test_a_recording_without_its_sidecar_is_adopted_and_not_fetched(site: Site) -> None:
    first = site.run()
    (site.folder / f"{STEM}.json").unlink()
    site.requests.clear()
    assert site.run(site.task(present=(first.key,))) == replace(first, how="adopted")
    assert site.requests == []
    assert json.loads(site.files[f"{STEM}.json"])["sha256"] == hashlib.sha256(wav()).hexdigest()


def test_whole_audio_of_somebody_else_under_the_key_is_a_conflict_and_never_adopted(site: Site) -> None:
    """Nothing is wrong with it, except that it is another recording."""
    foreign = wav() + bytes(2)
    foreign = foreign[:4] + (len(foreign) - 8).to_bytes(4, "little") + foreign[8:]
    present = site.put(f"{STEM}.wav", foreign)
    with pytest.raises(Conflict):
        site.run(site.task(present=present))
    assert site.files == {f"{STEM}.wav": foreign}


def test_the_same_bytes_without_our_mark_are_fetched_and_recognised(site: Site) -> None:
    present = site.put(f"{STEM}.wav", wav())
    kept = site.run(site.task(present=present))
    assert (kept.how, kept.key) == ("fetched", f"{STEM}.wav")
    assert json.loads(site.files[f"{STEM}.json"])["sha256"] == hashlib.sha256(wav()).hexdigest()


def test_a_recording_with_its_sidecar_is_present_and_nothing_is_written(site: Site) -> None:
    first = site.run()
    before = site.files
    site.requests.clear()
    changed = read_call(record(tags=["new"]), server_time=0).record
    again = site.run(site.task(present=tuple(before), record=changed))
    assert again == replace(first, how="present")
    assert (site.files, site.requests) == (before, [])


def test_what_a_stale_listing_missed_is_found_by_the_put(site: Site) -> None:
    """Another run put the very same recording and sidecar after this run had looked."""
    site.run()
    before = site.files
    changed = read_call(record(tags=["new"]), server_time=0).record
    assert isinstance(site.run(site.task(record=changed)), Kept)
    assert site.files == before


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("foreign", [b"something else", wav(fill=7)[:-100], b""])
def test_a_foreign_object_under_the_key_is_a_conflict_and_stays(
    site: Site, foreign: bytes, seen: bool
) -> None:
    present = site.put(f"{STEM}.wav", foreign)
    with pytest.raises(Conflict):
        site.run(site.task(present=present if seen else ()))
    assert site.files == {f"{STEM}.wav": foreign}


def test_a_sidecar_that_speaks_of_other_bytes_is_a_conflict_and_stays(site: Site) -> None:
    site.run()
    other = site.files[f"{STEM}.json"].replace(b'"bytes"', b'"bites"')
    present = site.put(f"{STEM}.json", other)
    before = site.files
    for seen in (present, (f"{STEM}.wav",), ()):
        with pytest.raises(Conflict):
            site.run(site.task(present=seen))
    assert site.files == before


@pytest.mark.parametrize("junk", [b"", b"[]", b"not json", b"[" * 100_000])
def test_junk_in_place_of_a_sidecar_is_a_conflict_and_stays(site: Site, junk: bytes) -> None:
    site.put(f"{STEM}.wav", wav())
    present = site.put(f"{STEM}.json", junk)
    with pytest.raises(Conflict):
        site.run(site.task(present=present))
    assert site.files[f"{STEM}.json"] == junk


def test_the_recording_that_the_sidecar_speaks_of_wins_over_another_beside_it(site: Site) -> None:
    first = site.run()
    present = site.put(f"{STEM}.mp3", mp3())
    site.requests.clear()
    assert site.run(site.task(present=present)) == replace(first, how="present")
    assert site.requests == []


def test_an_object_with_another_extension_is_left_alone(site: Site) -> None:
    present = site.put(f"{STEM}.mp3", wav())
    assert site.run(site.task(present=present)).how == "fetched"
    assert sorted(site.files) == [f"{STEM}.json", f"{STEM}.mp3", f"{STEM}.wav"]


class Labelled:
    """A store whose objects carry other metadata or no hash, as S3 may."""

    def __init__(self, store: FolderStore, sha256: str | None, metadata: Mapping[str, str]) -> None:
        self._store, self._sha256, self._metadata = store, sha256, metadata

    async def head(self, key: str) -> ObjectInfo | None:
        info = await self._store.head(key)
        return info and replace(info, sha256=self._sha256 and info.sha256, metadata=self._metadata)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize(("sha256", "metadata"), [(None, {"item": "5-9"}), ("yes", {"item": "7-1"})])
def test_an_object_that_is_not_provably_ours_is_fetched_and_compared(
    site: Site, sha256: str | None, metadata: Mapping[str, str]
) -> None:
    present = site.put(f"{STEM}.wav", wav())
    kept = site.run(site.task(present=present), lambda store: Labelled(store, sha256, metadata))
    assert kept.how == "fetched"
    assert len(site.requests) == 1


class Faulty:
    """A store whose every call fails once before it works."""

    def __init__(self, store: FolderStore) -> None:
        self._store = store
        self._failed: set[str] = set()

    def _fail_once(self, what: str) -> None:
        if what not in self._failed:
            self._failed.add(what)
            raise Transient("busy")

    async def put(self, key: str, *args: Any, **more: Any) -> Any:
        answer = await self._store.put(key, *args, **more)
        self._fail_once(f"put {key}")  # the answer was lost
        return answer

    async def head(self, key: str) -> Any:
        self._fail_once(f"head {key}")
        return await self._store.head(key)

    async def read(self, key: str, *args: Any) -> Any:
        self._fail_once(f"read {key}")
        return await self._store.read(key, *args)

    async def stream(self, key: str) -> Any:
        async for chunk in self._store.stream(key):
            yield chunk[: len(chunk) // 2]
            self._fail_once(f"stream {key}")
            yield chunk[len(chunk) // 2 :]


def test_passing_faults_of_the_store_change_nothing(site: Site) -> None:
    kept = site.run(wrap=Faulty)
    before = site.files
    (site.folder / f"{STEM}.json").unlink()
    assert site.run(site.task(present=(kept.key,)), Faulty).how == "adopted"
    assert site.files == before
    assert site.run(site.task(present=tuple(before)), Faulty).how == "present"


# ── across processes ────────────────────────────────────────────────────────────────────────────


def test_tasks_and_results_survive_pickling() -> None:
    call = read_call(record(), server_time=0)
    task = Transfer("5", "9", STARTED, call.record, "https://x/y", 1.5, ("a", "b"))
    kept = Kept("k", "ff", 3, "fetched", ("w",), 2)
    needs = NeedsGrant("url_expired", "gone")
    for thing in (task, kept, needs):
        again = pickle.loads(pickle.dumps(thing))  # noqa: S301
        assert again == thing
        assert type(again) is type(thing)
    assert "https" not in repr(task)


@pytest.mark.parametrize(
    "error",
    [
        Failed("x", code="y"),
        Rejected("x", code="y", hint="z"),
        Conflict("x"),
        Transient("x", code="y", hint="z", retry_after=3.5),
        Throttled("x", retry_after=0.0),
        Failed(),
    ],
)
def test_errors_survive_pickling(error: MediapipeError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert (again.code, again.hint, again.message) == (error.code, error.hint, error.message)
    assert getattr(again, "retry_after", None) == getattr(error, "retry_after", None)
