"""Our signatures beside botocore's own, for whatever may be put."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import quote

import botocore.auth
import botocore.awsrequest
import botocore.credentials
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.stores.sigv4 import Signer

NOW = datetime(2026, 2, 14, 3, 4, 5, tzinfo=UTC)
SHA256 = "ab" * 32
names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,11}", fullmatch=True)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
secrets = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


class Known(botocore.auth.S3SigV4Auth):
    def payload(self, request: Any) -> str:
        return SHA256


def theirs(
    path: str, headers: dict[str, str], credentials: Any, region: str, now: datetime
) -> dict[str, str]:
    request = botocore.awsrequest.AWSRequest("PUT", f"https://store.example{path}", headers)
    with mock.patch("botocore.auth.get_current_datetime", return_value=now.replace(tzinfo=None)):
        Known(credentials, "s3", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.dictionaries(names.map(lambda name: f"x-{name.lower()}"), values, max_size=6),
    secrets,
    st.none() | secrets,
    st.sampled_from(["us-east-1", "eu-central-1", "auto"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
)
def test_any_put_is_signed_as_botocore_signs_it(
    key: str, headers: dict[str, str], secret: str, token: str | None, region: str, now: datetime
) -> None:
    path = "/bucket/" + quote(key, safe="/~")
    whole = {"Host": "store.example", "User-Agent": "x/1", "Expect": "100-continue", **headers}
    frozen = botocore.credentials.ReadOnlyCredentials("AKID", secret, token)  # type: ignore[call-arg]
    ours = Signer(region).signed("PUT", path, whole, SHA256, frozen, now)
    expected = theirs(path, whole, frozen, region, now)
    assert ours["authorization"] == expected["authorization"]
    assert {name: ours[name] for name in expected} == expected


def test_a_key_is_that_of_its_day_and_secret() -> None:
    signer = Signer("eu-central-1")
    for secret in ("one", "two", "one"):
        for day in (1, 2, 1):
            frozen = botocore.credentials.ReadOnlyCredentials("AKID", secret, None)  # type: ignore[call-arg]
            now = NOW.replace(day=day)
            ours = signer.signed("PUT", "/k", {"Host": "store.example"}, SHA256, frozen, now)
            expected = theirs("/k", {"Host": "store.example"}, frozen, "eu-central-1", now)
            assert ours["authorization"] == expected["authorization"]
    assert "AWS4" not in repr(signer)
