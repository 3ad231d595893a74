"""Aerial imagery as a gallery: tiles and regions, where they come from, their pictures."""
