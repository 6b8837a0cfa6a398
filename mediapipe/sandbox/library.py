"""The account's audio library: prompts, whispers, voicemail greetings and survey questions.

Both API generations look at the same library. Deleting is soft: the entry stays, and is shown no more. Names
need not be unique.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath

from mediapipe.sandbox.drawer import Drawer
from mediapipe.sandbox.records import ROOT_UNIT, iso

PROMPT_TYPES = ("prompt", "whisper", "voicemail", "survey")
PROMPT_FORMATS = ("wav", "mp3", "mp4", "ogg", "webm", "m4a", "aac", "flac")

_FIRST_ID = 4001
_JOURNAL = "prompts"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One entry of the library; its audio is kept under :attr:`blob`."""

    prompt_id: int
    type: str
    name: str
    file_name: str
    size: int
    uploaded_ms: int
    deleted: bool = False
    listed_ms: int = 0
    """From when on lists show it."""
    deleted_ms: int = 0

    @property
    def blob(self) -> str:
        """The name the audio is kept under."""
        return f"prompt-{self.prompt_id}"

    @property
    def stem(self) -> str:
        """The file name without its extension, which is how the older generation shows it."""
        return PurePosixPath(self.file_name).stem

    def listed(self, at_ms: int) -> bool:
        """Return whether a list of this time shows it."""
        return self.listed_ms <= at_ms and not (self.deleted and self.deleted_ms <= at_ms)

    def as_v3(self, id_key: str, *, with_size: bool = True) -> dict[str, object]:
        """Return the entry as the newer generation shows it, its id under ``id_key`` when that is given."""
        shown: dict[str, object] = {
            "name": self.name,
            "type": self.type,
            "file_name": self.file_name,
            "size": self.size,
            "org_unit_id": ROOT_UNIT,
            "uploaded_on": iso(self.uploaded_ms),
        }
        if not with_size:
            del shown["size"]
        return {id_key: self.prompt_id, **shown} if id_key else shown


class Library:
    """The prompts of one sandbox, kept in its drawer."""

    def __init__(self, drawer: Drawer) -> None:
        self._drawer = drawer
        self._prompts: dict[int, Prompt] = {}
        for entry in drawer.entries(_JOURNAL):
            prompt = Prompt(**entry)
            self._prompts[prompt.prompt_id] = prompt

    @property
    def prompts(self) -> Sequence[Prompt]:
        """What the account holds, oldest first, without what was deleted."""
        return [prompt for prompt in self._prompts.values() if not prompt.deleted]

    @property
    def everything(self) -> Sequence[Prompt]:
        """What was ever uploaded, deleted or not."""
        return list(self._prompts.values())

    def add(
        self, kind: str, name: str, file_name: str, audio: bytes, now_ms: int, *, delay_ms: int = 0
    ) -> Prompt:
        """Keep an audio file and return its entry; ``delay_ms`` later lists begin to show it."""
        number = _FIRST_ID + len(self._prompts)
        prompt = Prompt(number, kind, name, file_name, len(audio), now_ms, listed_ms=now_ms + delay_ms)
        self._drawer.put_blob(prompt.blob, audio)
        self._store(prompt)
        return prompt

    def get(self, prompt_id: int) -> Prompt | None:
        """Return the entry, or None when there is none or it was deleted."""
        prompt = self._prompts.get(prompt_id)
        return None if prompt is None or prompt.deleted else prompt

    def delete(self, prompt_id: int, now_ms: int) -> bool:
        """Delete softly; False when there is nothing to delete."""
        prompt = self.get(prompt_id)
        if prompt is None:
            return False
        self._store(replace(prompt, deleted=True, deleted_ms=now_ms))
        return True

    def audio(self, prompt: Prompt) -> bytes:
        """Return the bytes that were uploaded."""
        return self._drawer.blob(prompt.blob)

    def _store(self, prompt: Prompt) -> None:
        self._prompts[prompt.prompt_id] = prompt
        self._drawer.append(_JOURNAL, asdict(prompt))
