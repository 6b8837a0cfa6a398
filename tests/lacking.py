"""What a test needs and this machine does not have: the test is skipped, but never in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Skip the test for want of something, or fail where nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(f"nothing may be skipped here: {what}")
    pytest.skip(what)
