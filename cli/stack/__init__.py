"""The local stack: what `make up`, `make demo` and the tests run, on loopback, without root and without containers."""
