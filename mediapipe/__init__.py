"""Bulk media and recording pipeline for the Convirza call-tracking platform."""

__version__ = "0.1.0"
