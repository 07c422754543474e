"""Who competes: what people write first, what they write next, and ours."""
