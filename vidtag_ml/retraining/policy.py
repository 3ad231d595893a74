"""The policy: whether a new model is trained now, and why, from facts alone (decision 38).

Belongs here: the decision. Does not belong here: where facts come from (vidtag_assets), numbers
(section `retraining` of the params).
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from vidtag_ml import config
from vidtag_ml.retraining.changes import Change, of_recipe
from vidtag_ml.retraining.drift import Drift
from vidtag_ml.retraining.trained_on import Counts

SURE = 0.01
"""Larger p-values are chance."""
SHOWN = 5
"""Changes of the recipe that a reason names."""


@dataclass(frozen=True)
class Model:
    """A version, compared with what would be trained on today."""

    name: str
    """Such as `champion 3`."""
    made: dt.datetime
    """When it was registered."""
    changes: tuple[Change, ...]
    """What differs today."""
    clips: Counts | None
    """How many clips do; None if it is not known which it had."""
    drifts: tuple[Drift, ...]
    """How far the new ones are from its own."""


@dataclass(frozen=True)
class Past:
    """A retraining that was begun."""

    run: str
    """Its id."""
    began: dt.datetime
    ended: dt.datetime | None
    """None = it is under way."""
    judged: str | None
    """The identity about which it reached a verdict."""


@dataclass(frozen=True)
class Facts:
    """What a decision is made from."""

    now: dt.datetime
    identity: str
    """Digest of what would be trained on."""
    models: tuple[Model, ...]
    """The champion, and the newest version if that is another; empty before the first model."""
    known: str | None
    """The version that was made from this identity, if there is one."""
    past: tuple[Past, ...]
    """Retrainings of the last seven days and before, in any order."""
    begins: bool = True
    """Whether the first model is trained by itself."""


@dataclass(frozen=True)
class Rule:
    """A trigger, or a limit."""

    name: str
    found: str
    """How it is."""
    bar: str
    """What would make it hold."""
    holds: bool
    """Of a trigger: it calls for a new model. Of a limit: it forbids one now."""


@dataclass(frozen=True)
class Decision:
    """Whether a new model is trained now."""

    triggers: tuple[Rule, ...]
    limits: tuple[Rule, ...]

    @property
    def retrain(self) -> bool:
        """Whether it is."""
        return any(rule.holds for rule in self.triggers) and not any(r.holds for r in self.limits)

    @property
    def why(self) -> str:
        """The reasons, in a sentence."""
        called = _listed([rule for rule in self.triggers if rule.holds])
        held = _listed([rule for rule in self.limits if rule.holds])
        if not called:
            return "nothing calls for a new model"
        return f"{called}; but not now: {held}" if held else called


def _listed(rules: Sequence[Rule]) -> str:
    return "; ".join(f"{rule.name}: {rule.found}" for rule in rules)


def decide(facts: Facts, settings: config.Retraining) -> Decision:
    """The decision on facts.

    A trigger holds only if it does against the champion and against the newest version: what the
    gate has rejected is not trained again for the same reason.
    """
    triggers = [
        _no_model(facts),
        _together([_enough_clips(m, settings) for m in facts.models], "new clips"),
        _together([_old(facts, m, settings) for m in facts.models], "age"),
        _together([_drifted(m, settings) for m in facts.models], "drift"),
        _together([_recipe(m) for m in facts.models], "recipe"),
    ]
    limits = [
        _seen(facts),
        _under_way(facts),
        _cooldown(facts, settings),
        _runs(facts, settings),
        _hours(facts, settings),
    ]
    return Decision(tuple(triggers), tuple(limits))


def warnings(facts: Facts, settings: config.Retraining) -> list[Rule]:
    """What a person is told of the champion, even if the newest version stills the policy."""
    champion = facts.models[:1]
    old = [_old(facts, model, settings) for model in champion]
    return [rule for rule in (*old, *(_drifted(m, settings) for m in champion)) if rule.holds]


def _together(rules: Sequence[Rule], name: str) -> Rule:
    """The first rule that does not hold, else the first: all must."""
    against = [rule for rule in rules if not rule.holds] or list(rules)
    return against[0] if against else Rule(name, "no model to compare with", "", holds=False)


def _no_model(facts: Facts) -> Rule:
    named = " and ".join(model.name for model in facts.models)
    bar = "there is none" if facts.begins else "never: a person trains the first"
    return Rule("first model", named or "there is none", bar, facts.begins and not facts.models)


def _enough_clips(model: Model, settings: config.Retraining) -> Rule:
    bar = f"at least {settings.new_clips:.1%} of those of {model.name}"
    if model.clips is None:
        return Rule("new clips", f"not known which {model.name} had", bar, holds=False)
    return Rule("new clips", str(model.clips), bar, model.clips.share >= settings.new_clips)


def _old(facts: Facts, model: Model, settings: config.Retraining) -> Rule:
    days = (facts.now - model.made) / dt.timedelta(days=1)
    changed = any(change.known for change in model.changes)
    found = f"{model.name} is {days:.0f} days old, and {'something' if changed else 'nothing'}"
    bar = f"{settings.age_days:g} days, and anything has changed"
    newest_only = model is not facts.models[0]
    holds = changed and (newest_only or days >= settings.age_days)
    return Rule("age", f"{found} has changed", bar, holds)


def _drifted(model: Model, settings: config.Retraining) -> Rule:
    bar = f"a distance of {settings.drift:g} with p below {SURE:g}"
    if model.clips is None:
        return Rule("drift", f"not known which clips {model.name} had", bar, holds=False)
    found = "; ".join(f"{drift.of} {_told(drift)}" for drift in model.drifts)
    holds = any(_is_far(drift, settings) for drift in model.drifts)
    return Rule("drift", found or "no clip came", bar, holds)


def _told(drift: Drift) -> str:
    if drift.distance is None:
        return drift.told
    return f"{drift.distance:.2f} (p {drift.p_value:.1g}): {drift.told}"


def _is_far(drift: Drift, settings: config.Retraining) -> bool:
    if drift.distance is None or drift.p_value is None:
        return False
    return drift.distance >= settings.drift and drift.p_value < SURE


def _recipe(model: Model) -> Rule:
    changed = of_recipe(model.changes)
    named = ", ".join(change.part for change in changed[:SHOWN])
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    return Rule("recipe", f"{named}{more}" or "the same", "anything", bool(changed))


def _seen(facts: Facts) -> Rule:
    runs = [past.run for past in facts.past if past.judged == facts.identity]
    known = facts.known or (f"run {runs[-1]}" if runs else None)
    told = f"judged already: {known}" if known else "never judged before"
    return Rule("same identity", told, "judged already", known is not None)


def _under_way(facts: Facts) -> Rule:
    running = [past.run for past in facts.past if past.ended is None]
    return Rule("under way", ", ".join(running) or "none", "any run", bool(running))


def _cooldown(facts: Facts, settings: config.Retraining) -> Rule:
    bar = f"less than {settings.cooldown_hours:g} h ago"
    ends = [past.ended for past in facts.past if past.ended is not None]
    if not ends:
        return Rule("cooldown", "no retraining before", bar, holds=False)
    hours = (facts.now - max(ends)) / dt.timedelta(hours=1)
    return Rule("cooldown", f"{hours:.1f} h ago", bar, hours < settings.cooldown_hours)


def _this_week(facts: Facts) -> list[Past]:
    return [past for past in facts.past if facts.now - past.began < dt.timedelta(days=7)]


def _runs(facts: Facts, settings: config.Retraining) -> Rule:
    count, most = len(_this_week(facts)), settings.runs_per_week
    return Rule("runs in seven days", str(count), f"{most}", count >= most)


def _hours(facts: Facts, settings: config.Retraining) -> Rule:
    spent = [(past.ended or facts.now) - past.began for past in _this_week(facts)]
    hours = sum(spent, dt.timedelta()) / dt.timedelta(hours=1)
    most = settings.hours_per_week
    return Rule("hours in seven days", f"{hours:.1f}", f"{most:g}", hours >= most)
