"""Puts sent over plain blocking sockets, prepared and signed by botocore as ever.

botocore asks before it sends whether somebody has an answer already; this is who has: the request goes out as
it was signed, and what comes back is handed in as if botocore had read it. So credentials, addressing,
checksums, encryption, tags and locks stay botocore's, and so does what an answer means.
"""

from __future__ import annotations

import http.client
import os
import secrets
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

import botocore.awsrequest
import botocore.exceptions
import botocore.httpsession

from mediapipe.stores.options import StoreOptions
from mediapipe.wire import NotReached, Origin, Wire, proxied

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Heard = tuple[int, list[tuple[str, str]], bytes]


def wire_of(options: StoreOptions, ca_bundle: str | None = None) -> Wire | None:
    """Return connections that trust whom botocore trusts.

    ``ca_bundle`` is what its configuration names. None where a proxy is set, which only botocore uses, and
    where there is no such bundle, of which it has its own words.
    """
    if proxied():
        return None
    context = botocore.httpsession.create_urllib3_context()
    bundle: Any = ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE") or True
    try:
        context.load_verify_locations(botocore.httpsession.get_cert_path(bundle))
    except OSError:
        return None
    context.check_hostname = True
    return Wire(context, options.connect_timeout, options.read_timeout, options.max_connections)


def exchanged(
    wire: Wire,
    origin: Origin,
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]],
    body: bytes | BinaryIO | None,
) -> Heard:
    """Send a request and return status, headers and body of its answer; raises botocore's exceptions."""
    with _as_botocore(origin):
        reply = wire.request(origin, method, target, headers, body)
        try:
            return reply.status, reply.headers, reply.read()
        finally:
            reply.close()


class WiredSender:
    """Answers for botocore's sender."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._unsent: dict[str, Any] = {}

    def prepared(self, client: S3Client, bucket: str) -> Any:
        """Return a put of nothing as botocore prepares and signs it for a client of ours. It is not sent.

        Its key is the last part of its path. A presigned address would not do: botocore gives those out for
        the global endpoint, which only redirects to a new bucket's region.
        """
        key = f"never-sent-{secrets.token_hex(16)}"
        self._unsent[key] = None
        try:
            client.put_object(Bucket=bucket, Key=key, Body=b"")
            return self._unsent[key]
        finally:
            del self._unsent[key]

    def send(self, request: Any, **_: Any) -> Any:
        """Send one prepared request and return its answer as botocore's own; raises botocore's exceptions.

        None, and so botocore's own sender, for a body that goes in chunks.
        """
        key = urlsplit(request.url).path.rpartition("/")[2]
        if key in self._unsent:
            self._unsent[key] = request
            return botocore.awsrequest.AWSResponse(request.url, 200, _no_headers(), _Read(b""))
        if "Transfer-Encoding" in request.headers:
            return None
        origin, parts = Origin.of(request.url), urlsplit(request.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        told = [(str(name), _text(value)) for name, value in request.headers.items()]
        if not any(name.lower() == "host" for name, _ in told):
            told.insert(0, ("Host", origin.header))
        heard = exchanged(self.wire, origin, request.method, target, told, request.body)
        status, headers, content = heard
        headers_read: Any = dict(headers)
        return botocore.awsrequest.AWSResponse(request.url, status, headers_read, _Read(content))


def _no_headers() -> Any:
    return {}


class _Read:
    """A body that was read already, as botocore asks for one."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> list[bytes]:
        """Return the pieces of the body: one."""
        return [self._content]


@contextmanager
def _as_botocore(origin: Origin) -> Iterator[None]:
    """Turn the wire's exceptions into those that botocore's sender would raise."""
    url = f"{origin.scheme}://{origin.header}"
    try:
        yield
    except NotReached as error:
        cause = error.__cause__
        if isinstance(cause, ssl.SSLError):
            raise botocore.exceptions.SSLError(endpoint_url=url, error=cause) from error
        if isinstance(cause, TimeoutError):
            raise botocore.exceptions.ConnectTimeoutError(endpoint_url=url, error=error) from error
        raise botocore.exceptions.EndpointConnectionError(endpoint_url=url, error=error) from error
    except TimeoutError as error:
        raise botocore.exceptions.ReadTimeoutError(endpoint_url=url, error=error) from error
    except (http.client.HTTPException, OSError) as error:
        raise botocore.exceptions.ConnectionClosedError(endpoint_url=url, error=error) from error


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
