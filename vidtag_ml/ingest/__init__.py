"""Recordings become tables: published, generated or a user's own."""
