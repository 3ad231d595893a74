"""Section `revisit`: a gallery of frames that were recorded, and when a place in it is known.

Belongs here: its fields, a unit in each name, a sentence under each.
"""

from dataclasses import dataclass

from vidtag_ml.config.ranges import Count, Positive


@dataclass(frozen=True)
class Revisit:
    """What is kept of train clips, and how a frame is found among them."""

    encoder: str
    """Whose features shortlist references; one of features.encoders."""
    spacing_m: Positive
    """A clip's next reference is the first frame at least this far from its last one."""
    num_keypoints: Count
    """Local features of a frame, the strongest."""
    num_candidates: Count
    """References most like a frame whose geometry is compared with its own."""
    least_inliers: Count
    """Matches that agree on one geometry without which no place is known; training raises it to
    what frames of other places reach."""
    known_m: Positive
    """A place is known if a reference lies this near, and an answer is right this near."""
