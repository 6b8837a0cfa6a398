"""Which of N equal workers a call belongs to: ``--shard K/N``. Pure.

Every worker sees the whole list and works on its own calls only, so N shells, a Kubernetes Indexed Job or
an AWS Batch array need nothing in common but the ledger. A call's shard follows from its id alone: the
shards of one N are disjoint and leave nothing out, on every machine and in every version.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mediapipe.errors import UsageError

INDEX_VARIABLES = ("JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX")
"""Where Kubernetes (Indexed Jobs) and AWS Batch (array jobs) say which worker this is, from 0."""

MOST = 10_000
"""No array job has more workers."""

_FORM = re.compile(r"\s*(auto|[0-9]+)?\s*/\s*([0-9]+)\s*")
_HINT = "2/3 is the second of three; auto/3 takes the index from " + " or ".join(INDEX_VARIABLES)


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """One of ``count`` workers; ``number`` counts from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def owns(self, call_id: str) -> bool:
        """Tell whether a call is this worker's."""
        # A lone surrogate is legal in JSON, so an id may hold one.
        digest = hashlib.blake2b(call_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1

    def all(self) -> tuple[Shard, ...]:
        """Return the shards that make the whole together with this one, itself included."""
        return tuple(Shard(number, self.count) for number in range(1, self.count + 1))


def parse_shard(text: str, environ: Mapping[str, str]) -> Shard:
    """Return the shard that ``--shard`` names: ``K/N`` from 1, or ``auto/N`` with the scheduler's index.

    Raises ``UsageError`` for anything that is no shard, and for an index that the environment lacks.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise UsageError(f"--shard: {text[:80]!r} is no shard", hint=_HINT)
    count = int(match[2])
    if not 1 <= count <= MOST:
        raise UsageError(f"--shard {text.strip()}: there are 1 to {MOST:,} shards", hint=_HINT)
    if match[1] not in (None, "auto"):
        number, said = int(match[1]), f"--shard {text.strip()}"
    else:
        name, index = _index(environ)
        number, said = index + 1, f"--shard {text.strip()}: {name}={index}"
    if not 1 <= number <= count:
        raise UsageError(f"{said} is outside of {count} shards", hint=_HINT)
    return Shard(number, count)


def _index(environ: Mapping[str, str]) -> tuple[str, int]:
    """Return the variable that a scheduler has set, and its index from 0."""
    given = [(name, environ[name].strip()) for name in INDEX_VARIABLES if environ.get(name, "").strip()]
    if not given:
        raise UsageError(f"--shard: neither {' nor '.join(INDEX_VARIABLES)} is set", hint=_HINT)
    if len({value for _, value in given}) > 1:
        raise UsageError(
            "--shard: " + " and ".join(f"{name}={value}" for name, value in given) + " disagree",
            hint="unset one, or say the shard as K/N",
        )
    name, value = given[0]
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise UsageError(f"--shard: {name}={value[:80]!r} is no index", hint=_HINT)
    return name, int(value)
