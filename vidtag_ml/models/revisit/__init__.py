"""Places that were recorded before, found again."""
