"""What a model and an answer come from, and back again: told, compared, restored, measured anew.

Belongs here: identities (provenance, identity, circumstances), what is kept so that a version can
be made again (stored, training_clips), and what is asked of these: tracing, restoring, comparing
with what that says and draws (compared). Does not belong here: making a version (release).
"""
