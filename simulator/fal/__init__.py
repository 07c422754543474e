"""fal as the simulator speaks it."""
