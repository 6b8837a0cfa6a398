"""The Convirza platform: sessions, the v3 and v2 APIs, and signed recording URLs."""
