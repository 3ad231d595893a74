"""The frozen encoders' outputs, made once: decoding, extraction, the store, batches."""
