"""Where things are: the sphere, map tiles, land, tracks, names of places."""
