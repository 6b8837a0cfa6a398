"""The durable memory of what was intended and what was done. Import the contract from ``interface``."""
