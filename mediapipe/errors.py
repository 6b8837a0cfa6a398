"""The one error tree, sorted by what the caller does next.

::

    MediapipeError
    ├── Fatal                    stop the run; the class says the exit code
    │   ├── UsageError           2   the command line, a profile or a setting is wrong
    │   │   └── UnsafeDestination    the store would let a recording be overwritten
    │   ├── CredentialsError     4   login refused, token dead, permission missing
    │   ├── PlatformDown         5   the far side stayed unreachable after every retry
    │   ├── LedgerUnavailable    *   the ledger cannot be opened, read or written; its code says which exit
    │   └── DiskFull             5   no room for spool, outcomes or ledger
    ├── ItemError                one item's outcome; its siblings go on
    │   ├── Rejected             will never pass as it is
    │   └── Failed               may pass when run again
    └── Transient                try again after a wait; pacing does so inside the stage

Every leaf has a stable ``code`` (what scripts match on) and may carry a ``hint`` (what to do).
The class docstring's first line is the default message.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The command's exit codes, as published."""

    OK = 0
    BUG = 1
    USAGE = 2
    ITEMS = 3
    CREDENTIALS = 4
    UNPROVEN = 5
    DAMAGE = 6
    CHANGES = 10
    INTERRUPTED = 130


EXIT_CODE_MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "everything done, skipped, pending or absent",
    ExitCode.BUG: "unexpected error (a bug)",
    ExitCode.USAGE: "usage or configuration",
    ExitCode.ITEMS: "finished; some items rejected or failed",
    ExitCode.CREDENTIALS: "credentials or permission",
    ExitCode.UNPROVEN: "finished; some items uncertain, or completeness not proven",
    ExitCode.DAMAGE: "verification found damage",
    ExitCode.CHANGES: "--exit-code: there is something to do, or something drifted",
    ExitCode.INTERRUPTED: "interrupted; state is safe, run again to resume",
}


class MediapipeError(Exception):
    """Something went wrong."""

    code = "error"
    hint = ""

    def __init__(self, message: str = "", *, code: str = "", hint: str = "") -> None:
        doc = (type(self).__doc__ or "").strip().splitlines()[0]
        self.message = message or doc
        if code:
            self.code = code
        if hint:
            self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Fatal(MediapipeError):
    """The run cannot go on."""

    code = "fatal"
    exit_code: ExitCode = ExitCode.BUG


class UsageError(Fatal):
    """The command line, a profile or a setting is wrong."""

    code = "usage"
    exit_code = ExitCode.USAGE


class UnsafeDestination(UsageError):
    """The store ignores conditional writes, so a recording could be overwritten."""

    code = "unsafe_destination"
    hint = "use a store that honours If-None-Match, or say --allow-overwrite-unsafe"


class CredentialsError(Fatal):
    """The login was refused or lacks a permission."""

    code = "credentials"
    exit_code = ExitCode.CREDENTIALS


class PlatformDown(Fatal):
    """The platform could not be reached."""

    code = "platform_down"
    exit_code = ExitCode.UNPROVEN
    hint = "run again later; nothing is lost"


class LedgerUnavailable(Fatal):
    """The ledger cannot be opened, read or written."""

    code = "ledger"

    _EXIT_CODES: ClassVar[Mapping[str, ExitCode]] = {
        "ledger_access": ExitCode.CREDENTIALS,
        "ledger_missing": ExitCode.USAGE,
        "ledger_newer": ExitCode.USAGE,
        "ledger_damaged": ExitCode.USAGE,
        # The run had begun: what it did is safe, and that it covered its span is not proven.
        "ledger_busy": ExitCode.UNPROVEN,
        "ledger_lost": ExitCode.UNPROVEN,
    }

    def __init__(self, message: str = "", *, code: str = "", hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)
        self.exit_code = self._EXIT_CODES.get(self.code, ExitCode.BUG)


class DiskFull(Fatal):
    """There is no room left on a disk the run writes to."""

    code = "disk_full"
    exit_code = ExitCode.UNPROVEN
    hint = "free some space and run again; nothing is lost"


class ItemError(MediapipeError):
    """One item could not be handled; the others go on."""

    code = "item"


class Rejected(ItemError):
    """The item will never pass as it is."""

    code = "rejected"


class Failed(ItemError):
    """The item did not pass this time."""

    code = "failed"


class Transient(MediapipeError):
    """A passing fault: the same request may succeed after a wait.

    ``retry_after`` is in seconds when the far side named a time, else None.
    """

    code = "transient"

    def __init__(
        self, message: str = "", *, code: str = "", hint: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.retry_after = retry_after


class Throttled(Transient):
    """The far side asked for fewer requests."""

    code = "throttled"
