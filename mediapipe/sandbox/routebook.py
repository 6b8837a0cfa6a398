"""The account's provisioned routes, and the audio each of them plays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mediapipe.sandbox.drawer import Drawer
from mediapipe.sandbox.records import ROOT_UNIT

_DOCUMENT = "routes"
_SAMPLE = {1022: "Main line", 1023: "Spring mailing", 1024: "After hours"}
_NO_AUDIO: dict[str, Any] = {"whisper_id": None, "voicemail_recording_id": None, "prompt_ids": []}


@dataclass(frozen=True, slots=True)
class ProvisionedRoute:
    """One route; ``audio`` are the fields that name its prompts, as they are shown."""

    route_id: int
    name: str
    status: str = "active"
    audio: dict[str, Any] = field(default_factory=lambda: dict(_NO_AUDIO))

    def as_json(self, *, with_audio: bool) -> dict[str, Any]:
        """Return the route as the API shows it."""
        shown = {
            "provisioned_route_id": self.route_id,
            "provisioned_route_name": self.name,
            "provisioned_route_status": self.status,
            "org_unit_id": ROOT_UNIT,
            "campaign_id": 311,
            "phone_number": f"1801556{self.route_id:04d}",
            "record_calls": True,
        }
        return {**shown, **self.audio} if with_audio else shown


class RouteBook:
    """The routes of one sandbox, kept in its drawer."""

    def __init__(self, drawer: Drawer) -> None:
        self._drawer = drawer
        kept = drawer.document(_DOCUMENT).get("routes")
        routes = [ProvisionedRoute(**entry) for entry in kept or ()]
        if kept is None:
            routes = [ProvisionedRoute(number, name) for number, name in _SAMPLE.items()]
        self._routes = {route.route_id: route for route in routes}

    @property
    def routes(self) -> Sequence[ProvisionedRoute]:
        """All of them, deleted ones too, in the order they came."""
        return list(self._routes.values())

    def get(self, route_id: int) -> ProvisionedRoute | None:
        """Return a route, or None."""
        return self._routes.get(route_id)

    def mention(self, route_id: int, /, **audio: Any) -> ProvisionedRoute:
        """Let a route name prompts: ``whisper_id=4001``, ``prompt_ids=[4002]``. KeyError: no such route."""
        route = self._routes[route_id]
        return self._keep(replace(route, audio={**route.audio, **audio}))

    def add(self, name: str, /, **audio: Any) -> ProvisionedRoute:
        """Add a route."""
        number = max(self._routes, default=1021) + 1
        return self._keep(ProvisionedRoute(number, name, audio={**_NO_AUDIO, **audio}))

    def delete(self, route_id: int) -> ProvisionedRoute:
        """Delete softly; KeyError for an unknown one."""
        return self._keep(replace(self._routes[route_id], status="deleted"))

    def _keep(self, route: ProvisionedRoute) -> ProvisionedRoute:
        self._routes[route.route_id] = route
        self._drawer.put_document(_DOCUMENT, {"routes": [asdict(kept) for kept in self.routes]})
        return route
