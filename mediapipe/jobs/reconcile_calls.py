"""``calls reconcile``: look up every upload whose end is not known, and settle what can be proven.

With a manifest to adopt, also take over what another ledger has imported. Nothing is ever sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mediapipe.errors import ExitCode
from mediapipe.exclusive import alone
from mediapipe.import_services import ReconcileServices
from mediapipe.imports.adopting import Adoption
from mediapipe.imports.feed import FRESH
from mediapipe.imports.matching import digits
from mediapipe.imports.reconciling import OPEN
from mediapipe.imports.results import Proofs
from mediapipe.imports.validation import validate
from mediapipe.items import Outcome, Tally, Verdict
from mediapipe.ledger.interface import Claim, Scope, State
from mediapipe.line import Ending, Line, Sink, Stage
from mediapipe.manifest.calls import CallRow
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.roots import Root
from mediapipe.pipeline import run
from mediapipe.report.summary import exit_code
from mediapipe.services import release_dead
from mediapipe.verdicts import unheard

JOB = "calls.reconcile"


@dataclass(frozen=True, slots=True)
class Ask:
    """What the user asked for: the manifest to adopt, or none; whether to wait for what was just sent."""

    manifest: CallManifest | None = None
    root: Root | None = None
    tz: str | None = None
    wait: bool = True
    dry_run: bool = False


@dataclass(slots=True)
class Result:
    """How a reconciliation ended."""

    ending: Ending = field(default_factory=Ending)
    tally: Tally = field(default_factory=Tally)
    proofs: Proofs = field(default_factory=Proofs)
    exit_code: ExitCode = ExitCode.OK

    def as_json(self) -> dict[str, Any]:
        """Return what the report says besides the counts."""
        return {"proof": self.proofs.as_json()}


async def reconcile(
    services: ReconcileServices,
    ask: Ask,
    *,
    run_id: str,
    sink: Sink,
    expect: Callable[[int], None] | None = None,
    signals: bool = False,
) -> Result:
    """Run the job. Raises ``Fatal`` for what comes before the first item is worked on."""
    result, ledger, scope = Result(), services.ledger, services.scope

    def count(outcome: Outcome) -> None:
        result.tally.add(outcome)
        result.proofs.add(outcome)
        sink(outcome)

    async def free(other: Scope) -> int:
        return await release_dead(ledger, other, services.runs_dir)

    if ask.dry_run:
        await _show(services, count)
        result.exit_code = exit_code(result.tally)
        return result
    async with alone("import", ledger, scope, run_id, free) as lock:
        await free(scope)
        await ledger.begin(run_id, scope)
        if ask.manifest is not None:
            result.ending = await _adopt(services, ask, run_id, lock, count, expect, signals)
        else:
            looks = services.reconciler
            looks.wait, looks.expect = ask.wait, expect
            stages = [Stage("reconcile", looks.settle, 1)]
            line = Line(scope, run_id, looks.pages, stages, OPEN, guards=(lock,))
            result.ending = await run(line, ledger, count, signals=signals)
        ending = result.ending
        result.exit_code = exit_code(result.tally, interrupted=ending.interrupted, fatal=ending.fatal)
        await ledger.end(run_id, exit_code=result.exit_code, counts=result.tally.counts(), size=0)
    return result


async def _show(services: ReconcileServices, count: Sink) -> None:
    """Report what a reconciliation would look up."""
    async for page in services.ledger.items(services.scope, states=OPEN):
        for item in page:
            verdict = Verdict.PENDING if item.state is State.PENDING else Verdict.UNCERTAIN
            source = item.detail.get("source", "")
            count(Outcome(item.key, verdict, item.reason, item.message, source, attempts=item.attempts))


async def _adopt(
    services: ReconcileServices,
    ask: Ask,
    run_id: str,
    lock: Claim,
    count: Sink,
    expect: Callable[[int], None] | None,
    signals: bool,
) -> Ending:
    assert ask.manifest is not None and ask.root is not None  # noqa: S101, PT018
    manifest, root = ask.manifest, ask.root
    times: Counter[tuple[str, int]] = Counter()

    def rows() -> Any:
        for row in manifest.rows(root, tz=ask.tz):
            if row.at is not None:
                times[digits(row.fields.get("caller_id", "")), int(row.at.timestamp())] += 1
            yield row

    async def refuse(bad: Sequence[CallRow]) -> None:
        for row in bad:
            count(unheard(row).outcome)

    await validate(rows(), refuse, sample=0, expect=expect)
    in_hand: dict[str, CallRow] = {}

    def take(outcome: Outcome) -> None:
        row = in_hand.pop(outcome.key)
        count(replace(outcome, row=row.row, source=row.recording))

    adoption = Adoption(
        services.reconciler,
        services.ear,
        manifest.rows(root, tz=ask.tz),
        times,
        sink=lambda row, outcome: count(outcome),
        offered=lambda row: in_hand.__setitem__(row.external_id, row),
    )
    stages = [Stage("adopt", adoption.settle, 1)]
    line = Line(services.scope, run_id, adoption.pages, stages, FRESH, guards=(lock,))
    return await run(line, services.ledger, take, signals=signals)
