"""The pure part: values and decisions, with no clock, no dice and no I/O."""
