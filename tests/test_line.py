"""The engine's words: batches, and what each verdict leaves in the ledger."""

from __future__ import annotations

import anyio

from mediapipe.items import Verdict
from mediapipe.ledger.interface import OPEN_STATES, State
from mediapipe.line import STATES, Batch


def test_every_verdict_leaves_a_state() -> None:
    assert set(STATES) == set(Verdict)


def test_only_what_may_still_come_stays_open() -> None:
    assert {verdict for verdict, state in STATES.items() if state in OPEN_STATES} == {
        Verdict.FAILED,
        Verdict.PENDING,
    }


def test_what_was_skipped_is_done() -> None:
    assert STATES[Verdict.SKIPPED] is STATES[Verdict.DONE] is State.DONE


def history(*steps: str) -> list[int]:
    """Return after which of ``enter``, ``leave`` and ``seal`` a batch reported that it is complete."""
    completed: list[int] = []

    async def main() -> None:
        at = 0

        async def complete() -> None:
            completed.append(at)

        batch = Batch(complete)
        for at, step in enumerate(steps):  # noqa: B007  # read by ``complete``
            if step == "enter":
                batch.enter()
            else:
                await getattr(batch, step)()

    anyio.run(main)
    return completed


def test_a_batch_completes_once_when_sealed_and_empty() -> None:
    assert history("enter", "enter", "leave", "seal", "leave") == [4]
    assert history("enter", "leave", "enter", "leave", "seal") == [4]
    assert history("seal") == [0]


def test_a_batch_that_is_not_sealed_or_not_empty_never_completes() -> None:
    assert history("enter", "leave") == []
    assert history("enter", "enter", "leave", "seal") == []
    assert history() == []
