"""The Convirza platform: sessions, the v3 and v2 APIs, and signed recording URLs."""

from mediapipe.convirza import clients as clients  # the first to import httpx, see there
