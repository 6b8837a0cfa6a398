"""One recording from its signed URL into the store: fetch → check → put, one function.

Small picklable task in, small picklable result out; clients come in :class:`Tools`, opened once per
process. So the same function can later run in several worker processes, with another transport
under httpx or another sender under the store.

Nothing unverified reaches the store: the body is spooled, its length, magic bytes and header are
looked at, and only then is it put, with its SHA-256 and length known. The sidecar comes last; a
recording without one is the trace of a crash and is adopted, not fetched again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TypeVar, cast

from mediapipe.audio.header import Header, read_header
from mediapipe.audio.magic import HEAD_BYTES, error_page
from mediapipe.convirza.signed import Download, Downloader, GrantExpired, GrantRefused
from mediapipe.errors import Failed, Transient
from mediapipe.layout import SIDECAR_SUFFIX, Layout, item_key, sidecar, sidecar_agrees
from mediapipe.pacing import ByteBudget, RetryPolicy
from mediapipe.redact import quote_body
from mediapipe.stores.interface import Conflict, Created, ObjectInfo, Same, Store

T = TypeVar("T")

DURATION_SLACK_S = 2.0
DURATION_SLACK_RATIO = 0.02
MAX_SIDECAR_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Transfer:
    """One recording to keep. ``url`` is a credential and is used at once.

    ``present`` are the keys that stand in the store under this call and recording id already.
    """

    call_id: str
    recording_id: str
    started: datetime
    record: Mapping[str, Any] = field(repr=False)
    url: str = field(repr=False)
    claimed_duration_s: float | None = None
    claimed_bytes: int | None = None
    present: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The ledger and report key."""
        return item_key(self.call_id, self.recording_id)

    def __reduce__(self) -> tuple[Any, ...]:
        """Go from process to process without the detours of a dataclass: each recording does."""
        return Transfer, (
            *(self.call_id, self.recording_id, self.started, self.record, self.url),
            *(self.claimed_duration_s, self.claimed_bytes, self.present),
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """The recording and its sidecar stand in the store.

    ``how`` is ``fetched``, ``adopted`` (only the sidecar had been missing) or ``present`` (both were there).
    """

    key: str
    sha256: str
    size: int
    how: str
    warnings: tuple[str, ...] = ()
    resumed: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Go back as quickly."""
        return Kept, (self.key, self.sha256, self.size, self.how, self.warnings, self.resumed)


@dataclass(frozen=True, slots=True)
class NeedsGrant:
    """The signed URL is spent; fetch the call again. ``reason`` is ``url_expired`` or ``url_refused``."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Tools:
    """What a transfer works with. ``keep_unreadable`` keeps recordings whose header cannot be read."""

    downloader: Downloader
    store: Store
    layout: Layout
    retry: RetryPolicy
    budget: ByteBudget
    spool_memory: int
    keep_unreadable: bool = False


async def transfer(task: Transfer, tools: Tools) -> Kept | NeedsGrant:
    """Keep one recording, or say that its URL is spent.

    Raises ``Failed`` (``conflict``, ``error_page``, ``not_audio``, …), ``Transient`` when passing faults
    stayed, or a ``Fatal``. Safe to call again after any of them, and after a crash.
    """
    adopted = await _adopt(task, tools)
    if adopted is not None:
        return adopted
    async with tools.budget.reserve(max(tools.spool_memory, task.claimed_bytes or 0)):
        with SpooledTemporaryFile(max_size=tools.spool_memory) as spooled:
            spool = cast(BinaryIO, spooled)
            headers: list[Header] = []
            doubtful: set[str] = set()

            def check(arrived: Download) -> None:
                header = inspect(spool, arrived, task, keep_unreadable=tools.keep_unreadable)
                if _seems_cut(header, task.claimed_duration_s) and arrived.sha256 not in doubtful:
                    # What a proxy passes on when its own source dies looks just so; the platform's own
                    # file comes out the same twice.
                    doubtful.add(arrived.sha256)
                    raise Transient("the body holds less audio than its header says", code="short_body")
                headers[:] = [header]

            def announced(size: int) -> None:
                if size > tools.spool_memory:
                    spooled.rollover()  # it will not fit, so none of it need be in memory first

            try:
                arrived = await tools.downloader.fetch(task.url, spool, check, announced)
            except (GrantExpired, GrantRefused) as error:
                return NeedsGrant(error.code, error.message)
            return await _keep(task, tools, spool, arrived, headers[0])


def inspect(spool: BinaryIO, arrived: Download, task: Transfer, *, keep_unreadable: bool) -> Header:
    """Return the header of a body that is audio, as far as it can be known without decoding.

    Raises ``Transient`` for what another try may mend (an error page, a body cut short), ``Failed`` for
    audio with an unreadable header unless told to keep it.
    """
    header = read_header(spool, arrived.size)
    if header is None:
        spool.seek(0)
        head = spool.read(HEAD_BYTES)
        page = error_page(head)
        what = f"an error page ({page})" if page else "no audio format known here"
        start = quote_body(head, 80) if page else head[:16].hex(" ")
        raise Transient(f"the body is {what}: {start}", code="error_page" if page else "not_audio")
    if header.duration_s == 0:
        raise Transient(f"the {header.format.extension} file holds no audio, only a header", code="no_audio")
    if not arrived.proven and _cut_short(header, task.claimed_duration_s):
        raise Transient(
            "the body ends before the recording does, and its length was not announced", code="short_body"
        )
    if not header.readable and not keep_unreadable:
        raise Failed(
            f"the {header.format.extension} header cannot be read",
            code="unreadable_header",
            hint="listen to it on the platform; archive.keep_unreadable keeps such recordings as they are",
        )
    return header


def _seems_cut(header: Header, claimed_s: float | None) -> bool:
    """Tell whether a body of announced length may still be a part: less than header or record say."""
    return not header.complete or _cut_short(header, claimed_s)


def _cut_short(header: Header, claimed_s: float | None) -> bool:
    if not header.complete:
        return True
    if header.duration_s is None or claimed_s is None:
        return False
    return header.duration_s < claimed_s - max(DURATION_SLACK_S, claimed_s * DURATION_SLACK_RATIO)


async def _keep(task: Transfer, tools: Tools, spool: BinaryIO, arrived: Download, header: Header) -> Kept:
    key = f"{tools.layout.stem(task.call_id, task.recording_id, task.started)}.{header.format.extension}"
    metadata = {"item": task.key, "call-id": task.call_id, "recording-id": task.recording_id}

    async def put() -> Created | Same:
        return await tools.store.put(
            key,
            spool,
            size=arrived.size,
            sha256=arrived.sha256,
            content_type=header.format.content_type,
            metadata=metadata,
        )

    await _patiently(tools, put)
    warnings = header.warnings if arrived.proven else (*header.warnings, "length_unproven")
    if header.complete and _cut_short(header, task.claimed_duration_s):
        warnings = (*warnings, "shorter_than_recorded")
    await _put_sidecar(task, tools, key, arrived.sha256, arrived.size, header)
    return Kept(key, arrived.sha256, arrived.size, "fetched", warnings, arrived.resumed)


async def _adopt(task: Transfer, tools: Tools) -> Kept | None:
    """Take over a recording that an earlier run left, provided that it is provably ours and whole."""
    found: list[ObjectInfo] = []
    for key in task.present:
        if key.endswith(SIDECAR_SUFFIX):
            continue
        info = await _patiently(tools, lambda key=key: tools.store.head(key))  # type: ignore[misc]
        if info and info.sha256 is not None:
            found.append(info)
    for info in found:
        name = _sidecar_name(info.key)
        if name in task.present and await _agrees(tools, name, info.key, str(info.sha256), info.size):
            return Kept(info.key, str(info.sha256), info.size, "present")
    for info in found:
        if info.metadata.get("item") != task.key:
            continue  # whose it is cannot be told: fetch, and let the put say whether the bytes are the same
        header = await _read_back(tools, info)
        if header is None or not info.key.endswith("." + header.format.extension):
            continue
        existing = await _put_sidecar(task, tools, info.key, str(info.sha256), info.size, header)
        how = "present" if existing else "adopted"
        return Kept(info.key, str(info.sha256), info.size, how, header.warnings)
    return None


async def _read_back(tools: Tools, info: ObjectInfo) -> Header | None:
    """Return the header of an object that is whole audio, else None.

    It is read as a whole: the start alone does not tell every format's length, and the sidecar has to
    be the one that the run before would have written.
    """

    async def copy(spool: BinaryIO) -> str:
        hasher = hashlib.sha256()
        spool.seek(0)
        spool.truncate()
        async for chunk in tools.store.stream(info.key):
            hasher.update(chunk)
            spool.write(chunk)
        return hasher.hexdigest()

    async with tools.budget.reserve(max(tools.spool_memory, info.size)):
        with SpooledTemporaryFile(max_size=tools.spool_memory) as spooled:
            spool = cast(BinaryIO, spooled)
            if await _patiently(tools, lambda: copy(spool)) != info.sha256:
                return None
            header = read_header(spool, info.size)
            return header if header is not None and header.complete else None


async def _put_sidecar(
    task: Transfer, tools: Tools, key: str, sha256: str, size: int, header: Header
) -> bool:
    """Write the sidecar; True when one that speaks of this very recording was there already."""
    name = _sidecar_name(key)
    if name in task.present and await _agrees(tools, name, key, sha256, size):
        return True
    body = sidecar(
        call_id=task.call_id,
        recording_id=task.recording_id,
        key=key,
        sha256=sha256,
        size=size,
        media=header.media(),
        warnings=header.warnings,
        record=task.record,
    )

    async def put() -> Created | Same:
        return await tools.store.put(
            name,
            io.BytesIO(body),
            size=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            content_type="application/json",
            metadata={"item": task.key},
        )

    try:
        await _patiently(tools, put)
    except Conflict:
        # The call's record changes over time (tags, analysis); the first sidecar stays when it
        # speaks of the same bytes.
        if not await _agrees(tools, name, key, sha256, size):
            raise
        return True
    return False


def _sidecar_name(key: str) -> str:
    return key.rpartition(".")[0] + SIDECAR_SUFFIX


async def _agrees(tools: Tools, name: str, key: str, sha256: str, size: int) -> bool:
    raw = await _patiently(tools, lambda: tools.store.read(name, 0, MAX_SIDECAR_BYTES))
    return sidecar_agrees(raw, key=key, sha256=sha256, size=size)


async def _patiently(tools: Tools, work: Callable[[], Awaitable[T]]) -> T:
    return await tools.retry.run(work)
