"""The pretend providers, over HTTP: a double that shares no code with the product it tries."""
