"""HTTPS to hosts that are not the platform's, named by a manifest: public addresses only.

A host is resolved once and the connection goes to an address that was looked at, so that a name cannot
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

from mediapipe.convirza.clients import HttpClient, Timeouts, open_http
from mediapipe.convirza.hosts import ForbiddenHost
from mediapipe.errors import Failed, Transient

Origin = tuple[str, str, int]
"""Scheme, host, port."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is given out; the rest is local, reserved or translated."""
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # for protocols; a cloud's metadata service is at 192.0.0.192
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # Azure, to its own machines
        "3fff::/20",  # for documentation
    )
)
"""What Python's table calls global, in the versions that this runs on."""

_UNKNOWN = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, in whatever form it hides another."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_PUBLIC)


async def public_addresses(host: str, port: int, within: float | None) -> list[str]:
    """Return the addresses of a host to be tried, the first of each family; ``within`` is in seconds.

    Raises :class:`ForbiddenHost` unless each one it has is public, ``Failed`` (``unknown_host``) when there
    is no such name, ``Transient`` when that could not be found out.
    """
    try:
        with anyio.fail_after(within):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _UNKNOWN:
            raise Failed(f"there is no host {host!r}", code="unknown_host") from None
        raise Transient(f"the host {host!r} was not looked up: {error.strerror}", code="network") from None
    except OSError as error:
        raise Transient(f"the host {host!r} was not looked up: {error!r}", code="network") from None
    first: dict[int, str] = {}
    for family, *_, place in found:
        if not is_public(address := str(place[0])):
            raise ForbiddenHost(f"the host {host!r} is not on the public internet")
        first.setdefault(family, address)
    return list(first.values())


class PublicOnly(httpx.AsyncBaseTransport):
    """Connects to public addresses only; ``allowed`` origins are connected to as they are."""

    def __init__(self, allowed: Collection[Origin] = (), *, connections: int = 8) -> None:
        # A kept connection is known by its address, and was made for one name: another name at the same
        # address would go through it with its certificate unchecked. So none is kept.
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(limits=limits)
        self._allowed = frozenset(allowed)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, which has no body, to an address that was looked at."""
        url = request.url
        host = url.raw_host.decode("ascii")
        port = url.port or {"https": 443, "http": 80}.get(url.scheme, 0)
        if (url.scheme, host, port) in self._allowed:
            return await self._inner.handle_async_request(request)
        within = request.extensions.get("timeout", {}).get("connect")
        *others, last = await public_addresses(host, port, within)
        for address in others:
            try:
                return await self._send(request, host, address)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._send(request, host, last)

    async def _send(self, request: httpx.Request, host: str, address: str) -> httpx.Response:
        pinned = httpx.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,  # Host was made of the name
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host.rstrip(".")},
        )
        return await self._inner.handle_async_request(pinned)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


@asynccontextmanager
async def open_outside(
    timeouts: Timeouts, *, connections: int, allowed: Collection[Origin] = ()
) -> AsyncIterator[HttpClient]:
    """Open a client for addresses that a manifest names."""

    def transport() -> PublicOnly:
        return PublicOnly(allowed, connections=connections)

    async with open_http(timeouts, connections=connections, transport=transport) as http:
        yield http
