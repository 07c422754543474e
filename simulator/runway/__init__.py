"""Runway's dialect: tasks under one path per mode, nothing listed, nobody called."""
