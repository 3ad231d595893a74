"""Flyover Earth, the dataset that is generated: its camera and its files."""
