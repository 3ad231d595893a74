"""What VidTAG, GeoCLIP and the classifier share: frames and coordinates in one space."""
