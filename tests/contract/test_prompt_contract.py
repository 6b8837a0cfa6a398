"""What a prompt client promises, held against both generations on one library."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.convirza.prompts import PromptApi, PromptUpload
from mediapipe.convirza.uploads import Accepted, NotTaken, Refused, Unsure
from mediapipe.errors import Failed, Transient
from mediapipe.library.words import Listed, Mention, PromptType
from mediapipe.sandbox import FaultRule, RunningSandbox, running
from mediapipe.services import open_platform
from mediapipe.settings import load_settings
from tests.archive_runs import QUICK, sample
from tests.audio.sources import prompts as spoken

PROMPT, WHISPER = PromptType.PROMPT, PromptType.WHISPER
SETTINGS = {**QUICK, "pace.retry_attempts": 3, "pace.read_timeout": 0.5}


@dataclass
class Desk:
    """One generation's client on a sandbox, a few real prompts to send, and how often an upload began."""

    generation: str
    box: RunningSandbox
    files: list[Path]
    state_dir: Path
    begun: list[int] = field(default_factory=list)

    def ask(self, question: Callable[[PromptApi], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            flags = {**SETTINGS, "state_dir": str(self.state_dir)}
            settings = load_settings(None, flags, self.box.environment()).settings
            async with open_platform(settings) as platform:
                opened: dict[str, Callable[[], PromptApi]] = {
                    "v2": platform.v2_prompts,
                    "v3": platform.v3_prompts,
                }
                return await question(opened[self.generation]())

        return anyio.run(main)

    def upload(self, name: str, kind: PromptType = PROMPT, file: int = 0) -> PromptUpload:
        path = self.files[file]
        return PromptUpload(kind, name, path, f"{name}.wav", "audio/wav", path.stat().st_size)

    def send(self, *uploads: PromptUpload) -> Any:
        async def begin() -> None:
            self.begun.append(1)

        return self.ask(lambda api: api.upload(uploads, begin=begin))

    def list(self, kind: PromptType | None = None, name: str | None = None) -> list[Listed]:
        got: list[Listed] = self.ask(lambda api: api.list_prompts(kind, name))
        return got

    def names(self, kind: PromptType | None = None, name: str | None = None) -> list[str]:
        return [entry.name for entry in self.list(kind, name)]

    def fault(self, name: str, **rule: Any) -> None:
        self.box.state.faults.set([FaultRule(name=name, **rule)])

    def fill(self, count: int, kind: str = "prompt") -> None:
        """Put prompts into the library behind the client's back."""
        for number in range(count):
            self.box.state.library.add(kind, f"p{number}", f"p{number}.wav", b"x", self.box.state.now_ms)


@pytest.fixture(scope="module")
def files() -> list[Path]:
    return sorted(spoken("english", "wav", 8_000), key=lambda path: (path.stat().st_size, path.name))[:15]


Open = Callable[..., Desk]


@pytest.fixture(params=["v2", "v3"])
def opened(request: pytest.FixtureRequest, files: list[Path], tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda **config: Desk(
            request.param, stack.enter_context(running(sample(1, **config))), files, tmp_path
        )


@pytest.fixture
def desk(opened: Open) -> Desk:
    return opened()


def test_what_is_sent_is_listed_and_arrives_byte_for_byte(desk: Desk) -> None:
    assert desk.list() == []
    for number, kind in enumerate((PROMPT, WHISPER)):
        assert isinstance(desk.send(desk.upload("welcome", kind, number)), Accepted)
    assert [(entry.key, entry.prompt_id) for entry in desk.list()] == [
        ("prompt/welcome", "4001"), ("whisper/welcome", "4002")
    ]  # fmt: skip
    assert all(entry.uploaded for entry in desk.list())
    assert [desk.box.state.prompt_bytes(number) for number in (4001, 4002)] == [
        path.read_bytes() for path in desk.files[:2]
    ]
    assert [desk.names(WHISPER), desk.names(PROMPT, "welc"), desk.names(PROMPT, "welcome")] == [
        ["welcome"], [], ["welcome"]
    ]  # fmt: skip
    assert len(desk.begun) == 2


def test_as_many_as_it_says_go_in_one_request_and_no_more(desk: Desk) -> None:
    async def limits(api: PromptApi) -> tuple[int, tuple[PromptType, ...], bool]:
        return api.batch, api.types, api.deletes

    batch, types, deletes = desk.ask(limits)
    assert (batch, set(types), deletes) == {
        "v2": (15, {PROMPT, WHISPER}, False),
        "v3": (1, set(PromptType), True),
    }[desk.generation]
    uploads = [desk.upload(f"n{number}", WHISPER, number) for number in range(batch)]
    assert isinstance(desk.send(*uploads), Accepted)
    assert len(desk.begun) == 1
    assert desk.names() == [f"n{number}" for number in range(batch)]
    kept = [desk.box.state.prompt_bytes(entry.prompt_id) for entry in desk.box.state.prompts]
    assert kept == [path.read_bytes() for path in desk.files[:batch]]
    with pytest.raises(ValueError, match="takes"):
        desk.send(*uploads, desk.upload("one more", WHISPER))


@pytest.mark.parametrize(
    ("fault", "rule", "kind", "made"),
    [
        ("prompt_commit_then_drop", {}, Unsure, 1),
        ("prompt_commit_then_500", {}, Unsure, 1),
        ("prompt_commit_then_html", {}, Unsure, 1),
        ("prompt_commit_then_hang", {"seconds": 5}, Unsure, 1),
        ("prompt_half_made", {}, Unsure, 1),
        ("prompt_drop_before", {}, Unsure, 0),
        ("prompt_500_before", {}, Unsure, 0),
        ("prompt_503", {}, Unsure, 0),
        ("prompt_html", {}, Unsure, 0),
        ("prompt_hang", {"seconds": 5}, Unsure, 0),
        ("prompt_400", {}, Refused, 0),
        ("forbidden", {}, Refused, 0),
    ],
)
def test_an_answer_is_taken_for_no_more_than_it_says_and_the_list_shows_the_truth(
    fault: str, rule: dict[str, Any], kind: type, made: int, desk: Desk
) -> None:
    desk.fault(fault, **rule)
    got = desk.send(desk.upload("welcome"))
    assert isinstance(got, kind), got
    assert len(desk.begun) == 1
    desk.box.state.faults.set([])
    assert desk.names(PROMPT, "welcome") == ["welcome"] * made


@pytest.mark.parametrize("fault", ["prompt_429", "prompt_503", "unauthorized_mid_run"])
def test_what_had_no_effect_is_sent_again_and_once_only(fault: str, desk: Desk) -> None:
    desk.fault(fault, first=1, seconds=0)
    assert isinstance(desk.send(desk.upload("welcome")), Accepted)
    assert (len(desk.begun), desk.names()) == (2, ["welcome"])


def test_what_is_never_taken_is_said_to_be(desk: Desk) -> None:
    desk.fault("prompt_429", seconds=0)
    got = desk.send(desk.upload("welcome"))
    assert isinstance(got, NotTaken)
    assert (got.code, desk.names()) == ("throttled", [])


def test_a_half_made_entry_shows_its_length_where_lengths_are_shown(desk: Desk) -> None:
    desk.fault("prompt_half_made")
    upload = desk.upload("welcome")
    desk.send(upload)
    (entry,) = desk.list()
    assert entry.size == (upload.size // 2 if desk.generation == "v3" else None)


def test_an_upload_may_show_late(desk: Desk) -> None:
    desk.fault("prompt_listed_late", seconds=100)
    assert isinstance(desk.send(desk.upload("welcome")), Accepted)
    assert desk.names() == []
    desk.box.state.advance(101)
    assert desk.names() == ["welcome"]


@pytest.mark.parametrize("fault", ["prompt_list_500", "prompt_list_429", "prompt_list_html_200"])
def test_a_list_that_fails_is_asked_again_and_never_empty(fault: str, desk: Desk) -> None:
    desk.fill(3)
    desk.fault(fault, first=2, seconds=0)
    assert desk.names() == ["p0", "p1", "p2"]
    desk.fault(fault, seconds=0)
    with pytest.raises(Transient):
        desk.names()


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("page", [0, 1, 50, 200])
def test_the_whole_library_is_read_however_it_is_shown(page: int, wrapped: bool, opened: Open) -> None:
    desk = opened(prompt_page_size=page, prompt_list_wrapped=wrapped, prompt_name_partial=page > 1)
    count = 5 if page == 1 else 230
    desk.fill(count)
    assert desk.names() == [f"p{number}" for number in range(count)]
    assert desk.names(PROMPT, "p3") == ["p3"]
    assert desk.names(WHISPER) == []


def test_a_library_may_show_neither_ids_nor_sizes(opened: Open) -> None:
    desk = opened(prompt_id_key="", prompt_shows_size=False)
    got = desk.send(desk.upload("welcome"))
    assert isinstance(got, Accepted)
    assert got.made == ""
    desk.send(desk.upload("welcome"))
    listed = desk.list(PROMPT, "welcome")
    assert [entry.size for entry in listed] == [None, None]
    assert [entry.prompt_id for entry in listed] == (
        [""] * 2 if desk.generation == "v3" else ["4001", "4002"]
    )


# ── deleting and routes: v3 alone can ────────────────────────────────────────────────────────


@pytest.fixture
def v3(files: list[Path], tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda **config: Desk("v3", stack.enter_context(running(sample(1, **config))), files, tmp_path)


def test_deleting_is_possible_or_fails_for_its_item(desk: Desk) -> None:
    desk.fill(2)
    if desk.generation == "v2":
        with pytest.raises(Failed) as caught:
            desk.ask(lambda api: api.delete("4001"))
        assert caught.value.code == "cannot_delete"
        assert len(desk.names()) == 2
        return
    assert desk.ask(lambda api: api.delete("4001")) is True
    assert desk.ask(lambda api: api.delete("4001")) is False
    assert desk.names() == ["p1"]


@pytest.mark.parametrize(
    ("fault", "was_there"),
    [("prompt_delete_500", True), ("prompt_delete_429", True), ("prompt_delete_then_drop", False)],
)
def test_a_delete_is_repeated_until_it_is_done(fault: str, was_there: bool, v3: Open) -> None:
    desk = v3()
    desk.fill(1)
    desk.fault(fault, first=1, seconds=0)
    assert desk.ask(lambda api: api.delete("4001")) is was_there
    assert desk.names() == []


def test_a_login_that_may_only_read_deletes_nothing(v3: Open) -> None:
    desk = v3(role_id=3)
    desk.fill(1)
    with pytest.raises(Failed) as caught:
        desk.ask(lambda api: api.delete("4001"))
    assert caught.value.code == "forbidden"
    assert isinstance(desk.send(desk.upload("welcome")), Refused)
    assert desk.names() == ["p0"]


def test_routes_tell_who_uses_a_prompt_or_that_nobody_can_know(desk: Desk) -> None:
    desk.box.state.routes.mention(1022, whisper_id=4001)
    routes = desk.ask(lambda api: api.routes())
    if desk.generation == "v2":
        assert not routes.visible
        assert routes.why
        return
    assert routes.of("4001") == (Mention("1022", "Main line"),)
    assert (routes.visible, routes.seen, routes.of("4002")) == (True, 3, ())


@pytest.mark.parametrize(
    ("config", "fault", "visible", "found"),
    [
        ({"routes_list_audio": False}, "", True, True),
        ({"routes_show_audio": False}, "", False, False),
        ({"routes": False}, "", False, False),
        ({}, "routes_403", False, False),
    ],
)
def test_routes_are_visible_only_where_they_show_their_audio(
    config: dict[str, Any], fault: str, visible: bool, found: bool, v3: Open
) -> None:
    desk = v3(**config)
    desk.box.state.routes.mention(1024, voicemail_recording_id="4001")
    desk.box.state.routes.mention(1023, prompt_ids=[4001])
    desk.box.state.routes.delete(1023)
    if fault:
        desk.fault(fault)
    routes = desk.ask(lambda api: api.routes())
    assert (routes.visible, bool(routes.of("4001"))) == (visible, found)
    assert bool(routes.why) != visible
    assert not found or [mention.route_id for mention in routes.of("4001")] == ["1024"]


def test_routes_that_fail_for_a_moment_are_asked_again(v3: Open) -> None:
    desk = v3()
    desk.fault("routes_500", first=2)
    assert desk.ask(lambda api: api.routes()).visible
    desk.fault("routes_500")
    with pytest.raises(Transient):
        desk.ask(lambda api: api.routes())
