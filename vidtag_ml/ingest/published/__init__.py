"""Published datasets and folders of pictures, a module each."""
