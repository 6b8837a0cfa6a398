"""What a worker on another machine is told, and how it finds its settings: no secret is ever in it.

Whatever an engine passes to its workers may stand in its logs, its dashboard and its spill files. So the
settings travel without their secrets, and each node brings its own in its environment: the login of the
platform, ``AWS_*``, and ``MEDIAPIPE_LEDGER`` where the ledger's DSN holds a password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediapipe.errors import UsageError
from mediapipe.jobs.archive_recordings import Ask
from mediapipe.settings import Settings, load_settings, mask_dsn
from mediapipe.sources import fields_of, variable_of

LEDGER = "MEDIAPIPE_LEDGER"
_OWN = frozenset({("ledger",), ("state_dir",)})
"""Settings that are not taken over as they are."""

SECRETS = frozenset(
    variable_of(path) for path, field in fields_of(Settings).items() if "SecretStr" in str(field.annotation)
)
"""Variables that every node has to bring itself."""


@dataclass(frozen=True, slots=True)
class Order:
    """One share of a run, picklable. ``ledger`` is the DSN as it may be shown.

    ``settings`` are values by dotted path, without secrets; ``state_dir`` is None where nodes have their own.
    """

    number: int
    ask: Ask
    settings: Mapping[str, Any]
    ledger: str
    state_dir: str | None = None


def told(settings: Settings) -> dict[str, Any]:
    """Return the settings that may be passed to workers, by dotted path."""
    found: dict[str, Any] = {}
    for path in fields_of(Settings):
        if path in _OWN or variable_of(path) in SECRETS:
            continue
        value: Any = settings
        for part in path:
            value = getattr(value, part)
        found[".".join(path)] = value
    return found


def settings_of(order: Order, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a run on this node: what the order says, with the secrets of ``environ``.

    Raises ``UsageError`` when this node knows another ledger than the run has, or none.
    """
    flags = dict(order.settings)
    if order.state_dir is not None:
        flags["state_dir"] = order.state_dir
    dsn = environ.get(LEDGER, "")
    if mask_dsn(dsn) != order.ledger:
        if "***" in order.ledger:
            raise UsageError(
                f"this node does not know the ledger {order.ledger}",
                hint=f"its DSN holds a password, which is not passed on: set {LEDGER} on every node",
            )
        dsn = order.ledger
    flags["ledger"] = dsn
    # A profile has had its say already, and its file may not be here.
    secrets = {name: value for name, value in environ.items() if name in SECRETS}
    return load_settings(None, flags, secrets).settings
