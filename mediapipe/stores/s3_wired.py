"""Puts sent over plain blocking sockets, prepared and signed by botocore as ever.

botocore asks before it sends whether somebody has an answer already; this is who has: the request goes out as
it was signed, and what comes back is handed in as if botocore had read it. So credentials, addressing,
checksums, encryption, tags and locks stay botocore's, and so does what an answer means.
"""

from __future__ import annotations

import http.client
import os
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import botocore.awsrequest
import botocore.exceptions
import botocore.httpsession

from mediapipe.stores.options import StoreOptions
from mediapipe.wire import NotReached, Origin, Wire

_PORTS = {"https": 443, "http": 80}


def wire_of(options: StoreOptions) -> Wire | None:
    """Return connections that trust whom botocore trusts; None where a proxy is set, which only it uses."""
    if getproxies():
        return None
    context = botocore.httpsession.create_urllib3_context()
    bundle: Any = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or True
    context.load_verify_locations(botocore.httpsession.get_cert_path(bundle))
    context.check_hostname = True
    return Wire(context, options.connect_timeout, options.read_timeout, options.max_connections)


class WiredSender:
    """Answers for botocore's sender."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def send(self, request: Any, **_: Any) -> Any:
        """Send one prepared request and return its answer as botocore's own; raises botocore's exceptions."""
        url = urlsplit(request.url)
        origin = Origin(url.scheme, url.hostname or "", url.port or _PORTS[url.scheme])
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        headers = [(str(name), _text(value)) for name, value in request.headers.items()]
        if not any(name.lower() == "host" for name, _ in headers):
            headers.insert(0, ("Host", url.netloc.rpartition("@")[2]))
        try:
            reply = self._wire.request(origin, request.method, target, headers, request.body)
            try:
                content = reply.read()
            finally:
                reply.close()
        except NotReached as error:
            where = request.url
            raise botocore.exceptions.EndpointConnectionError(endpoint_url=where, error=error) from error
        except TimeoutError as error:
            raise botocore.exceptions.ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except (http.client.HTTPException, OSError) as error:
            raise botocore.exceptions.ConnectionClosedError(endpoint_url=request.url, error=error) from error
        headers_read: Any = dict(reply.headers)
        return botocore.awsrequest.AWSResponse(request.url, reply.status, headers_read, _Read(content))


class _Read:
    """A body that was read already, as botocore asks for one."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> list[bytes]:
        """Return the pieces of the body: one."""
        return [self._content]


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
