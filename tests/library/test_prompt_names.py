"""Names of prompts: one form that holds, and keys by which names that could be taken for each other meet."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediapipe.library.names import (
    AUDIO_SUFFIXES,
    collision_key,
    normalise,
    read_language,
    split_language,
    whole,
    with_language,
)

# The signs that make trouble, far more often than chance would bring them.
NASTY = st.sampled_from(
    [
        *'/\\:*?"<>|.-_ \t\n\r\x00\x1f\x7f\x80\x85\x9f\xa0\xad',
        *"\u034f\u0301\u0345\u200b\u200d\u200e\u202e\u2028\u2029\u2066\ufe0f\ufeff\ufffe\u3000\uff0e\uff0f",
        *(
            "\ud800",
            "\ue000",
            "\U000e0041",
            ".wav",
            ".MP3",
            ".wav.wav",
            ". wav",
            "é",
            "e\u0301",
            "ﬁ",
            "ß",
            "İ",
        ),
    ]
)
NAMES = st.lists(st.one_of(st.text(max_size=4), NASTY), max_size=12).map("".join)


@given(NAMES)
@example("a.wav.wav")
@example("a.wav.")
@example("a.wav -")
@example("e\u200d\u0301")
@example(".\u200bwav")
def test_a_normal_name_stays_as_it_is(name: str) -> None:
    once = normalise(name)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)


@given(NAMES)
@example("a\x80b\x9fc")
def test_nothing_is_left_that_a_path_or_a_terminal_minds(name: str) -> None:
    made = normalise(name)
    assert not set(made) & set('/\\:*?"<>|')
    assert not [
        char for char in made if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    ]
    assert made == made.strip(" .-")
    assert "  " not in made


@given(NAMES, st.sampled_from(sorted(AUDIO_SUFFIXES)))
def test_an_extension_makes_no_other_name(name: str, suffix: str) -> None:
    assert normalise(f"{normalise(name)}.{suffix.upper()}") == normalise(normalise(name)) or not normalise(
        name
    )


@given(NAMES)
@example("ﬀ\u0345\u0301")
@example("Straße")
@example("\uff57\uff45\uff4c\uff43\uff4f\uff4d\uff45")
@example("❤\ufe0f")
def test_names_that_differ_in_form_alone_share_a_key(name: str) -> None:
    key = collision_key(name)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert collision_key(unicodedata.normalize(form, name)) == key  # type: ignore[arg-type]
    assert collision_key(unicodedata.normalize("NFC", name).casefold()) == key
    assert collision_key("".join(char.swapcase() if char.isascii() else char for char in name)) == key
    assert collision_key(key) == key


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Welcome", "WELCOME"),
        ("straße", "STRASSE"),
        ("\uff37\uff45\uff4c\uff43\uff4f\uff4d\uff45", "welcome"),
        ("caf\u00e9", "cafe\u0301"),
        ("①", "1"),
        ("half\u00a0past", "half past"),
        ("❤\ufe0f", "❤"),
        ("a\u034fb", "ab"),
        ("welcome\u3164", "welcome"),
    ],
)
def test_two_that_some_system_takes_for_one(one: str, two: str) -> None:
    assert collision_key(normalise(one)) == collision_key(normalise(two))


@pytest.mark.parametrize("name", ["", " ", ".", "...", "-", "/", "\u200b\u200d", "\ud800", "\x00", ". - ."])
def test_nothing_is_left_of_a_name_that_was_none(name: str) -> None:
    assert normalise(name) == ""


@pytest.mark.parametrize("name", ["\u3164", "\ufe0f", "\u115f\u1160", "\u034f"])
def test_a_name_in_which_nothing_is_seen_has_no_key(name: str) -> None:
    assert collision_key(normalise(name)) == ""


def test_what_only_looks_like_an_extension_is_kept() -> None:
    assert normalise("Welcome v1.2") == "Welcome v1.2"
    assert normalise("wav") == "wav"
    assert normalise(".wav") == "wav"
    assert normalise("invoice.pdf") == "invoice.pdf"


@given(st.from_regex(r"[a-z]{2,3}([-_][A-Za-z]{4})?([-_]([A-Za-z]{2}|[0-9]{3}))?", fullmatch=True))
def test_a_language_has_one_spelling(tag: str) -> None:
    read = read_language(tag)
    assert read is not None
    assert read_language(read) == read
    for spelled in (tag.upper(), tag.lower(), f" {tag} ", tag.replace("-", "_")):
        assert read_language(spelled) == read


@pytest.mark.parametrize(
    "tag", ["", "e", "english", "en-", "-en", "en--us", "en-USA", "1a", "en us", "en/us", "e\u0301n"]
)
def test_what_is_no_language(tag: str) -> None:
    assert read_language(tag) is None


@given(NAMES.map(normalise), st.sampled_from(["en", "es-MX", "zh-Hant", "pt-BR", "es-419"]))
def test_a_language_comes_off_a_name_as_it_went_on(name: str, language: str) -> None:
    if not name.strip("-_. "):
        return
    made = with_language(name, language, "{name}-{language}")
    base, had = split_language(made, language)
    assert had
    assert base == split_language(name, language)[0].rstrip("-_. ")
    assert with_language(made, language, "{name}-{language}") == made
    assert normalise(made) == made
    assert with_language(name, "", "{name}-{language}") == name


PATTERNS = [
    "{name}-{language}",
    "{name}.{language}",
    "{language}.{name}",
    "{name} ({language}).wav",
    "./{language}/{name}",
]


@given(
    NAMES.map(normalise), st.sampled_from(["en", "es-MX", "aac", "oga", "zh-Hant"]), st.sampled_from(PATTERNS)
)
@example("{language}", "en", "{name}-{language}")
def test_whatever_the_pattern_a_name_is_in_its_one_form(name: str, language: str, pattern: str) -> None:
    made = with_language(name, language, pattern)
    assert normalise(made) == made
    if whole(made, name, language):
        assert name in made
        assert language.lower() in made.lower().replace("_", "-")


@pytest.mark.parametrize(
    ("name", "language", "pattern", "made"),
    [
        ("x", "aac", "{name}.{language}", "x"),
        ("aac tracks", "aac", "{name}.{language}", "aac tracks"),
        ("wav", "en", "{language}.{name}", "en"),
    ],
)
def test_a_name_that_loses_its_end_is_seen(name: str, language: str, pattern: str, made: str) -> None:
    assert with_language(name, language, pattern) == made
    assert not whole(made, name, language)


def test_a_name_with_its_language_is_whole() -> None:
    assert with_language("x", "en", "{name}.{language}") == "x.en"
    assert whole("x.en", "x", "en")
    assert whole("hello-en", "hello-en", "en")
    assert whole("x", "x", "")
    assert with_language("{language}", "en", "{name}-{language}") == "{language}-en"
