"""The Convirza platform: sessions, the v3 and v2 APIs, and signed recording URLs."""

import sys

# httpx brings a command of its own, and with it rich and click: a tenth of what starting takes. Where that
# module cannot be imported httpx does without, and is told so for as long as it loads.
if "httpx" not in sys.modules:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    import httpx  # noqa: F401

    del sys.modules["httpx._main"]
