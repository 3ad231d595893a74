"""VidTAG: frames aligned in time, then a track refined."""
