"""Whether a new model is called for: what changed since one was made, and what may be spent.

Belongs here: identities compared (changes), what a model was trained on (trained_on), how far new
clips are from that (drift), and what follows (policy), all as plain values. Does not belong here:
where identities and past runs are read (vidtag_assets), when this is asked (orchestration).
"""
