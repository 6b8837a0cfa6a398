import json
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.redact import _PATTERNS as PATTERNS
from mediapipe.redact import MASK, quote_body, redact, redact_values, without_grants

# What secrets are made of; long enough that one is not in the frame by chance.
SAFE = string.ascii_letters + string.digits + "-_.~+/="
secrets = st.text(SAFE, min_size=16, max_size=80).map(lambda text: "Zq9" + text)
base64ish = st.text(string.ascii_letters + string.digits, min_size=16, max_size=80).map(
    lambda text: "Zq9" + text
)

SHAPES = [
    "GET https://api.convirza.com/v3/recordings/1?secret={}&access=abc",
    "https://api.convirza.com/v3/recordings/1?access={}",
    "https://h/x?Secret={}",
    "grant_type=password&username=a&password={}&client_id=b",
    "client_secret={} was refused",
    "refresh_token={}; path=/",
    "access_token={}",
    "frontend_token={}",
    "https://b.s3.amazonaws.com/k?X-Amz-Signature={}&X-Amz-Expires=60",
    "https://b.s3.amazonaws.com/k?X-Amz-Credential={}",
    "https://b.s3.amazonaws.com/k?X-Amz-Security-Token={}",
    "https://b.s3.amazonaws.com/k?AWSAccessKeyId=A&Signature={}",
    '{{"access_token": "{}", "token_type": "Bearer"}}',
    '{{"password":"{}"}}',
    "{{'client_secret': '{}'}}",
    "Authorization: Bearer {}",
    "authorization: bearer {}",
    "headers={{'Authorization': 'Bearer {}'}}",
    "Basic {}",
]


@pytest.mark.parametrize("shape", SHAPES)
@given(secret=secrets)
def test_a_secret_of_a_known_shape_never_survives(shape, secret):
    assert secret not in redact(shape.format(secret))


@given(secret=base64ish)
def test_the_password_of_a_dsn_never_survives(secret):
    shown = redact(f"cannot open postgresql://user:{secret}@host:5432/db")
    assert secret not in shown
    assert shown == f"cannot open postgresql://user:{MASK}@host:5432/db"


FRAGMENTS = st.sampled_from(
    [*"=:%@&\"' /", *(word for shape in SHAPES for word in shape.replace("{}", "Zq9Zq9Zq9").split())]
)


ALIKE = st.sampled_from(["\u017fecret=", "to\u212aen=", "\u017f\u0130g=", "s\u0131g="])
"""Letters beyond ASCII that count as these where case is ignored."""


@given(st.lists(FRAGMENTS | ALIKE | st.text(max_size=3)).map("".join))
def test_what_is_skipped_as_harmless_is_what_no_pattern_would_change(text):
    slow = text
    for pattern, replacement in PATTERNS:
        slow = pattern.sub(replacement, slow)
    assert redact(text) == slow


@pytest.mark.parametrize("shape", SHAPES)
@given(secret=secrets)
def test_redacting_twice_is_redacting_once(shape, secret):
    once = redact(shape.format(secret))
    assert redact(once) == once


@given(st.text())
def test_redacting_is_idempotent_for_any_text(text):
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "the access was refused",
        "a basic error",
        "token expired",
        "https://platform-api.convirza.com/v3/conversations/calls?limit=200&offset=0",
        "s3://bucket/prefix/recordings/year=2026/1-2.wav",
        "call 123 at 12:30:00",
    ],
)
def test_harmless_text_stays_as_it_is(text):
    assert redact(text) == text


@given(secret=secrets, fill=st.integers(0, 400))
def test_a_quoted_body_holds_no_half_of_a_secret(secret, fill):
    quoted = quote_body(f"{'x' * fill} secret={secret} tail".encode())
    assert secret[:8] not in quoted
    assert len(quoted) <= 201
    assert "\n" not in quoted


def test_a_quoted_body_is_one_line_and_says_when_it_was_cut():
    assert quote_body("<html>\r\n <b>no</b>\t</html>") == "<html> <b>no</b> </html>"
    assert quote_body(b"\xff" + b"a" * 500).endswith("…")


@given(secret=secrets)
def test_a_kept_record_holds_no_grant(secret):
    url = f"https://api.convirza.com/v3/recordings/7?secret={secret}&access={secret}"
    record = {
        "call_id": 7,
        "recording_details": {
            "recording_id": 9,
            "url": url,
            "expires_at": "2026-02-01T00:00:00Z",
            "format": "wav",
        },
        "notes": [f"listen at {url}", {"deep": url}],
        "none": None,
    }
    kept = without_grants(record)
    assert secret not in json.dumps(kept)
    assert kept["recording_details"] == {"recording_id": 9, "format": "wav"}
    assert (kept["call_id"], kept["none"]) == (7, None)
    assert record["recording_details"]["url"] == url


@pytest.mark.parametrize(
    "text",
    [
        "a." * 60_000 + "=",
        "token-" * 20_000 + ":",
        "a://b:" * 20_000,
        "'password' " * 10_000 + ":",
        '"password":"' + "\\" * 100_000,
        "bearer " * 20_000,
        "secret%3D" * 20_000,
    ],
    ids=lambda text: text[:10],
)
def test_text_made_to_be_slow_is_not(text):
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 2.0


def test_data_keeps_its_shape_and_loses_its_secrets():
    data = {"a": ["secret=hush", 1, None, True], "b": {"c": ("access=hush",)}, "d": float("nan"), "e": 0.5}
    assert redact_values(data) == {
        "a": [f"secret={MASK}", 1, None, True],
        "b": {"c": [f"access={MASK}"]},
        "d": None,
        "e": 0.5,
    }
