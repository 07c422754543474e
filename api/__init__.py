"""Flask, and nothing else: HTTP, Server-Sent Events and Socket.IO in front of the use cases of `pipeline`."""
