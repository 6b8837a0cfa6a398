from __future__ import annotations

import contextlib

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.convirza.hosts import ForbiddenHost, HostPolicy

BASES = (
    "https://platform-api.convirza.com/v3",
    "http://127.0.0.1:8080/v3",
    "https://apicfa.example.org:8443",
)
POLICY = HostPolicy.of([" *.Convirza.com. ", "", "recordings.example.net"], BASES)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.convirza.com/v3/recordings/1?secret=x",
        "https://API.Convirza.COM/a",
        "HTTPS://api.convirza.com/a",
        "https://api.convirza.com./a",
        "https://api.convirza.com:443/a",
        "https://a.b.convirza.com/a",
        "https://recordings.example.net/a",
        "https://platform-api.convirza.com/a",
        "http://127.0.0.1:8080/recordings/1",
        "https://apicfa.example.org:8443/a",
        "https://api.convirza.com/a?mail=a@b.c",
    ],
)
def test_allowed(url: str) -> None:
    POLICY.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/v3/recordings/1",
        "//api.convirza.com/a",
        "api.convirza.com/a",
        "http://api.convirza.com/a",
        "http://platform-api.convirza.com/a",
        "ftp://api.convirza.com/a",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://convirza.com/a",
        "https://convirza.com.evil.com/a",
        "https://api.convirza.com.evil.com/a",
        "https://evilconvirza.com/a",
        "https://api-convirza.com/a",
        "https://evil.com/api.convirza.com",
        "https://evil.com?.convirza.com",
        "https://evil.com#.convirza.com",
        "https://evil.com\\.convirza.com/a",
        "https://evil.com%2f.convirza.com/a",
        "https://evil.com%00.convirza.com/a",
        "https://evil com.convirza.com/a",
        "https://api.convirza.com@evil.com/a",
        "https://user@api.convirza.com/a",
        "https://user:pass@api.convirza.com/a",
        "https://user:pass@platform-api.convirza.com/a",
        "http://user:pass@127.0.0.1:8080/a",
        "https://api.convirza.com:99999/a",
        "https://api.convirza.com:x/a",
        "https://[::1]/a",
        "https://[::ffff:127.0.0.1]/a",
        "https://[",
        "https://169.254.169.254/latest/meta-data",
        "http://127.0.0.1/a",
        "http://127.0.0.1:8081/a",
        "https://127.0.0.1:8080/a",
        "http://localhost:8080/a",
        "https://api.convirzа.com/a",  # noqa: RUF001  # a Cyrillic letter
        "https://еvil.convirza.com/a",  # noqa: RUF001  # what the resolver is asked for would be another name
        "https://api\u3002convirza.com/a",
        "https://api.convirza.com\u2100.evil.com/a",
        "https://api.convirza.com/a\x00b",
        "https://api.convi\nrza.com/a",
        "https://api.convirza.com/a\r\nHost: evil.com",
        "https:///a",
        "https://",
    ],
)
def test_forbidden(url: str) -> None:
    with pytest.raises(ForbiddenHost) as caught:
        POLICY.check(url)
    assert "pass" not in caught.value.message.replace("/etc/passwd", "")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "127.1",
        "0x7f000001",
        "0x7f.0.0.1",
        "0X7F.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "127.0.0.1.",
        "1.1.1.1",
        "169.254.169.254",
        "[fe80::1%25eth0]",
        "0",
        "0x0",
    ],
)
def test_an_address_is_never_matched_by_a_glob(host: str) -> None:
    with pytest.raises(ForbiddenHost):
        HostPolicy.of(["*", "*.*.*.*", host.strip("[]"), host], ()).check(f"https://{host}/a")


def test_a_glob_for_everything_still_wants_https_and_names() -> None:
    policy = HostPolicy.of(["*"], ())
    policy.check("https://cdn.example.com/a")
    policy.check("https://1password.com/a")
    with pytest.raises(ForbiddenHost):
        policy.check("http://cdn.example.com/a")


def test_the_message_names_the_host_and_nothing_secret() -> None:
    with pytest.raises(ForbiddenHost) as caught:
        POLICY.check("https://evil.example/v3/recordings/1?secret=s3cr3t&access=acc3ss#frag")
    assert "evil.example" in str(caught.value)
    for secret in ("s3cr3t", "acc3ss", "recordings/1", "frag"):
        assert secret not in str(caught.value)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_allowed_or_forbidden(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/a", f"https://api.convirza.com{text}"):
        try:
            POLICY.check(url)
        except ForbiddenHost:
            continue
        with contextlib.suppress(httpx.InvalidURL):  # what is fetched is the host that was judged
            assert httpx.URL(url).host.rstrip(".").endswith((".convirza.com", "recordings.example.net"))


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@settings(deadline=None)
@given(st.lists(labels, min_size=1, max_size=4))
def test_only_names_below_the_glob_pass(parts: list[str]) -> None:
    host = ".".join(parts)
    POLICY.check(f"https://{host}.convirza.com/a")
    if host not in {"platform-api.convirza.com", "recordings.example.net"} and not host.endswith(
        ".convirza.com"
    ):
        with pytest.raises(ForbiddenHost):
            POLICY.check(f"https://{host}/a")


@pytest.mark.parametrize("url", ["https:///a", "https://", "https://:443/a", "https://./a"])
def test_no_host_at_all_matches_no_glob(url: str) -> None:
    with pytest.raises(ForbiddenHost):
        HostPolicy.of(["*"], ()).check(url)


def test_a_base_is_told_from_a_host_that_a_glob_lets_in() -> None:
    assert POLICY.is_base("http://127.0.0.1:8080/other/path?x=1")
    assert POLICY.is_base("HTTPS://Platform-API.convirza.com:443/")
    assert not POLICY.is_base("https://api.convirza.com/v3")
    assert not POLICY.is_base("https://127.0.0.1:8080/v3")
