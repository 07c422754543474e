"""Lets ``python -m cli`` be ``dailies``."""

from cli.main import main

main()
