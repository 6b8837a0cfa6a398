"""Signed recording URLs: made when a call is fetched, checked when the bytes are asked for."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count
from urllib.parse import quote


class UrlState(Enum):
    """What a signed URL is worth."""

    GOOD = auto()
    EXPIRED = auto()
    FORGED = auto()


@dataclass(frozen=True, slots=True)
class SignedPart:
    """The query of a signed URL and when it expires, in Unix seconds."""

    query: str
    expires: int


class Signer:
    """Signs (what, access, expires, file name) with a key of this sandbox."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._numbers = count(1)
        self._killed: set[str] = set()

    def sign(self, what: str, file_name: str, expires: int) -> SignedPart:
        """Return the query that opens ``what``; no two are equal."""
        access = f"{next(self._numbers):x}-{expires:x}"
        secret = self._secret(what, access, expires, file_name)
        query = f"secret={secret}&access={access}&expires={expires}&file_name={quote(file_name, safe='')}"
        return SignedPart(query, expires)

    def check(self, what: str, query: Mapping[str, str], now_s: float) -> UrlState:
        """Judge the query that came with a request for ``what``."""
        access, expires = query.get("access", ""), query.get("expires", "")
        file_name = query.get("file_name", "")
        if not expires.isdigit():
            return UrlState.FORGED
        secret = self._secret(what, access, int(expires), file_name)
        if not hmac.compare_digest(secret.encode(), query.get("secret", "").encode()):
            return UrlState.FORGED
        return UrlState.EXPIRED if int(expires) <= now_s or access in self._killed else UrlState.GOOD

    def kill(self, query: Mapping[str, str]) -> None:
        """Make one URL expire now; a fresh one works."""
        self._killed.add(query.get("access", ""))

    def _secret(self, what: str, access: str, expires: int, file_name: str) -> str:
        text = f"{what}\n{access}\n{expires}\n{file_name}".encode()
        return hmac.digest(self._key, text, "sha256").hex()
