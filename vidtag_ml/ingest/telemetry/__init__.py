"""Readers of positions that cameras and phones write, a format each."""
