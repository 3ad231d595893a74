"""Training of encoders and of the two phases."""
