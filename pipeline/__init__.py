"""Everything Dailies knows about making clips; imports neither Flask nor Celery."""
