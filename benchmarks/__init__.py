"""Measurements of time against a limit. Belongs here: scripts that print both and their ratio."""
