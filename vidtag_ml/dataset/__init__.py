"""The tables of clips, fixes and frames: files, splits, rules, places and scenes."""
