"""GAMa: videos found in aerial imagery, clip by clip and as tracks of tiles."""
