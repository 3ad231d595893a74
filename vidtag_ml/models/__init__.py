"""The systems that place videos on the Earth, a room each, and what they share."""
