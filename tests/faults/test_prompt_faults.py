"""Deployments into a platform that fails: no prompt twice, none half made, none that nobody knows of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.responses import Response

from mediapipe.items import Verdict
from mediapipe.library.plan import Action
from mediapipe.sandbox import FaultRule
from mediapipe.sandbox.answers import Refusal, data_error, v2_error
from tests.prompt_runs import Library, Ran, deploying


def fault(name: str, rate: float = 1.0, **more: object) -> FaultRule:
    return FaultRule(name=name, rate=rate, **more)  # type: ignore[arg-type]


LOST = (
    fault("prompt_commit_then_drop", 0.15),
    fault("prompt_commit_then_500", 0.15),
    fault("prompt_commit_then_html", 0.05),
    fault("prompt_429", 0.1, seconds=0.0),
    fault("prompt_503", 0.05, seconds=0.0),
    fault("unauthorized_mid_run", 0.02),
)
"""Answers lost after the prompt was made, and refusals that may be repeated."""

NEVER_MADE = (fault("prompt_500_before", 0.15), fault("prompt_drop_before", 0.15), fault("prompt_html", 0.1))

LISTS = (
    fault("prompt_list_500", 0.1),
    fault("prompt_list_429", 0.1, seconds=0.0),
    fault("prompt_list_html_200", 0.05),
)


def settle(it: Library, *, runs: int = 8) -> Ran:
    """Apply until nothing is left to do; return the last run."""
    for _ in range(runs):
        ran = it.apply()
        if ran.code == 0:
            return ran
    raise AssertionError(f"not done after {runs} runs: {ran.outcomes}")


def once_each(it: Library) -> None:
    """Assert that the account never took a prompt that is not there any more, or one twice."""
    assert set(it.posted.values()) == {1}, it.posted
    it.equal()


@pytest.mark.parametrize("api", ["v3", "v2"])
def test_lost_answers_leave_each_prompt_once(tmp_path: Path, api: str) -> None:
    with deploying(tmp_path, *LOST, count=40, prompts__api=api) as it:
        first = it.apply()
        assert not first.told(Verdict.REJECTED)
        settle(it)
        once_each(it)
        hit = [one.name for one in LOST if it.sandbox.state.faults.hits(one.name)]
        assert len(hit) >= 4, hit
        it.sandbox.state.faults.set(())
        assert it.plan().result.prepared.plan.empty


def test_what_was_never_made_is_sent_again(tmp_path: Path) -> None:
    with deploying(tmp_path, *NEVER_MADE, count=25) as it:
        settle(it)
        once_each(it)
        assert sum(it.sandbox.state.faults.hits(one.name) for one in NEVER_MADE) >= 5


def test_lists_that_fail_make_nothing_absent(tmp_path: Path) -> None:
    with deploying(tmp_path, *LISTS, *LOST[:2], count=25) as it:
        settle(it)
        once_each(it)


def test_an_answer_that_never_comes_is_looked_for(tmp_path: Path) -> None:
    faults = fault("prompt_commit_then_hang", first=2, seconds=30.0)
    with deploying(tmp_path, faults, count=6, pace__request_deadline=1.0, pace__read_timeout=0.5) as it:
        ran = it.apply()
        assert (ran.code, ran.counts) == (0, {"done": 6})
        once_each(it)


def test_a_half_made_prompt_is_deleted_and_sent_again(tmp_path: Path) -> None:
    with deploying(tmp_path, fault("prompt_half_made", first=3), count=6) as it:
        ran = it.apply()
        assert (ran.code, ran.counts) == (0, {"done": 6})
        it.equal()
        assert it.posted.total() == 9


def test_a_prompt_that_is_always_half_made_leaves_nothing(tmp_path: Path) -> None:
    with deploying(tmp_path, fault("prompt_half_made"), count=2) as it:
        ran = it.apply()
        assert (ran.code, ran.told(Verdict.FAILED, "half_made")) == (3, {it.key(0), it.key(1)})
        assert not it.there
        it.sandbox.state.faults.set(())
        assert it.apply().code == 0
        it.equal()


def test_what_is_listed_late_is_waited_for(tmp_path: Path) -> None:
    late = fault("prompt_listed_late", seconds=0.6)
    with deploying(tmp_path, late, count=4, prompts__lag="3s") as it:
        assert it.apply().code == 0
        once_each(it)


def test_what_is_listed_too_late_is_uncertain_and_found_by_the_next_run(tmp_path: Path) -> None:
    late = fault("prompt_listed_late", seconds=2.0)
    with deploying(tmp_path, late, count=3, prompts__lag="0.2s") as it:
        ran = it.apply()
        assert (ran.code, ran.counts) == (5, {"uncertain": 3})
        assert {one.reason for one in ran.outcomes} == {"unverified"}
        assert it.posted.total() == 3, "an upload that was accepted is not sent again"
        again = it.apply(prompts__lag="4s")
        assert again.code == 0
        once_each(it)


def test_somebody_else_s_upload_meanwhile_is_told_apart_or_left_alone(tmp_path: Path) -> None:
    with deploying(tmp_path, fault("prompt_commit_then_drop", first=1), count=1) as it:
        library, add = it.sandbox.state.library, it.sandbox.state.library.add

        def twice(*args: object, **more: object) -> object:
            library.add = add  # type: ignore[method-assign]
            add(*args, **more)  # type: ignore[arg-type]
            return add(*args, **more)  # type: ignore[arg-type]

        library.add = twice  # type: ignore[method-assign, assignment]
        ran = it.apply()
        assert (ran.code, ran.told(Verdict.UNCERTAIN, "several")) == (5, {it.key(0)})
        assert len(it.there[it.key(0)]) == 2, "nothing was deleted"
        blocked = it.apply()
        assert (blocked.code, blocked.of(Action.BLOCKED)) == (3, {it.key(0)})
        assert "delete what is not wanted by hand" in blocked.outcomes[0].message
        it.vanish(str(it.there[it.key(0)][0].prompt_id))
        assert it.apply().code == 0
        it.equal()


def test_an_account_that_keeps_its_own_form_keeps_every_upload(tmp_path: Path) -> None:
    """What it lists is the size after it converted the audio: less than was sent."""
    with deploying(tmp_path, count=5) as it:
        library, add = it.sandbox.state.library, it.sandbox.state.library.add

        def convert(kind: str, name: str, file: str, audio: bytes, *more: object, **other: object) -> object:
            return add(kind, name, file, audio[: len(audio) // 3], *more, **other)  # type: ignore[arg-type]

        library.add = convert  # type: ignore[method-assign, assignment]
        ran = it.apply()
        assert (ran.code, ran.counts) == (0, {"done": 5})
        assert {tuple(one.code for one in outcome.warnings) for outcome in ran.outcomes} == {
            ("size_differs",)
        }
        assert set(it.posted.values()) == {1}
        assert len(it.there) == 5
        assert it.plan().result.prepared.plan.empty


# ── one bad file in an upload of several ────────────────────────────────────────────────────


def picky(it: Library, refuse: Callable[[str], Response | None]) -> None:
    """Let the account refuse a request at the file that ``refuse`` answers for; what came before it stays."""
    library, add = it.sandbox.state.library, it.sandbox.state.library.add

    def chosen(kind: str, name: str, *more: object, **other: object) -> object:
        if (refused := refuse(name)) is not None:
            raise Refusal(refused)
        return add(kind, name, *more, **other)  # type: ignore[arg-type]

    library.add = chosen  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize(
    "answer", [data_error("Incorrect File Format"), v2_error(400, "no"), v2_error(413, "big")]
)
def test_one_bad_file_is_refused_alone(tmp_path: Path, answer: Response) -> None:
    with deploying(tmp_path, count=20, prompts__api="v2") as it:
        picky(it, lambda name: answer if name == "p007" else None)
        ran = it.apply()
        assert (ran.code, ran.counts) == (3, {"done": 19, "rejected": 1})
        assert ran.told(Verdict.REJECTED) == {"prompt/p007"}
        assert set(it.posted.values()) == {1}, "what was taken of the request was sent again"
        assert it.posted.total() == 19


def test_a_refusal_of_several_counts_once_towards_a_missing_permission(tmp_path: Path) -> None:
    with deploying(tmp_path, count=15, prompts__api="v2") as it:
        said = [v2_error(403, "Forbidden")]
        picky(it, lambda name: said.pop() if said else None)
        ran = it.apply()
        assert (ran.code, ran.counts) == (0, {"done": 15})
        once_each(it)


def test_a_login_that_never_may_is_told_after_a_few_requests(tmp_path: Path) -> None:
    with deploying(tmp_path, count=15, prompts__api="v2") as it:
        requests: list[str] = []

        def never(name: str) -> Response:
            requests.append(name)
            return v2_error(403, "Forbidden")

        picky(it, never)
        ran = it.apply()
        assert ran.code == 4
        assert len(requests) == 3
        assert it.posted.total() == 0


def test_a_lost_answer_to_several_counts_once_towards_a_platform_that_is_down(tmp_path: Path) -> None:
    broken = fault("prompt_500_before", first=2)
    with deploying(tmp_path, broken, count=15, prompts__api="v2", imports__uncertain_in_a_row=3) as it:
        ran = it.apply()
        assert (ran.code, ran.counts) == (0, {"done": 15})
        once_each(it)


@pytest.mark.parametrize("name", ["prompt_delete_500", "prompt_delete_then_drop", "prompt_delete_429"])
def test_deletions_that_fail_are_done_again(tmp_path: Path, name: str) -> None:
    with deploying(tmp_path, count=6) as it:
        it.apply()
        it.cells = it.cells[:1]
        it.write()
        it.sandbox.state.faults.set([fault(name, first=3, seconds=0.0)])
        ran = it.apply(prune=True)
        assert (ran.code, len(it.there)) == (0, 1)
        it.equal()


@pytest.mark.parametrize("key", ["id", "recording_id", "prompt_id", ""])
@pytest.mark.parametrize("paged", [0, 7])
def test_every_shape_of_the_list_proves_an_upload(tmp_path: Path, key: str, paged: int) -> None:
    with deploying(
        tmp_path, *LOST[:2], count=20, prompt_id_key=key, prompt_page_size=paged,
        prompt_list_wrapped=bool(paged), prompt_shows_size=bool(paged),
    ) as it:  # fmt: skip
        settle(it)
        assert set(it.posted.values()) == {1}
        assert it.plan().result.prepared.plan.empty


def test_a_platform_that_is_down_stops_the_run_and_nothing_is_lost(tmp_path: Path) -> None:
    with deploying(tmp_path, fault("prompt_500_before"), count=30, imports__uncertain_in_a_row=5) as it:
        ran = it.apply(prompts__lag="0.05s")
        assert ran.code == 5
        assert not it.there
        it.sandbox.state.faults.set(())
        assert settle(it).code == 0
        once_each(it)
