"""``auth check``: log in to each API generation and ask for one small thing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mediapipe.convirza.models import User
from mediapipe.convirza.session import TokenSource
from mediapipe.errors import ExitCode, Fatal, MediapipeError
from mediapipe.services import Platform

ROLES = {1: "Admin", 2: "Standard", 3: "ReadOnly"}


@dataclass(frozen=True, slots=True)
class Reached:
    """One generation's answer; ``message`` and the stable ``code`` say why when it could not be reached.

    ``exit_code`` is what the answer leads to: credentials, or a platform that could not be reached.
    """

    api: str
    url: str
    ok: bool
    message: str = ""
    email: str = ""
    role: str = ""
    org_unit: str = ""
    code: str = ""
    exit_code: ExitCode = ExitCode.OK


async def check_login(platform: Platform, apis: Iterable[str]) -> list[Reached]:
    """Return for each of ``apis`` (``v3``, ``v2``) whether it answers this login, and who that is."""
    probes: dict[str, Callable[[], Awaitable[Reached]]] = {
        "v3": lambda: _reached("v3", platform.v3_url, platform.login, lambda: _v3(platform)),
        "v2": lambda: _reached("v2", platform.v2_url, platform.login, lambda: _v2(platform)),
    }
    return [await probes[api]() for api in apis]


async def _v3(platform: Platform) -> TokenSource:
    now = datetime.now(UTC)
    await platform.v3.list_calls(now - timedelta(hours=1), now, limit=1, offset=0)
    return platform.v3.session.tokens


async def _v2(platform: Platform) -> TokenSource:
    v2 = platform.v2()
    await v2.probe()
    return v2.session.tokens


async def _reached(api: str, url: str, login: str, probe: Callable[[], Awaitable[TokenSource]]) -> Reached:
    try:
        user = (await probe()).user or User()
    except MediapipeError as error:
        ending = error.exit_code if isinstance(error, Fatal) else ExitCode.UNPROVEN
        return Reached(api, url, ok=False, message=str(error), code=error.code, exit_code=ending)
    role = ROLES.get(user.role_id or 0, "")
    unit = f"org unit {user.org_unit_id}" if user.org_unit_id else ""
    # v2 names nobody, and a ready token has no login: then it is as whom we asked.
    return Reached(api, url, ok=True, email=user.email or login, role=role, org_unit=unit)
