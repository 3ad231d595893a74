"""A classifier over cells of the Earth, the oldest way to place pictures."""
