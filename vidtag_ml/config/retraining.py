"""Section `retraining`: what calls for a new model, and how much may be spent on it.

Belongs here: its fields, a unit in each name, a sentence under each.
"""

from dataclasses import dataclass

from vidtag_ml.config.ranges import Amount, Count, Portion, Positive, Whole


@dataclass(frozen=True)
class Retraining:
    """What calls for a new model, and how much may be spent on it: of each system (decision 38)."""

    new_clips: Portion
    """Clips that came, went or changed since the champion, as a share of its own, that do."""
    age_days: Positive
    """A champion older than this gives way as soon as anything has changed."""
    drift: Portion
    """Kolmogorov-Smirnov distance of new clips from the champion's train clips that does."""
    least_clips: Count
    """New clips, each of another group, that such a distance needs."""
    cooldown_hours: Amount
    """Time after a retraining in which none begins."""
    runs_per_week: Whole
    """Retrainings in any seven days; 0 = none by itself."""
    hours_per_week: Amount
    """Once these have been spent in seven days, none begins."""
