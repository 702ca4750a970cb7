"""Starts Tiercast, and the servers it needs, on one machine."""
