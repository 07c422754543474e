"""Hypereal, as its users know it: no official source could be read."""
