"""Figures of answers: tracks, curves, places, and how sure figures are."""
