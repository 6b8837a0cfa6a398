"""HTTPS to hosts that are not the platform's, named by a manifest: public addresses only.

A host is resolved once and the connection goes to the address that was looked at, so that a name cannot
lead to another one a moment later; the certificate is checked against the name. Every redirect comes through
here again.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import anyio
import httpx

from mediapipe.convirza.hosts import ForbiddenHost
from mediapipe.convirza.session import HttpClient, Timeouts, open_http

Origin = tuple[str, str, int]
"""Scheme, host, port."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, in whatever form it hides another."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class PublicOnly(httpx.AsyncBaseTransport):
    """Connects to public addresses only; ``allowed`` origins are connected to as they are."""

    def __init__(self, allowed: Collection[Origin] = ()) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._allowed = frozenset(allowed)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to an address that was looked at."""
        url = request.url
        port = url.port or {"https": 443, "http": 80}.get(url.scheme, 0)
        if (url.scheme, url.host, port) not in self._allowed:
            address = await self._address(url.host, port)
            request.extensions = {**request.extensions, "sni_hostname": url.host}
            # The Host header was made before, of the name.
            request.url = url.copy_with(host=address)
        return await self._inner.handle_async_request(request)

    async def _address(self, host: str, port: int) -> str:
        try:
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx.ConnectError(f"the name of the host is not known: {error.strerror}") from None
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(map(is_public, addresses)):
            raise ForbiddenHost(f"the host {host!r} is not on the public internet")
        return addresses[0]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


@asynccontextmanager
async def open_outside(
    timeouts: Timeouts, *, connections: int, allowed: Collection[Origin] = ()
) -> AsyncIterator[HttpClient]:
    """Open a client for addresses that a manifest names."""
    async with open_http(timeouts, connections=connections, transport=lambda: PublicOnly(allowed)) as http:
        yield http
