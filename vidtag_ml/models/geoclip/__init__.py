"""GeoCLIP: frame by frame, released or fine-tuned."""
