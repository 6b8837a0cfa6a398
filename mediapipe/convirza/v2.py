"""The v2 API, deprecated and still needed: calls are uploaded there and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from mediapipe.convirza.session import Session, as_answer


class V2:
    """What this tool asks of v2."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def probe(self) -> None:
        """Ask for one audio file's entry: shows that the token is taken. Raises as ``Session.get`` does."""
        query: Mapping[str, int] = {"limit": 1, "offset": 0}
        await self.session.get("/misc/getaudiolist", query, doing="list v2 audio", read=as_answer)
