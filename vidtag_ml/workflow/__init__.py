"""How work is declared, skipped, measured and shown."""
