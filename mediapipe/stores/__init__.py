"""Where recordings are kept: one contract, several places. Import the contract from ``interface``."""
