from __future__ import annotations

import pytest

from mediapipe.manifest.words import DISPOSITIONS, readers, zip_code

READ = readers("", frozenset({"mobile"}))


@pytest.mark.parametrize("word", DISPOSITIONS)
def test_the_words_of_the_api_pass_in_any_case(word: str) -> None:
    sent, problem, warning = READ["disposition"]("disposition", word.lower())
    assert (sent, problem) == (word, None)
    assert (warning is None) == (word in ("ANSWERED", "NO ANSWER", "BUSY"))


def test_a_near_word_is_named() -> None:
    _, problem, _ = READ["disposition"]("disposition", "anwsered")
    assert problem is not None
    assert "did you mean ANSWERED?" in problem.hint
    _, problem, _ = READ["disposition"]("disposition", "anwsered" * 10_000)
    assert problem is not None
    assert problem.hint == "map it: [manifest.values.disposition]"


@pytest.mark.parametrize(
    ("text", "sent", "code"),
    [
        ("02134", "02134", ""),
        ("02134-1234", "02134", "zip_cut"),
        ("021341234", "02134", "zip_cut"),
        ("2134", "", "short_zip"),
        ("K1A 0B1", "", "zip_not_sendable"),
        ("٠٢١٣٤", "", "zip_not_sendable"),
    ],
)
def test_a_zip_code_has_five_digits_or_is_not_sent(text: str, sent: str, code: str) -> None:
    said, problem, warning = zip_code("zip_code", text)
    assert said == sent
    assert [one.code for one in (problem, warning) if one] == ([code] if code else [])


@pytest.mark.parametrize("text", ["agent@acme.example"])
def test_an_assignee_is_an_address(text: str) -> None:
    assert READ["assign_to"]("assign_to", text) == (text, None, None)
    for other in ("Zoe", "a@" + "." * 200 + "@"):
        _, problem, _ = READ["assign_to"]("assign_to", other)
        assert problem is not None
        assert problem.code == "not_an_email"
    _, problem, _ = READ["assign_to"]("assign_to", "a@" + "." * 100_000 + "@")
    assert problem is not None
    assert problem.code == "text_too_long"


def test_texts_are_sent_as_they_stand() -> None:
    for text in ("=HYPERLINK(1)", "Zoë ☎", "a,b;c", "-1"):
        assert READ["caller_name"]("caller_name", text) == (text, None, None)
