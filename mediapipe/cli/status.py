"""``mediapipe status``: what the ledger holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mediapipe.cli import options, output
from mediapipe.cli.guard import guarded

if TYPE_CHECKING:
    from mediapipe.jobs.ledger_status import ScopeStatus
    from mediapipe.ledger.interface import Run
    from mediapipe.settings import Settings


@dataclass(frozen=True, slots=True)
class _Held:
    scopes: list[ScopeStatus] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)


def status(
    profile: options.Profile = None,
    ledger: options.LedgerDsn = None,
    as_json: options.Json = False,
    quiet: options.Quiet = None,
    log_format: options.LogFormat = None,
) -> None:
    """Show what the ledger holds: runs, counts, uncertain and pending items, watermarks."""
    with guarded():
        import anyio

        from mediapipe.cli.setup import load
        from mediapipe.settings import mask_dsn

        settings = load(profile, options.given(ledger=ledger, quiet=quiet, log_format=log_format))
        held = anyio.run(_read, settings)
        where = mask_dsn(settings.ledger_dsn) or ""
        output.data(json.dumps(_as_json(held, where)) if as_json else _as_text(held, where))


async def _read(settings: Settings) -> _Held:
    from mediapipe.jobs.ledger_status import ledger_status
    from mediapipe.ledger.open import is_there
    from mediapipe.liveness import new_run_id, owner_of
    from mediapipe.services import opened_ledger

    if not is_there(settings.ledger_dsn):  # to look is not to make
        return _Held()
    async with opened_ledger(settings, owner_of(new_run_id())) as ledger:
        return _Held(*await ledger_status(ledger))


def _as_json(held: _Held, where: str) -> dict[str, Any]:
    return {
        "job": "status",
        "ledger": where,
        "scopes": [
            {
                "job": one.scope.job,
                "account": one.scope.account,
                "destination": one.scope.destination,
                "items": {state.value: number for state, number in one.counts.items()},
                "watermark": one.watermark.isoformat() if one.watermark else None,
                "covered": [[start.isoformat(), end.isoformat()] for start, end in one.coverage],
                "at_work": sorted(one.holders),
            }
            for one in held.scopes
        ],
        "runs": [
            {
                "run_id": run.run_id,
                "job": run.scope.job,
                "destination": run.scope.destination,
                "started": run.started.isoformat(),
                "finished": run.finished.isoformat() if run.finished else None,
                "exit_code": run.exit_code,
                "counts": dict(run.counts),
                "bytes": run.bytes,
            }
            for run in held.runs
        ],
    }


def _as_text(held: _Held, where: str) -> str:
    from mediapipe.spans import show

    if not held.scopes:
        return f"The ledger {where} is empty: no run has been made with it."
    lines = [f"ledger  {where}", ""]
    for one in held.scopes:
        lines.append(f"{one.scope.job}  {one.scope.account}  →  {one.scope.destination}")
        counts = ", ".join(f"{number:,} {state.value}" for state, number in one.counts.items() if number)
        lines.append(f"  items      {counts or 'none'}")
        if one.watermark:
            lines.append(f"  watermark  {show(one.watermark)}")
        lines.extend(f"  covered    {show(start)} to {show(end)}" for start, end in one.coverage)
        lines.extend(f"  at work    {holder}" for holder in sorted(one.holders))
    lines.append("")
    lines.append("latest runs")
    for run in held.runs:
        ending = "not finished" if run.exit_code is None else f"exit {run.exit_code}"
        counts = ", ".join(f"{number:,} {name}" for name, number in run.counts.items() if number)
        lines.append(f"  {run.run_id}  {run.scope.job}  {ending:<12}  {counts}")
    return "\n".join(lines)
