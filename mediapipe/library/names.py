"""What a prompt is called: names made one way, and which of them could be taken for each other. Pure.

The platform shows a name, filters by it and, in its older generation, keeps a file's name without its
extension for it. So a name is brought into one form before anything is compared with it, and two names that
some system on the way would take for one are refused before the first request.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 100
"""Characters of a name. The platform names no limit; other phone systems have theirs at 127 and 200."""

AUDIO_SUFFIXES = frozenset(
    (
        *(
            "wav",
            "wave",
            "mp3",
            "mp4",
            "m4a",
            "ogg",
            "oga",
            "opus",
            "webm",
            "aac",
            "flac",
            "aif",
            "aiff",
            "au",
        ),
        *("gsm", "g722", "ulaw", "alaw", "ul", "al", "sln", "sln16"),
    )
)

_UNUSABLE = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f]+')
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Signs without a look of their own that are no format characters: joiners, fillers, variation selectors."""
_LANGUAGE = re.compile(r"([a-z]{2,3})(?:-([a-z]{4}))?(?:-([a-z]{2}|\d{3}))?", re.IGNORECASE)
_JOINS = "-_. "
_PLACE = re.compile(r"\{name\}|\{language\}")


def normalise(name: str) -> str:
    """Return a name in the one form: NFC, no audio extension, single blanks, no signs a path would mind.

    Made again it stays as it is: what is taken away may leave something behind that has to go as well.
    """
    before, text = None, name
    while text != before:
        before, text = text, _once(text)
    return text


def _once(name: str) -> str:
    text = unicodedata.normalize("NFC", name)
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Cs", "Co", "Cn"))
    text = " ".join(_UNUSABLE.sub("-", text.strip()).split())
    stem, dot, suffix = text.rpartition(".")
    if dot and stem.strip() and suffix.strip().lower() in AUDIO_SUFFIXES:
        text = stem
    return text.strip(" .-")


def collision_key(name: str) -> str:
    """Return what two names share when some system would take them for one: case, width, Unicode form.

    "" for a name in which nothing is to be seen.
    """
    seen = _UNSEEN.sub("", unicodedata.normalize("NFKC", name))
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold()).split())


def read_language(text: str) -> str | None:
    """Return a language tag in its usual spelling (``en``, ``es-MX``); None when it is none."""
    match = _LANGUAGE.fullmatch(text.strip().replace("_", "-"))
    if match is None:
        return None
    language, script, region = match.groups()
    parts = [language.lower(), (script or "").title(), (region or "").upper()]
    return "-".join(part for part in parts if part)


def split_language(name: str, language: str) -> tuple[str, bool]:
    """Return a name without the language at its end, and whether it had one there."""
    for spelled in {language, language.replace("-", "_")}:
        if name.lower().endswith(spelled.lower()):
            base = name[: -len(spelled)]
            if base.rstrip(_JOINS) and base[-1:] in tuple(_JOINS):
                return base.rstrip(_JOINS), True
    return name, False


def with_language(name: str, language: str, pattern: str) -> str:
    """Return what a prompt in one language is called: the platform knows names alone.

    ``pattern`` holds ``{name}`` and ``{language}``. A name that ends with its language stays as it is; any
    other is brought into the one form again, which may cost it its end, see :func:`whole`.
    """
    if not language or split_language(name, language)[1]:
        return name
    # Both at once: a name may hold what looks like a place of the pattern.
    places = {"{name}": name, "{language}": language}
    return normalise(_PLACE.sub(lambda match: places[match[0]], pattern))


def whole(made: str, name: str, language: str) -> bool:
    """Tell whether what :func:`with_language` made holds name and language still.

    ``{name}.{language}`` makes ``x.aac`` of ``x`` in Ari, and that is ``x``: its end is an audio extension.
    """
    if not language or made == name:
        return not language or split_language(name, language)[1]
    return name in made and language in made and len(made) >= len(name) + len(language)
