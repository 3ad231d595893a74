"""Positions as receivers, cameras and people write them: one file a format, one table out."""
