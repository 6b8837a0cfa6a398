"""From what a user wrote after ``--dest`` to a store."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mediapipe.errors import UsageError
from mediapipe.redact import redact
from mediapipe.stores.folder import FolderStore
from mediapipe.stores.interface import Store, check_key
from mediapipe.stores.options import StoreOptions

# s3:bucket is more likely a slip than the name of a folder; ./s3:bucket is one.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_ALLOWED = "give s3://bucket/prefix, file:///folder or a path (./name for one with a colon)"


def open_store(dest: str, options: StoreOptions | None = None, *, inline: bool = False) -> Store:
    """Return the store that ``dest`` names: ``s3://bucket/prefix``, ``file:///folder`` or a plain path.

    ``inline``: calls may block their thread, which has nothing else to do. Nothing is read or written yet.
    A store's own ``url`` is a valid ``dest``. Raises ``UsageError`` for
    anything else.
    """
    if not dest.strip() or "\x00" in dest:
        raise UsageError("the destination is empty or not text", hint=_ALLOWED)
    scheme = _SCHEME.match(dest)
    match scheme and scheme[1].lower():
        case None:
            return FolderStore(Path(dest).expanduser())
        case "file":
            return FolderStore(_folder(dest))
        case "s3":
            return _open_s3(dest, options or StoreOptions(), inline=inline)
        case other:
            raise UsageError(f"no store is known for {other}: destinations", hint=_ALLOWED)


def _folder(dest: str) -> Path:
    parts = urlsplit(dest)
    if parts.netloc not in {"", "localhost"}:
        raise UsageError(f"a file:// destination names no host: {redact(dest)}", hint="write file:///folder")
    if parts.query or parts.fragment:
        raise UsageError(f"a file:// destination has no ? or #: {redact(dest)}", hint="write %3F and %23")
    path = unquote(parts.path)
    if not path.startswith("/") or "\x00" in path:
        raise UsageError(f"not an absolute folder: {redact(dest)}", hint="write file:///folder")
    return Path(path)


def _open_s3(dest: str, options: StoreOptions, *, inline: bool) -> Store:
    place, _, endpoint = dest[len("s3://") :].partition("?endpoint=")
    bucket, _, prefix = place.partition("/")
    prefix = prefix.strip("/")
    # The text is not quoted back: someone may have put a key and its secret before an @.
    if not dest[:5].lower() == "s3://" or not _BUCKET.fullmatch(bucket):
        raise UsageError("the s3:// destination has no usable bucket name", hint=_ALLOWED)
    try:
        if prefix:
            check_key(prefix)
    except ValueError as error:
        raise UsageError(f"unusable s3:// prefix: {error}", hint=_ALLOWED) from None

    # boto3 takes half a second to import; only those who use S3 pay for it.
    from mediapipe.stores.s3 import S3Store

    store = S3Store(bucket, prefix, options, inline=inline)
    if inline:
        store.prepare()  # once, before what shares it is forked
    if endpoint and not store.url.endswith(f"?endpoint={endpoint}"):
        raise UsageError(
            f"the destination is at {redact(endpoint)}, but {redact(store.url)} is what is set up",
            hint="set AWS_ENDPOINT_URL_S3 to that endpoint",
        )
    return store
