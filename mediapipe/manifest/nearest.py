"""The name somebody meant: the same but for case, blanks or Unicode form, else one that looks like it."""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

_FOLDERS = 8
_NAMES = 50_000
_COMPARED = 2_000
_SEARCHES = 100
"""Comparing letter by letter is slow, and the first hundred missing files show what is the matter."""


def canonical(name: str) -> str:
    """Return a name without what people and systems spell differently."""
    return _composed(name).casefold()


def how_they_differ(text: str, given: Sequence[str], there: Sequence[str]) -> str:
    """Say in words how a path as written differs from the one that is there."""
    pairs = list(zip(given, there, strict=True))
    words = []
    if "\\" in text:
        words.append("write / between folders, not \\")
    if any(one != one.strip() and two == two.strip() for one, two in pairs):
        words.append("the cell has blanks around the name")
    if any(one.strip().casefold() != two.strip().casefold() for one, two in pairs):
        words.append("its accents are spelled with other Unicode characters (NFC, NFD)")
    if any(_composed(one) != _composed(two) for one, two in pairs):
        words.append("upper and lower case differ")
    return ", ".join(words) or "it is no file"


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


@dataclass(slots=True)
class Folder:
    """The names in one folder; of a very large one only the first so many."""

    path: str
    names: dict[str, str]
    searches: list[int]

    def match(self, name: str) -> str | None:
        """Return the entry of this name, or of this name in another spelling."""
        if os.path.lexists(os.path.join(self.path, name)):
            return name
        return self.names.get(canonical(name))

    def close(self, name: str) -> str | None:
        """Return the entry that looks most like this name, as long as there is time to look."""
        if self.searches[0] >= _SEARCHES:
            return None
        self.searches[0] += 1
        some = list(self.names)[:_COMPARED]
        found = difflib.get_close_matches(canonical(name), some, n=1, cutoff=0.75)
        return self.names[found[0]] if found else None


@dataclass(slots=True)
class Names:
    """The names of the folders looked into last."""

    _folders: OrderedDict[str, Folder] = field(default_factory=OrderedDict)
    _searches: list[int] = field(default_factory=lambda: [0])

    def of(self, folder: str) -> Folder:
        """Return a folder's names; none where it cannot be read."""
        if folder in self._folders:
            self._folders.move_to_end(folder)
            return self._folders[folder]
        names: dict[str, str] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    names.setdefault(canonical(entry.name), entry.name)
                    if len(names) >= _NAMES:
                        break
        except OSError:
            pass
        self._folders[folder] = Folder(folder, names, self._searches)
        if len(self._folders) > _FOLDERS:
            self._folders.popitem(last=False)
        return self._folders[folder]
