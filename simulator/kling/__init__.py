"""Kling's own API, in both of its families."""
