"""Pretrained networks for pictures, clips, names and coordinates, and their weights."""
