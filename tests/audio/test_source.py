from __future__ import annotations

import io
from pathlib import Path

import pytest

from mediapipe.audio.source import Source, identify
from mediapipe.errors import Rejected, UsageError
from tests.audio.test_decode import tone, wav_bytes


def identified(raw: bytes, name: str = "a.wav", raw_name: str | None = None) -> Source:
    return identify(Path(name), io.BytesIO(raw), raw_name)


def refused(raw: bytes, name: str = "a.wav") -> Rejected:
    with pytest.raises(Rejected) as caught:
        identified(raw, name)
    return caught.value


def test_the_bytes_say_what_it_is_whatever_the_name_says() -> None:
    for name in ("a.wav", "a.mp3", "a.gsm", "a", "a.txt"):
        found = identified(wav_bytes(tone(1)), name)
        assert (found.container, found.raw, found.size) == ("wav", None, 16_044)


def test_an_empty_file_is_refused() -> None:
    assert refused(b"").code == "empty_file"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "html"),
        (b'{"message": "Access token has expired.", "code": 124}', "Access token has expired"),
        (b"Not Found\n", "Not Found"),
    ],
)
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.gsm", "a.ulaw", "a"])
def test_an_error_page_is_quoted_whatever_its_name(raw: bytes, words: str, name: str) -> None:
    found = refused(raw, name)
    assert found.code == "error_page"
    assert words in found.message


def test_a_secret_in_an_error_page_is_not_quoted() -> None:
    found = refused(b'{"error": "expired", "url": "https://x/?secret=abc123def&access=zyx987wvu"}')
    assert "abc123def" not in str(found)
    assert "zyx987wvu" not in str(found)


@pytest.mark.parametrize(
    "raw",
    [b"-----BEGIN PGP MESSAGE-----\n\nhQEMA", b"Salted__" + bytes(64), b"age-encryption.org/v1\n-> X25519"],
)
def test_an_encrypted_file_is_called_so(raw: bytes) -> None:
    assert refused(raw).code == "encrypted"


def test_bytes_without_a_header_are_read_by_their_name_or_as_told() -> None:
    raw = bytes(range(256)) * 10
    assert refused(raw).code == "not_audio"
    assert "--raw-format" in refused(raw).hint
    assert "00 01 02" in refused(raw).message
    by_name = identified(raw, "a.alaw")
    assert by_name.raw is not None
    assert (by_name.container, by_name.raw.name) == ("raw", "alaw")
    told = identified(raw, "a.alaw", "ulaw")
    assert told.raw is not None
    assert told.raw.name == "ulaw"


def test_a_header_wins_over_what_was_told() -> None:
    assert identified(wav_bytes(tone(1)), "a.ulaw", "ulaw").container == "wav"


def test_headerless_audio_may_begin_like_a_page() -> None:
    raw = b"[de{dfbijimfd{{egf`bmb`fdx|rr|" + bytes(range(256))
    assert identified(raw, "a.g722").container == "raw"


def test_an_unknown_raw_format_is_a_slip_of_the_user() -> None:
    with pytest.raises(UsageError):
        identified(bytes(1000), "a.bin", "mulaw")


@pytest.mark.parametrize(
    ("raw", "container"),
    [(b".snd" + bytes(60), "au"), (b"caff" + bytes(60), "caf"), (b"riff\x2e\x91\xcf\x11" + bytes(60), "w64")],
)
def test_containers_of_other_systems_are_known(raw: bytes, container: str) -> None:
    assert identified(raw).container == container
