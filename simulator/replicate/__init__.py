"""Replicate, as its official client knows it."""
