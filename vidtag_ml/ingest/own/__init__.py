"""A user's own videos and photos: found, inspected, journalled, made into tables."""
