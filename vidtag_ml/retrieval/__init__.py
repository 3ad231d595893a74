"""Coordinates and finding them: galleries, searches, and tracks through what was found."""
