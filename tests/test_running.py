"""What every engine shares: one item's attempt, and which error decides how a run ends."""

from __future__ import annotations

import errno

import pytest

from mediapipe.errors import (
    CredentialsError,
    DiskFull,
    Failed,
    Fatal,
    PlatformDown,
    Rejected,
    Throttled,
    UsageError,
)
from mediapipe.items import Outcome, Verdict
from mediapipe.line import Finished
from mediapipe.running import attempt, deciding

pytestmark = pytest.mark.anyio
ITEM = Outcome("k", Verdict.UNCERTAIN, source="file", row=3, attempts=2)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def attempted(error: Exception | None) -> object:
    async def work() -> str:
        if error is not None:
            raise error
        return "done"

    return await attempt("stage", ITEM, work)


async def test_what_comes_back_is_passed_on() -> None:
    assert await attempted(None) == "done"


@pytest.mark.parametrize(
    ("error", "verdict", "reason", "message"),
    [
        (Rejected("no", code="bad", hint="mend it"), Verdict.REJECTED, "bad", "no (mend it)"),
        (Failed("not now"), Verdict.FAILED, "failed", "not now"),
        (Throttled("slow"), Verdict.FAILED, "throttled", "slow"),
        (KeyError("x"), Verdict.FAILED, "unexpected_error", "KeyError('x')"),
        (OSError(errno.EIO, "bad"), Verdict.FAILED, "unexpected_error", "OSError(5, 'bad')"),
    ],
)
async def test_an_error_is_the_outcome_of_the_item_it_is_about(
    error: Exception, verdict: Verdict, reason: str, message: str
) -> None:
    finished = await attempted(error)
    assert isinstance(finished, Finished)
    assert finished.outcome == Outcome("k", verdict, reason, message, source="file", row=3, attempts=2)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_full_disk_stops_the_run(number: int) -> None:
    with pytest.raises(DiskFull, match="stage"):
        await attempted(OSError(number, "full"))


async def test_fatal_goes_through() -> None:
    with pytest.raises(PlatformDown):
        await attempted(PlatformDown())


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ([PlatformDown(), CredentialsError()], CredentialsError),
        ([UsageError(), PlatformDown()], PlatformDown),
        ([ExceptionGroup("inner", [CredentialsError()]), DiskFull()], CredentialsError),
    ],
)
def test_credentials_decide_then_the_higher_code(errors: list[Exception], kind: type[Fatal]) -> None:
    assert isinstance(deciding(BaseExceptionGroup("outer", errors)), kind)  # type: ignore[arg-type]
