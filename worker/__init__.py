"""Celery, and nothing else: the app, thin tasks, and the way in."""
