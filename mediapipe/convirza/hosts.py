"""Which hosts a recording's URL may name. Pure; asked again at every redirect.

https only; the hosts of the configured API bases are allowed with the scheme of their base (so that a
sandbox on http works). A host given as an IP address is never matched by a glob, only by a base.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from mediapipe.errors import Failed

_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
"""A plain host and port. User names, percent signs, backslashes and letters that a resolver would spell
otherwise are never needed, and are where two readers of one URL come to disagree."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class ForbiddenHost(Failed):
    """A recording's URL names a host that is not allowed."""

    code = "forbidden_host"
    hint = "if the platform really serves recordings there, add the host to CONVIRZA_RECORDING_HOSTS"


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """``globs`` for https hosts; ``origins`` are (scheme, host, port) of the configured bases."""

    globs: tuple[str, ...]
    origins: frozenset[tuple[str, str, int]]

    @classmethod
    def of(cls, globs: Iterable[str], bases: Iterable[str]) -> HostPolicy:
        """Build from settings: host globs, and the API base URLs."""
        origins = (_origin(base) for base in bases)
        return cls(
            tuple(glob.strip().lower().rstrip(".") for glob in globs if glob.strip()), frozenset(origins)
        )

    def check(self, url: str) -> None:
        """Raise :class:`ForbiddenHost` unless ``url`` may be fetched. The message holds the host only."""
        try:
            scheme, host, port = _origin(url)
            authority = urlsplit(url).netloc
        except ValueError:
            raise ForbiddenHost("a recording's URL cannot be read") from None
        if "@" in authority:  # asked before the bases: it would be sent as a login
            raise ForbiddenHost(f"a recording's URL carries a user name (host {host!r})")
        if _CONTROL.search(url) or (authority and not _AUTHORITY.fullmatch(authority)):
            raise ForbiddenHost(f"a recording's URL does not name its host plainly (host {host!r})")
        if (scheme, host, port) in self.origins:
            return
        if scheme != "https":
            raise ForbiddenHost(
                f"a recording's URL is not https but {scheme or 'relative'} (host {host or 'none'})"
            )
        if host and not _is_address(host) and any(fnmatchcase(host, glob) for glob in self.globs):
            return
        raise ForbiddenHost(f"a recording's URL names the host {host!r}, which is not allowed")

    def is_base(self, url: str) -> bool:
        """Tell whether a URL that was checked is at one of the configured bases."""
        return _origin(url) in self.origins


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().rstrip(".")
    return parts.scheme.lower(), host, parts.port or {"https": 443, "http": 80}.get(parts.scheme.lower(), 0)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        # 2130706433, 127.1 and 0x7f.1 are addresses to a resolver too: what ends in a number is one.
        return bool(_NUMBER.fullmatch(host.rpartition(".")[2]))
    return True
