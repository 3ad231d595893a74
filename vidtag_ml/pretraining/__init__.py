"""Recipes of the small Flyover encoders; no system is trained here."""
