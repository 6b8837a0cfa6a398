"""What the tests of an import's parts share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mediapipe.ledger.interface import Ledger
from mediapipe.ledger.open import open_ledger


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """An empty ledger."""
    async with await open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", owner="me") as opened:
        yield opened
